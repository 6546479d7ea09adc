"""Whatever a user calls a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hal.acquisition import FilmPlan, Plan, from_useq, load_plan

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
