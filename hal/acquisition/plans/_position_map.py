"""Which positions of two plans are the same place."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from hal.acquisition.plans.events import StagedEvent
from hal.acquisition.plans.parts import (
    AnyPart,
    EventsPart,
    MergedPart,
    SequencePart,
    positions,
)
from hal.acquisition.plans.plan import Plan
from hal.base import PlanError

Place = tuple[float | None, float | None, float | None]
"""x, y, z in micrometres; None where a position says nothing."""


def known_positions(plan: Plan) -> dict[int, Place]:
    """Return where each position of a plan is, by its number."""
    found: dict[int, Place] = {}
    _gather(plan.parts, 0, found)
    return found


def numbered(
    parts: Iterable[AnyPart], known: dict[int, Place], tolerance_um: float
) -> tuple[AnyPart, ...]:
    """Return parts whose positions have the numbers of known places nearby.

    Args:
        parts: Of the plan that is added.
        known: Places by number; new ones are added to it.
        tolerance_um: How far apart, along each axis, is still the same place.

    Raises:
        PlanError: Positions of several plans are merged in one of them.
    """
    return tuple(_numbered(part, known, tolerance_um) for part in parts)


def _numbered(part: AnyPart, known: dict[int, Place], tolerance_um: float) -> AnyPart:
    if isinstance(part, MergedPart):
        raise PlanError("append: expected plans to be appended before they are merged")
    if not isinstance(part, SequencePart | EventsPart):
        return part
    # Within the added plan two numbers stay two, though they may be one place.
    free = dict(known)
    numbers = []
    for place in _places(part).values():
        near = (n for n, other in free.items() if _is_near(place, other, tolerance_um))
        number = next(near, None)
        if number is None:
            number = max(known, default=-1) + 1
            known[number] = place
        free.pop(number, None)
        numbers.append(number)
    return msgspec.structs.replace(part, position_numbers=tuple(numbers))


def _gather(parts: Iterable[AnyPart], first: int, found: dict[int, Place]) -> None:
    for part in parts:
        if isinstance(part, MergedPart):
            at = first
            for child in part.children:
                _gather(child, at, found)
                at += positions(child)
        elif isinstance(part, SequencePart | EventsPart):
            for own, place in _places(part).items():
                named = part.position_numbers[own] if part.position_numbers else own
                found.setdefault(first + named, place)


def _places(part: SequencePart | EventsPart) -> dict[int, Place]:
    """Return the places of a part by its own numbers, which have no gaps."""
    if isinstance(part, SequencePart):
        entries = part.block.positions if "p" in part.block.order else ()
        if not entries:
            return {0: (None, None, None)}
        return {n: (e.x_um, e.y_um, e.z_um) for n, e in enumerate(entries)}
    found: dict[int, Place] = {}
    for event in part.listed:
        if isinstance(event, StagedEvent):
            place = (event.x_um, event.y_um, event.z_um)
            found.setdefault(event.index.get("p", 0), place)
    count = max(found, default=0) + 1
    return {n: found.get(n, (None, None, None)) for n in range(count)}


def _is_near(one: Place, other: Place, tolerance_um: float) -> bool:
    """Return whether two places are one; height counts where both say one."""
    if (one[0] is None) != (other[0] is None) or (one[1] is None) != (other[1] is None):
        return False
    return all(
        a is None or b is None or math.isclose(a, b, rel_tol=0, abs_tol=tolerance_um)
        for a, b in zip(one, other, strict=True)
    )
