"""Simulated drivers of every kind, for work and tests without an instrument."""

from modules.simulation.camera import SimCamera
from modules.simulation.filter_wheel import SimFilterWheel
from modules.simulation.light_source import SimLightSource
from modules.simulation.shutter import SimShutter
from modules.simulation.xy_stage import SimXYStage
from modules.simulation.z_stage import SimZStage

__all__ = [
    "SimCamera",
    "SimFilterWheel",
    "SimLightSource",
    "SimShutter",
    "SimXYStage",
    "SimZStage",
]
