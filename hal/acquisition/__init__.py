"""The experiment: plans, the engine that runs them, and a run's status and handle."""

from hal.acquisition.engine import FilmEngine, describe_shortfall
from hal.acquisition.event_row import EventOutcome, EventRow
from hal.acquisition.plan import FilmPlan
from hal.acquisition.plans import Plan
from hal.acquisition.progress import FilmProgress
from hal.acquisition.rig import Armed, FinishedFilm, Rig
from hal.acquisition.run_handle import RunHandle
from hal.acquisition.run_status import RunState, RunStatus

__all__ = [
    "Armed",
    "EventOutcome",
    "EventRow",
    "FilmEngine",
    "FilmPlan",
    "FilmProgress",
    "FinishedFilm",
    "Plan",
    "Rig",
    "RunHandle",
    "RunState",
    "RunStatus",
    "describe_shortfall",
]
