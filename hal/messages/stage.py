"""Stages: where they are, and where they should be."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Record
from hal.kernel import Access, Event, Lane, Request


class MoveStage(Request, frozen=True):
    """Move to a position in stage coordinates; completes on arrival."""

    access: ClassVar[Access] = Access.RUN
    deadline_s: ClassVar[float] = 60.0
    x_um: float
    y_um: float


class MoveStageBy(Request, frozen=True):
    """Move by a distance; completes on arrival."""

    access: ClassVar[Access] = Access.RUN
    deadline_s: ClassVar[float] = 60.0
    dx_um: float
    dy_um: float


class GetStagePosition(Request, frozen=True):
    """Answers with a `StagePosition`."""


class StagePosition(Record, frozen=True):
    """Where an XY stage is."""

    x_um: float
    y_um: float


class StageMoved(Event, frozen=True):
    """An XY stage has arrived."""

    stage: str
    x_um: float
    y_um: float


class MoveZ(Request, frozen=True):
    """Move to a height; completes on arrival."""

    access: ClassVar[Access] = Access.RUN
    deadline_s: ClassVar[float] = 60.0
    z_um: float


class MoveZBy(Request, frozen=True):
    """Move by a height; completes on arrival."""

    access: ClassVar[Access] = Access.RUN
    deadline_s: ClassVar[float] = 60.0
    dz_um: float


class GetZPosition(Request, frozen=True):
    """Answers with a `ZPosition`."""


class ZPosition(Record, frozen=True):
    """Where a z stage is."""

    z_um: float


class ZMoved(Event, frozen=True):
    """A z stage has arrived."""

    stage: str
    z_um: float


class HaltMotion(Request, frozen=True):
    """Stop moving, now; the move in progress is halted, queued ones are cancelled."""

    lane: ClassVar[Lane] = Lane.URGENT
    cancels_queued: ClassVar[bool] = True
