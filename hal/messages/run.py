"""Runs: starting, watching and stopping an acquisition."""

from __future__ import annotations

from typing import ClassVar

from hal.acquisition import FilmPlan, Plan, RunStatus
from hal.base import Record
from hal.kernel import Event, Lane, Request


class StartRun(Request, frozen=True):
    """Validate a plan and begin it; answers at once with a `RunAccepted`."""

    deadline_s: ClassVar[float] = 60.0
    plan: FilmPlan | Plan
    directory: str
    """Folder for the files, made if it is missing."""
    name: str | None = None
    """Exactly this file name; None for the next free number."""
    formats: tuple[str, ...] = ("ome-tiff",)
    overwrite: bool = False
    """Whether files of that name may be replaced."""
    notes: str = ""


class RunAccepted(Record, frozen=True):
    """A run has begun."""

    run_id: str
    status: RunStatus


class CancelRun(Request, frozen=True):
    """End a run; what is stored stays. Harmless when it is over."""

    lane: ClassVar[Lane] = Lane.URGENT
    run_id: str


class PauseRun(Request, frozen=True):
    """Do nothing more of a plan until `ResumeRun`; what is being done is finished.

    Answers at once; harmless when it is paused or over.
    """

    lane: ClassVar[Lane] = Lane.URGENT
    run_id: str


class ResumeRun(Request, frozen=True):
    """Go on with a paused plan; harmless when it is not paused."""

    lane: ClassVar[Lane] = Lane.URGENT
    run_id: str


class SuspendRun(Request, frozen=True):
    """Pause whatever run is going on because of a condition of the microscope.

    Harmless without a run; kept for those that begin while it holds.
    """

    lane: ClassVar[Lane] = Lane.URGENT
    by: str
    """Name of the guard that says so; one reason of each counts."""
    why: str


class ReleaseRun(Request, frozen=True):
    """Withdraw what a guard has said; harmless if it said nothing."""

    lane: ClassVar[Lane] = Lane.URGENT
    by: str


class GetRunPlan(Request, frozen=True):
    """Answers with the `Plan` of a run of this session, and all that was added."""

    run_id: str


class ExtendRun(Request, frozen=True):
    """Add a plan to the end of one that is going on; answers with its `RunStatus`."""

    run_id: str
    plan: Plan


class GetRunStatus(Request, frozen=True):
    """Answers with the `RunStatus` of a run of this session."""

    lane: ClassVar[Lane] = Lane.URGENT
    run_id: str


class RunStatusChanged(Event, frozen=True):
    """A run has got on, or has ended."""

    run_id: str
    status: RunStatus
