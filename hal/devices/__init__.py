"""What hardware promises: one abstract base class per kind of instrument."""

from hal.devices.camera import Camera, FrameStamp
from hal.devices.device import Device
from hal.devices.filter_wheel import FilterWheel
from hal.devices.light_source import LightSource
from hal.devices.shutter import Shutter
from hal.devices.xy_stage import XYStage
from hal.devices.z_stage import ZStage

__all__ = [
    "Camera",
    "Device",
    "FilterWheel",
    "FrameStamp",
    "LightSource",
    "Shutter",
    "XYStage",
    "ZStage",
]
