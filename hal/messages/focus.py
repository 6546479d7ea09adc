"""Focus sensors: where the focus is."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Record
from hal.kernel import Event, Lane, Request


class GetFocus(Request, frozen=True):
    """Measure once; answers with a `FocusReading`."""


class FocusReading(Record, frozen=True):
    """What a focus sensor sees."""

    offset_um: float | None
    """How far the focus is above where it should be; None with too little light."""
    signal_sum: float
    """All the light it sees, in the sensor's own unit."""
    is_good: bool
    """Whether a lock may follow it."""


class FocusMeasured(Event, frozen=True):
    """A focus sensor was asked to report now and then, and does."""

    lane: ClassVar[Lane] = Lane.DISPLAY
    sensor: str
    offset_um: float | None
    signal_sum: float
    is_good: bool
