"""The experiment: plans, the engine that runs them, and a run's status and handle."""

from hal.acquisition.approach import Change
from hal.acquisition.event_row import EventOutcome, EventRow
from hal.acquisition.film_engine import FilmEngine
from hal.acquisition.pauses import PERSON
from hal.acquisition.plan import FilmPlan
from hal.acquisition.plan_engine import PlanEngine, Studied
from hal.acquisition.plans import (
    Abilities,
    AnyEvent,
    CameraAbility,
    CameraRegion,
    ChannelAbility,
    ChannelName,
    DeviceProperty,
    ImageEvent,
    Phase,
    Plan,
    PlanProblem,
    Preflight,
    StimulationEvent,
    continuation,
    from_useq,
    layout_of,
    load_plan,
    preflight,
    stimulation_partners,
)
from hal.acquisition.progress import RunProgress
from hal.acquisition.rig import Armed, FinishedFilm, PlanRig, Reached, Rig, Taken
from hal.acquisition.run_engine import RunEngine
from hal.acquisition.run_handle import RunCommands, RunHandle
from hal.acquisition.run_status import RunState, RunStatus
from hal.acquisition.shortfall import describe_shortfall

__all__ = [
    "PERSON",
    "Abilities",
    "AnyEvent",
    "Armed",
    "CameraAbility",
    "CameraRegion",
    "Change",
    "ChannelAbility",
    "ChannelName",
    "DeviceProperty",
    "EventOutcome",
    "EventRow",
    "FilmEngine",
    "FilmPlan",
    "FinishedFilm",
    "ImageEvent",
    "Phase",
    "Plan",
    "PlanEngine",
    "PlanProblem",
    "PlanRig",
    "Preflight",
    "Reached",
    "Rig",
    "RunCommands",
    "RunEngine",
    "RunHandle",
    "RunProgress",
    "RunState",
    "RunStatus",
    "StimulationEvent",
    "Studied",
    "Taken",
    "continuation",
    "describe_shortfall",
    "from_useq",
    "layout_of",
    "load_plan",
    "preflight",
    "stimulation_partners",
]
