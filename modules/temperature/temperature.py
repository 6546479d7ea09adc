"""The temperature module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from hal.base import Float, UnsupportedError, Value
from hal.devices import TemperatureController, TemperatureSensor
from hal.kernel import Delivery, DeviceModule, StartModule, StopModule, Timer, handles
from hal.messages import (
    GetTemperature,
    SetTemperature,
    TemperatureMeasured,
    TemperatureState,
)

RETRY_S: Final = 5.0
"""Pause of the reports after a reading that failed."""


class TemperatureModule(DeviceModule[TemperatureSensor]):
    """Owns a thermometer or a controller; reports now and then if asked to."""

    role = "temperature"
    driver_kind: ClassVar[type[Any]] = TemperatureSensor

    report_every_s = Float(
        0.0,
        unit="s",
        low=0.0,
        high=3600.0,
        live=True,
        help="Pause between two readings that are told to everybody; 0 for none.",
    )

    _timer: Timer | None = None

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

    @handles(StartModule)
    def on_start_module(self, msg: StartModule) -> None:
        """Begin to report, if asked to."""
        super().on_start_module(msg)
        self._report_in(self.report_every_s)

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """Report no more, and close the device."""
        self._report_in(0.0)
        super().on_stop_module(msg)

    def apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        """Begin, change or end the reports."""
        if "report_every_s" in changed:
            self._report_in(float(changed["report_every_s"]))
        return {}

    def _report_in(self, delay_s: float) -> None:
        """Have a reading made and told after a while; 0 for never."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if delay_s:
            self._timer = self.context.timers.after(delay_s, self._read_for_report)

    def _read_for_report(self) -> None:
        self.send(GetTemperature(), to=self.name, reply=self._report)

    def _report(self, done: Delivery) -> None:
        if self._timer is None:
            return  # ended while the reading was made
        state = done.responses.get(self.name)
        if isinstance(state, TemperatureState):
            self.send(
                TemperatureMeasured(
                    self.name, state.temperature_c, state.target_c, state.is_reached
                )
            )
            self._report_in(self.report_every_s)
        else:
            self.log_failure(done)
            self._report_in(max(RETRY_S, self.report_every_s))


def _state(device: TemperatureSensor) -> TemperatureState:
    temperature_c = device.temperature_c()
    if not isinstance(device, TemperatureController):
        return TemperatureState(temperature_c)
    target_c = device.target_c()
    is_reached = (
        target_c is not None and abs(temperature_c - target_c) <= device.tolerance_c
    )
    return TemperatureState(temperature_c, target_c, is_reached)
