"""What hardware promises: one abstract base class per kind of instrument.

Every kind also says how long its operations take (`time_to_move_s`, `time_to_switch_s`,
`time_to_read_s`, `time_to_reach_s`, `time_to_project_s`), so that a plan can be timed
before it is run; stages and focus drives say it as data too (`move_timing`).
"""

from hal.devices.camera import Camera, FrameStamp
from hal.devices.device import Device
from hal.devices.filter_wheel import FilterWheel, find_slot
from hal.devices.focus_sensor import FocusSensor, FocusSignal
from hal.devices.in_world import InWorld, SimulatedWorld
from hal.devices.light_source import LightSource
from hal.devices.projector import Mask, Projector
from hal.devices.shutter import Shutter
from hal.devices.temperature import TemperatureController, TemperatureSensor
from hal.devices.timing import MoveTiming, travel_time_s
from hal.devices.xy_stage import XYStage
from hal.devices.z_stage import ZStage

__all__ = [
    "Camera",
    "Device",
    "FilterWheel",
    "FocusSensor",
    "FocusSignal",
    "FrameStamp",
    "InWorld",
    "LightSource",
    "Mask",
    "MoveTiming",
    "Projector",
    "Shutter",
    "SimulatedWorld",
    "TemperatureController",
    "TemperatureSensor",
    "XYStage",
    "ZStage",
    "find_slot",
    "travel_time_s",
]
