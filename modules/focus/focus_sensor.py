"""The focus sensor module."""

from __future__ import annotations

from typing import Any, ClassVar

from hal.devices import FocusSensor
from hal.kernel import Event, ReportingModule, Request, handles
from hal.messages import FocusMeasured, FocusReading, GetFocus


class FocusSensorModule(ReportingModule[FocusSensor]):
    """Owns one focus sensor and speaks for it; reports now and then if asked to."""

    role = "focus"
    driver_kind: ClassVar[type[Any]] = FocusSensor
    question: ClassVar[type[Request]] = GetFocus

    @handles(GetFocus)
    def on_get(self, msg: GetFocus) -> None:
        """Measure once."""
        device = self.device
        self.run_job(
            device.read,
            deadline_s=device.read_timeout_s + self.deadline_s,
            then=lambda signal: FocusReading(*signal),
        )

    def report_of(self, reading: object) -> Event | None:
        if not isinstance(reading, FocusReading):
            return None
        return FocusMeasured(
            self.name, reading.offset_um, reading.signal_sum, reading.is_good
        )
