"""A device module that may tell everybody of a reading now and then."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final

from hal.base import Float, Value
from hal.kernel.delivery import Delivery
from hal.kernel.device_module import D, DeviceModule
from hal.kernel.handles import handles
from hal.kernel.message import Event, Request
from hal.kernel.protocol import StartModule, StopModule
from hal.kernel.timers import Timer

REPORT_RETRY_S: Final = 5.0
"""Pause of the reports after a reading that failed."""


class ReportingModule(DeviceModule[D]):
    """Base of modules whose device is read, once or at intervals.

    Runs on: actor.
    """

    question: ClassVar[type[Request]]
    """What asks this module for a reading."""

    report_every_s = Float(
        0.0,
        unit="s",
        low=0.0,
        high=3600.0,
        live=True,
        help="Pause between two readings that are told to everybody; 0 for none.",
    )

    _report_timer: Timer | None = None

    @abstractmethod
    def report_of(self, reading: object) -> Event | None:
        """Return what everybody is told of a reading; None if it is none."""

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
        if self._report_timer is not None:
            self._report_timer.cancel()
            self._report_timer = None
        if delay_s:
            timers = self.context.timers
            self._report_timer = timers.after(delay_s, self._read_for_report)

    def _read_for_report(self) -> None:
        self.send(self.question(), to=self.name, reply=self._report)

    def _report(self, done: Delivery) -> None:
        if self._report_timer is None:
            return  # ended while the reading was made
        report = self.report_of(done.responses.get(self.name))
        if report is not None:
            self.send(report)
            self._report_in(self.report_every_s)
        else:
            self.log_failure(done)
            self._report_in(max(REPORT_RETRY_S, self.report_every_s))
