"""Focus sensors: where the focus is."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from hal.base import Record
from hal.kernel import Access, Event, Lane, Request


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


class FindFocus(Request, frozen=True):
    """Bring the sample into focus; answers with a `FocusFound` when it is."""

    access: ClassVar[Access] = Access.RUN
    deadline_s: ClassVar[float] = 120.0
    tries: Annotated[int, Meta(ge=0)] = 3
    """How often to begin again when it does not succeed."""
    motor_offset_um: float | None = None
    """Where to put the offset motor first; None to leave it."""


class FocusFound(Record, frozen=True):
    """Where the sample is in focus."""

    z_um: float
    offset_um: float
    """What the sensor says is left of the distance."""


class FocusMeasured(Event, frozen=True):
    """A focus sensor was asked to report now and then, and does."""

    lane: ClassVar[Lane] = Lane.DISPLAY
    sensor: str
    offset_um: float | None
    signal_sum: float
    is_good: bool
