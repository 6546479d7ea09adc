"""What hardware promises: one abstract base class per kind of instrument."""

from hal.devices.camera import Camera, FrameStamp
from hal.devices.device import Device

__all__ = ["Camera", "Device", "FrameStamp"]
