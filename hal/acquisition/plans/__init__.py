"""Plans: what a run does, as data, and whether it can be done."""

from hal.acquisition.plans._partners import (
    StimulationPartners,
    stimulation_partners,
)
from hal.acquisition.plans._problems import PlanProblem
from hal.acquisition.plans.abilities import Abilities, CameraAbility, ChannelAbility
from hal.acquisition.plans.combine import (
    SAME_PLACE_UM,
    append,
    combine,
    continuation,
    offset_positions,
    with_stimulation,
)
from hal.acquisition.plans.events import (
    AfterFailure,
    AnyEvent,
    AutofocusEvent,
    CameraRegion,
    ChannelName,
    DeviceProperty,
    FailurePolicy,
    ImageEvent,
    PlannedEvent,
    SetupEvent,
    StagedEvent,
    StimulationEvent,
    WaitEvent,
)
from hal.acquisition.plans.from_useq import from_useq, to_useq
from hal.acquisition.plans.layout import layout_of
from hal.acquisition.plans.load import load_plan
from hal.acquisition.plans.phases import Phase
from hal.acquisition.plans.plan import Plan, explicit, film, wait
from hal.acquisition.plans.preflight import (
    IntervalEstimate,
    LightDose,
    Preflight,
    preflight,
)
from hal.acquisition.plans.stimulation import Stimulation

__all__ = [
    "SAME_PLACE_UM",
    "Abilities",
    "AfterFailure",
    "AnyEvent",
    "AutofocusEvent",
    "CameraAbility",
    "CameraRegion",
    "ChannelAbility",
    "ChannelName",
    "DeviceProperty",
    "FailurePolicy",
    "ImageEvent",
    "IntervalEstimate",
    "LightDose",
    "Phase",
    "Plan",
    "PlanProblem",
    "PlannedEvent",
    "Preflight",
    "SetupEvent",
    "StagedEvent",
    "Stimulation",
    "StimulationEvent",
    "StimulationPartners",
    "WaitEvent",
    "append",
    "combine",
    "continuation",
    "explicit",
    "film",
    "from_useq",
    "layout_of",
    "load_plan",
    "offset_positions",
    "preflight",
    "stimulation_partners",
    "to_useq",
    "wait",
    "with_stimulation",
]
