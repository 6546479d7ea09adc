"""Analyses: watching the frames of a run while it goes on, and questions about them."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from hal.acquisition import FilmPlan, Plan, StimulationEvent
from hal.base import ErrorRecord, Record
from hal.kernel import Event, Request
from hal.messages.camera import CameraArmed


class BeginAnalysis(Request, frozen=True):
    """Watch the frames of a run that is about to begin; answers with `AnalysisBegun`.

    The rings of its cameras and feeds are there, and hold no frame yet.
    """

    deadline_s: ClassVar[float] = 30.0
    run_id: str
    cameras: tuple[CameraArmed, ...]
    """And feeds that are saved."""
    plan: FilmPlan | Plan


class AnalysisBegun(Record, frozen=True):
    """An analysis is ready for a run."""

    takes_part: bool
    """Whether it watches anything in it."""


class CatchUpAnalysis(Request, frozen=True):
    """Answers when all frames there are by now have been analysed.

    Harmless when it does not (or no longer) watch that run, as is `EndAnalysis`.
    """

    deadline_s: ClassVar[float] = 60.0
    run_id: str


class EndAnalysis(Request, frozen=True):
    """Analyse what is left of a run whose cameras have ended, and let it go.

    Answers with `AnalysisEnded`, or with the error that ended it before.
    """

    deadline_s: ClassVar[float] = 75.0
    run_id: str
    drain_s: Annotated[float, Meta(ge=0)]
    """So long that may take; the rest is left, which is an error."""
    stem: str = ""
    """Full path of the film without its endings, for files beside it; empty for none.
    """


class AnalysisEnded(Record, frozen=True):
    """What an analysis has done in a run."""

    frames: int
    """How many it has analysed: all there were."""
    files: tuple[str, ...] = ()
    """Written beside the film: full paths."""


class GetMask(Request, frozen=True):
    """Ask where to stimulate; answers with a `PackedMask`, in pixels of its frames.

    It takes all frames into account that there are by now. Without an opinion, or an
    analysis, it answers with an error.
    """

    run_id: str
    number: Annotated[int, Meta(ge=0)]
    """Of the event in the plan."""
    event: StimulationEvent


class GetFocusScore(Request, frozen=True):
    """Ask how sharp the sample is; answers with a `FocusScore`."""

    run_id: str


class FocusScore(Record, frozen=True):
    """How sharp the newest frame is: more is better, in units of the analysis."""

    score: float


class AnalysisFailed(Event, frozen=True):
    """An analysis can no longer follow a run, which goes on without it.

    Whoever answers True tells the user of its error.
    """

    run_id: str
    analysis: str
    error: ErrorRecord
