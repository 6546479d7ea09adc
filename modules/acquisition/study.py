"""What a plan comes to on this microscope, before anything moves."""

from __future__ import annotations

from collections import Counter

from hal.acquisition import ImageEvent, Plan, Studied
from hal.base import PlanError, did_you_mean, one_of


def study(plan: Plan, cameras: tuple[str, ...]) -> Studied:
    """Return the cameras of a plan and the frames of each.

    Args:
        plan: What is to be done.
        cameras: All there are; the first is that of events that name none.

    Raises:
        PlanError: It names a camera that is not there.
    """
    if plan.n_images is None:
        return Studied({cameras[0]: None}, plan.deadline_s)
    counts: Counter[str] = Counter()
    for event in plan:
        if isinstance(event, ImageEvent):
            counts[event.camera or cameras[0]] += 1
    for name in counts:
        if name not in cameras:
            raise PlanError(
                f"there is no camera '{name}': expected one of {one_of(cameras)}"
                f"{did_you_mean(name, cameras)}"
            )
    first = {cameras[0]: counts[cameras[0]]} if cameras[0] in counts else {}
    return Studied({**first, **counts}, plan.deadline_s)
