"""Tests every driver of a kind must pass, simulated or real.

A test of a driver subclasses the contract of its kind and makes the device::

    class TestTangoStage(XYStageContract):
        def make_device(self) -> TangoStage:
            return TangoStage(port=PORT)

Class attributes state what differs between instruments: how long a frame may take, how
exact a position is, where a stage may go. The contracts wait on the system's clock.

`Isolated` has the same tests run with the driver in a process of its own.
"""

from hal.testing.contracts.camera import CameraContract
from hal.testing.contracts.device import DeviceContract
from hal.testing.contracts.filter_wheel import FilterWheelContract
from hal.testing.contracts.focus_sensor import FocusSensorContract
from hal.testing.contracts.isolated import Isolated
from hal.testing.contracts.light_source import LightSourceContract
from hal.testing.contracts.projector import ProjectorContract
from hal.testing.contracts.shutter import ShutterContract
from hal.testing.contracts.stages import XYStageContract, ZStageContract
from hal.testing.contracts.temperature import (
    TemperatureControllerContract,
    TemperatureSensorContract,
)

__all__ = [
    "CameraContract",
    "DeviceContract",
    "FilterWheelContract",
    "FocusSensorContract",
    "Isolated",
    "LightSourceContract",
    "ProjectorContract",
    "ShutterContract",
    "TemperatureControllerContract",
    "TemperatureSensorContract",
    "XYStageContract",
    "ZStageContract",
]
