"""The temperature module."""

from __future__ import annotations

from typing import Any, ClassVar

from hal.base import UnsupportedError
from hal.devices import TemperatureController, TemperatureSensor
from hal.kernel import Event, ReportingModule, Request, handles
from hal.messages import (
    GetTemperature,
    SetTemperature,
    TemperatureMeasured,
    TemperatureState,
)


class TemperatureModule(ReportingModule[TemperatureSensor]):
    """Owns a thermometer or a controller; reports now and then if asked to."""

    role = "temperature"
    driver_kind: ClassVar[type[Any]] = TemperatureSensor
    question: ClassVar[type[Request]] = GetTemperature

    @handles(GetTemperature)
    def on_get(self, msg: GetTemperature) -> None:
        """Measure once."""
        device = self.device
        self.run_job(lambda: _state(device))

    @handles(SetTemperature)
    def on_set(self, msg: SetTemperature) -> None:
        """Begin to hold a temperature, or none."""
        device = self.device
        if not isinstance(device, TemperatureController):
            raise UnsupportedError(f"{self.name} measures, but cannot hold temperature")
        controller = device

        def apply() -> TemperatureState:
            controller.set_target(msg.target_c)
            return _state(controller)

        self.run_job(apply, deadline_s=controller.switch_timeout_s + self.deadline_s)

    def report_of(self, reading: object) -> Event | None:
        if not isinstance(reading, TemperatureState):
            return None
        return TemperatureMeasured(
            self.name, reading.temperature_c, reading.target_c, reading.is_reached
        )


def _state(device: TemperatureSensor) -> TemperatureState:
    temperature_c = device.temperature_c()
    if not isinstance(device, TemperatureController):
        return TemperatureState(temperature_c)
    target_c = device.target_c()
    is_reached = (
        target_c is not None and abs(temperature_c - target_c) <= device.tolerance_c
    )
    return TemperatureState(temperature_c, target_c, is_reached)
