"""Events of a part as they are at its place in the plan: numbers and times go on."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hal.acquisition.plans.events import AnyEvent, SetupEvent, WaitEvent
from hal.acquisition.plans.sequence import AXES


class Placement(msgspec.Struct, frozen=True):
    """Where a part begins."""

    t: int | None = None
    """Number of its first timepoint; None to leave the t axis alone."""
    p: int | None = None
    """Number of its first position; None to leave the p axis alone."""
    start_s: float = 0.0
    """When it begins, after the timer was started."""
    keeps_reset: bool = True
    """Whether its first event starts the timer, as in a plan of its own."""


def placed(
    events: Iterator[AnyEvent],
    at: Placement,
    phase: str,
    position_numbers: tuple[int, ...],
    time_per_position_s: float,
) -> Iterator[AnyEvent]:
    """Yield the events with the numbers and times of their place.

    Args:
        events: As the part itself counts them.
        at: Where the part begins.
        phase: Id for events that have none; empty for none.
        position_numbers: What each position is called; empty for counting on.
        time_per_position_s: How much later each position is due.
    """
    if at == Placement() and not (phase or position_numbers or time_per_position_s):
        yield from events
        return
    start_s, before_s = at.start_s, 0.0
    first = None
    for event in events:
        if isinstance(event, SetupEvent):
            yield _in_phase(event, phase)
            continue
        first = event.index if first is None else first
        resets = event.reset_timer
        if resets and not at.keeps_reset:
            # The run's timer goes on over the beginning of a part. Where the part
            # starts it anew on its way, its times count from there.
            resets = event.index != first
            start_s = 0.0 if resets else start_s
        index = _index(event, at, position_numbers)
        due_s = event.min_start_time_s
        before_s = 0.0 if event.reset_timer else before_s
        if due_s is not None or at.t is not None or time_per_position_s:
            # One without a time is due with the one before it.
            before_s = before_s if due_s is None else due_s
            rank = event.index.get("p", 0) + (at.p or 0)
            due_s = before_s + start_s + rank * time_per_position_s
        yield msgspec.structs.replace(
            event,
            index=index,
            min_start_time_s=due_s,
            reset_timer=resets,
            phase=event.phase or phase,
        )


def _index(
    event: AnyEvent, at: Placement, position_numbers: tuple[int, ...]
) -> dict[str, int]:
    index = dict(event.index)
    if isinstance(event, WaitEvent):
        return index
    p = index.get("p", 0)
    if "p" in index or at.p is not None or position_numbers:
        named = position_numbers[p] if position_numbers else p
        index["p"] = named + (at.p or 0)
    if at.t is not None:
        index["t"] = index.get("t", 0) + at.t
    return {axis: index[axis] for axis in sorted(index, key=_rank)}


def _rank(axis: str) -> int:
    return AXES.find(axis) % 64


def _in_phase(event: AnyEvent, phase: str) -> AnyEvent:
    if not phase or event.phase:
        return event
    return msgspec.structs.replace(event, phase=phase)
