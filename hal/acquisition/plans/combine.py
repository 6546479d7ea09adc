"""Plans out of plans: one after the other, side by side, later, and going on."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Literal

import msgspec

from hal.acquisition.plans._checks import check_seconds
from hal.acquisition.plans._placing import Placement
from hal.acquisition.plans._position_map import known_positions, numbered
from hal.acquisition.plans.events import StimulationEvent
from hal.acquisition.plans.parts import (
    AnyPart,
    EventsPart,
    FilmPart,
    MergedPart,
    SequencePart,
    WaitPart,
    timepoints,
)
from hal.acquisition.plans.plan import Plan, checked
from hal.acquisition.plans.stimulation import Stimulation, check_stimulation
from hal.base import PlanError

SAME_PLACE_UM: Final = 0.5
"""Positions nearer than this are one."""


def combine(*plans: Plan, axis: Literal["t", "p"] = "t") -> Plan:
    """Return one plan of several.

    Along `t` they follow each other: numbers of timepoints go on, and each begins one
    interval (its own last one) after the last timepoint of the one before. Next to a
    wait there is no such interval: the wait begins with the last timepoint, and ends
    where the next plan begins.

    Along `p` they share the time: numbers of positions go on, and events are ordered by
    time, then position.

    `combine(combine(a, b), c)` and `combine(a, combine(b, c))` are the same plan.

    Args:
        plans: One or more.
        axis: Along which.

    Raises:
        PlanError: They cannot be combined so: with the number of the plan, and why.
    """
    if not plans:
        raise PlanError("combine: expected at least one plan")
    if axis not in ("t", "p"):
        raise PlanError(f"combine: axis={axis!r}: expected 't' or 'p'")
    if len(plans) == 1:
        return plans[0]
    _check_settings(plans)
    for number, plan in enumerate(plans[1:], 1):
        if plan.first_t is not None:
            raise PlanError(f"combine: plan {number} goes on with an earlier one")
    if axis == "t":
        parts: tuple[AnyPart, ...] = sum((plan.parts for plan in plans), ())
    else:
        children = (
            child
            for number, plan in enumerate(plans)
            for child in _side_by_side(number, plan)
        )
        parts = (MergedPart(children=tuple(children)),)
    deadlines = [plan.deadline_s for plan in plans]
    known = [each for each in deadlines if each is not None]
    return checked(
        Plan(
            parts=parts,
            phases=sum((plan.phases for plan in plans), ()),
            on_failure=plans[0].on_failure,
            # Of plans that share the time, the longest may be had.
            deadline_s=None
            if len(known) < len(deadlines)
            else (sum(known) if axis == "t" else max(known)),
            source=plans[0].source,
            first_t=plans[0].first_t,
        )
    )


def offset_positions(plan: Plan, time_per_position_s: float) -> Plan:
    """Return a plan whose positions are due one after the other in each timepoint.

    Position number k is due k times `time_per_position_s` later than it was, so that
    intervals and lateness of a position mean what they say.

    Raises:
        PlanError: Not a time; or positions do not change slowest within a timepoint;
            or the last position of a timepoint would come after the next timepoint.
    """
    check_seconds("time_per_position_s", time_per_position_s)
    parts = []
    for part in plan.parts:
        if isinstance(part, SequencePart | EventsPart):
            _check_offset(part, time_per_position_s)
            part = msgspec.structs.replace(
                part, time_per_position_s=float(time_per_position_s)
            )
        elif not isinstance(part, WaitPart):
            raise PlanError("offset_positions: expected it before plans are merged")
        parts.append(part)
    return checked(msgspec.structs.replace(plan, parts=tuple(parts)))


def with_stimulation(plan: Plan, stimulation: Stimulation) -> Plan:
    """Return a plan that stimulates after the images of each place and timepoint.

    The projector stays where the last image was taken, in x, y and z.

    Raises:
        PlanError: It is no sequence, or images of a place do not come together.
    """
    parts = []
    for part in plan.parts:
        if isinstance(part, SequencePart):
            if part.stimulation is not None:
                raise PlanError("stimulation: there is one already")
            check_stimulation(stimulation, part.block)
            part = msgspec.structs.replace(part, stimulation=stimulation)
            count = sum(
                repeats * sum(isinstance(event, StimulationEvent) for event in events)
                for events, repeats in part.stretches(Placement())
            )
            part = msgspec.structs.replace(part, events_count=part.events_count + count)
        elif not isinstance(part, WaitPart):
            raise PlanError("stimulation: expected a sequence")
        parts.append(part)
    return checked(msgspec.structs.replace(plan, parts=tuple(parts)))


def append(plan: Plan, more: Plan, tolerance_um: float = SAME_PLACE_UM) -> Plan:
    """Return `plan` with the events of `more` behind it, for a run that is going on.

    As `combine` along `t`, but a position of `more` at a place that `plan` goes to has
    its number, and others are numbered from there on.

    Raises:
        PlanError: They cannot be combined.
    """
    numbers = known_positions(plan)
    parts = numbered(more.parts, numbers, tolerance_um)
    return combine(plan, msgspec.structs.replace(more, parts=parts))


def continuation(plan: Plan, more: Plan, tolerance_um: float = SAME_PLACE_UM) -> Plan:
    """Return only the events of `more`, numbered as `append` does, for a new run.

    Its times are those of `more`: a new run has a timer of its own.

    Raises:
        PlanError: They cannot be combined.
    """
    whole = append(plan, more, tolerance_um)
    first_t = (plan.first_t or 0) + sum(timepoints(part) for part in plan.parts)
    return checked(
        msgspec.structs.replace(
            more, parts=whole.parts[len(plan.parts) :], first_t=first_t
        )
    )


def _check_settings(plans: tuple[Plan, ...]) -> None:
    for number, plan in enumerate(plans[1:], 1):
        if plan.on_failure != plans[0].on_failure:
            raise PlanError(
                f"combine: on_failure of plan {number} differs from that of plan 0"
            )


def _side_by_side(
    number: int, plan: Plan
) -> tuple[tuple[SequencePart | EventsPart, ...], ...]:
    only = plan.parts[0] if len(plan.parts) == 1 else None
    if isinstance(only, MergedPart):
        return only.children
    child: list[SequencePart | EventsPart] = []
    for part in plan.parts:
        what = f"combine: plan {number}"
        if isinstance(part, WaitPart):
            raise PlanError(
                f"{what} has a wait, which would hold all positions: combine along p "
                "first, then along t"
            )
        if isinstance(part, FilmPart | MergedPart):
            kind = "a film" if isinstance(part, FilmPart) else "merged positions"
            raise PlanError(f"{what} has {kind} in it: expected a sequence or events")
        if part.restarts:
            raise PlanError(
                f"{what} starts its timer again at another position, so that its times "
                "cannot be compared: expected an axis_order that begins with t"
            )
        child.append(part)
    return (tuple(child),)


def _check_offset(part: SequencePart | EventsPart, time_per_position_s: float) -> None:
    if part.restarts:
        raise PlanError(
            "offset_positions: each position has its own time axis already: expected "
            "an axis_order that begins with t"
        )
    count = part.sizes.get("p", 1)
    late_s = (count - 1) * time_per_position_s
    if isinstance(part, SequencePart):
        if "p" in part.block.order.lstrip("t")[1:]:
            raise PlanError(
                f"offset_positions: axis_order={part.block.order!r}: expected p right "
                "behind t"
            )
        intervals_s = [each for each in part.block.times.intervals_s() if each]
    else:
        times_s = sorted({e.min_start_time_s or 0.0 for e in part.listed})
        intervals_s = [late - early for early, late in pairwise(times_s)]
    shortest_s = min(intervals_s, default=None)
    if shortest_s is not None and late_s >= shortest_s:
        raise PlanError(
            f"time_per_position_s={time_per_position_s:g}: the last of {count} "
            f"positions would be due {late_s:g} s late, expected less than the "
            f"interval of {shortest_s:g} s"
        )
