"""The focus sensor module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from hal.base import Float, Value
from hal.devices import FocusSensor
from hal.kernel import Delivery, DeviceModule, StartModule, StopModule, Timer, handles
from hal.messages import FocusMeasured, FocusReading, GetFocus

RETRY_S: Final = 5.0
"""Pause of the reports after a reading that failed."""


class FocusSensorModule(DeviceModule[FocusSensor]):
    """Owns one focus sensor and speaks for it; reports now and then if asked to."""

    role = "focus"
    driver_kind: ClassVar[type[Any]] = FocusSensor

    report_every_s = Float(
        0.0,
        unit="s",
        low=0.0,
        high=3600.0,
        live=True,
        help="Pause between two readings that are told to everybody; 0 for none.",
    )

    _timer: Timer | None = None

    @handles(GetFocus)
    def on_get(self, msg: GetFocus) -> None:
        """Measure once."""
        device = self.device
        self.run_job(
            device.read,
            deadline_s=device.read_timeout_s + self.deadline_s,
            then=lambda signal: FocusReading(*signal),
        )

    @handles(StartModule)
    def on_start_module(self, msg: StartModule) -> None:
        """Begin to report, if asked to."""
        super().on_start_module(msg)
        self._report_in(self.report_every_s)

    @handles(StopModule)
    def on_stop_module(self, msg: StopModule) -> None:
        """Report no more, and close the sensor."""
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
        self.send(GetFocus(), to=self.name, reply=self._report)

    def _report(self, done: Delivery) -> None:
        if self._timer is None:
            return  # ended while the reading was made
        reading = done.responses.get(self.name)
        if isinstance(reading, FocusReading):
            self.send(
                FocusMeasured(
                    self.name, reading.offset_um, reading.signal_sum, reading.is_good
                )
            )
            self._report_in(self.report_every_s)
        else:
            self.log_failure(done)
            self._report_in(max(RETRY_S, self.report_every_s))
