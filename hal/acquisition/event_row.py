"""What became of one event of a plan: a row of the table beside the film."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from hal.base import Record


class EventOutcome(enum.StrEnum):
    """How an event ended."""

    DONE = "done"
    SKIPPED = "skipped"
    """It failed, and the plan said to go on."""
    FAILED = "failed"
    """It failed, and ended the run."""


class EventRow(Record, frozen=True, kw_only=True):
    """One event as it was done; times are seconds since the run's timer began."""

    event: int
    """Its number in the plan, from 0."""
    kind: str
    """`image`, `autofocus`, `setup`, `wait`, `stimulation`."""
    outcome: EventOutcome
    why: str = ""
    """What failed."""
    tries: int = 1
    index: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Place along each axis of the plan."""
    phase: str = ""
    position_name: str = ""
    channel: str = ""
    camera: str = ""
    """Of an image: whose frame it is."""
    frame: int | None = None
    """Of an image: index of its frame in that camera's film, or of the gap it left."""
    exposure_s: float | None = None
    x_um: float | None = None
    """Where the stage said it was; None where nobody asked it."""
    y_um: float | None = None
    z_um: float | None = None
    due_s: float | None = None
    """When it was to begin; None for as soon as possible."""
    began_s: float | None = None
    """When it did: of an image, its exposure."""
    ended_s: float | None = None
