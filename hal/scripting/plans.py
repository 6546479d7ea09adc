"""Whatever a user calls a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hal.acquisition import FilmPlan, Plan, continuation, from_useq, load_plan
from hal.base import PlanError

if TYPE_CHECKING:
    import useq


def plan_of(plan: Plan | FilmPlan | useq.MDASequence | str | Path) -> Plan | FilmPlan:
    """Return whatever a user calls a plan as one.

    Raises:
        PlanError: It cannot be run as it is written.
        StartError: The package that reads it is not installed.
    """
    if isinstance(plan, Plan | FilmPlan):
        return plan
    if isinstance(plan, str | Path):
        return load_plan(plan)
    return from_useq(plan)


def continued(before: Plan | FilmPlan, more: Plan | FilmPlan) -> Plan:
    """Return `more` as a run of its own that goes on with the numbers of `before`.

    Raises:
        PlanError: One of them is a film, which numbers nothing, or they do not fit.
    """
    if isinstance(before, FilmPlan) or isinstance(more, FilmPlan):
        raise PlanError("a film has no timepoints or positions to go on with")
    return continuation(before, more)
