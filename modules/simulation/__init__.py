"""Simulated drivers of every kind, for work and tests without an instrument."""

from modules.simulation.camera import SimCamera
from modules.simulation.filter_wheel import SimFilterWheel
from modules.simulation.focus_quadrant import SimFocusQuadrant
from modules.simulation.focus_spots import SimFocusSpots
from modules.simulation.led import SimLed
from modules.simulation.light_source import SimLightSource
from modules.simulation.projector import SimProjector
from modules.simulation.shutter import SimShutter
from modules.simulation.temperature_controller import SimTemperatureController
from modules.simulation.temperature_sensor import SimTemperatureSensor
from modules.simulation.xy_stage import SimXYStage
from modules.simulation.z_stage import SimZStage

__all__ = [
    "SimCamera",
    "SimFilterWheel",
    "SimFocusQuadrant",
    "SimFocusSpots",
    "SimLed",
    "SimLightSource",
    "SimProjector",
    "SimShutter",
    "SimTemperatureController",
    "SimTemperatureSensor",
    "SimXYStage",
    "SimZStage",
]
