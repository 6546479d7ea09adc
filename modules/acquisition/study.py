"""What a plan comes to on this microscope, before anything moves."""

from __future__ import annotations

from collections import Counter
from typing import Final

from hal.acquisition import ImageEvent, Plan, Preflight, Studied, preflight
from hal.base import get_logger
from hal.kernel import Module
from hal.messages import StartRun
from modules.acquisition.gathering import gather_abilities

SPARE_S: Final = 300.0
"""So much longer than twice its estimate a run may take."""
_UNKNOWN_S: Final = 30.0
"""Allowed for each event where some device cannot say how long it takes."""

log = get_logger(module="acquisition")


def study(
    module: Module, request: StartRun, plan: Plan, cameras: tuple[str, ...]
) -> Studied:
    """Return the cameras of a plan, the frames of each, and how long it may take.

    Runs on: worker.

    Args:
        module: Who asks the others.
        request: Where the data go.
        plan: What is to be done: all of `request`, or an addition to it.
        cameras: All there are; the first is that of events that name none.

    Raises:
        PlanError: It cannot be done here; what moves has not moved.
    """
    found = preflight(plan, gather_abilities(module, request, cameras))
    found.require(plan.source)
    for warning in found.warnings:
        log.info("preflight", warning=warning)
    deadline_s = plan.deadline_s or _deadline_s(found)
    if plan.n_images is None:
        return Studied({cameras[0]: None}, deadline_s)
    counts: Counter[str] = Counter()
    for event in plan:
        if isinstance(event, ImageEvent):
            counts[event.camera or cameras[0]] += 1
    first = {cameras[0]: counts[cameras[0]]} if cameras[0] in counts else {}
    return Studied({**first, **counts}, deadline_s)


def _deadline_s(found: Preflight) -> float | None:
    """Return after how long something must be wrong; None for a plan without end."""
    if found.duration_s is None:
        return None
    unknown_s = _UNKNOWN_S * (found.n_events or 0) if found.warnings else 0.0
    return 2 * found.duration_s + SPARE_S + unknown_s
