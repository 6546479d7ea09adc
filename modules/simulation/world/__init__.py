"""A simulated world: a sample, the optics it is seen through, and who lives in it."""

from modules.simulation.world.device_state import DeviceState
from modules.simulation.world.kinds import (
    CAMERA,
    EVERYTHING_NM,
    FIELDS,
    FILTER_WHEEL,
    FOCUS_SENSOR,
    LIGHT_SOURCE,
    PROJECTOR,
    SHUTTER,
    TEMPERATURE,
    XY_STAGE,
    Z_STAGE,
)
from modules.simulation.world.parameters import SimWorld
from modules.simulation.world.world import World

__all__ = [
    "CAMERA",
    "EVERYTHING_NM",
    "FIELDS",
    "FILTER_WHEEL",
    "FOCUS_SENSOR",
    "LIGHT_SOURCE",
    "PROJECTOR",
    "SHUTTER",
    "TEMPERATURE",
    "XY_STAGE",
    "Z_STAGE",
    "DeviceState",
    "SimWorld",
    "World",
]
