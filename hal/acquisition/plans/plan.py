"""What a run executes: parts in order, and what to do when one of them fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from hal.acquisition.plan import FilmPlan
from hal.acquisition.plans._checks import check_event, check_seconds
from hal.acquisition.plans._placing import Placement
from hal.acquisition.plans.events import AnyEvent, FailurePolicy, PlannedEvent
from hal.acquisition.plans.parts import (
    AnyPart,
    EventsPart,
    FilmPart,
    MergedPart,
    SequencePart,
    WaitPart,
    schedule,
    serial_sizes,
)
from hal.acquisition.plans.phases import Phase, check_phases
from hal.base import PlanError, Record


class Plan(Record, frozen=True, kw_only=True):
    """An experiment as data; its events are made one by one, as often as asked for.

    Make one with `from_useq`, `load_plan`, `film`, `wait`, `explicit` or `combine`.

    Runs on: any.

    Guarantees:
        Its events are the same ones, in the same order, each time it is iterated.
        It is plain data, however many events it has.
    """

    parts: tuple[AnyPart, ...]
    phases: tuple[Phase, ...] = ()
    on_failure: FailurePolicy = FailurePolicy()
    """For events that say nothing themselves."""
    deadline_s: Annotated[float, Meta(gt=0)] | None = None
    """The run fails when it takes longer; None for as long as it takes."""
    source: str = ""
    """File it was read from, as the user gave it."""
    first_t: int | None = None
    """Number of its first timepoint, where it goes on with an earlier plan."""

    def __iter__(self) -> Iterator[AnyEvent]:
        for part, place in self.schedule():
            yield from part.events(place)

    def schedule(self) -> Iterator[tuple[AnyPart, Placement]]:
        """Yield each part and where it begins."""
        return schedule(self.parts, Placement(t=self.first_t))

    @property
    def n_events(self) -> int | None:
        """How many events it has, waits included; None for endless."""
        return _total(part.n_events for part in self.parts)

    @property
    def n_images(self) -> int | None:
        """How many of them make an image; None for endless."""
        return _total(part.n_images for part in self.parts)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Length of each axis; those that are endless or not used are not in it.

        A crossing of two axes need not have an image: see `n_images`.
        """
        return serial_sizes(self.parts)

    @property
    def film(self) -> FilmPlan | None:
        """The film, if it is nothing else."""
        only = self.parts[0] if len(self.parts) == 1 else None
        return only.film if isinstance(only, FilmPart) else None

    def policy(self, event: PlannedEvent) -> FailurePolicy:
        """Return what to do when `event` fails."""
        return self.on_failure if event.on_failure is None else event.on_failure


def checked(plan: Plan) -> Plan:
    """Return `plan`, or say why nobody could run it; every maker of plans ends here.

    Raises:
        PlanError: It has no events, goes on after something endless, or names phases
            that it does not declare.
    """
    count = plan.n_events
    if count == 0 or not plan.parts:
        raise PlanError("the plan is empty: expected at least one event")
    if any(part.n_events is None for part in plan.parts[:-1]):
        raise PlanError("nothing can follow a film without an end")
    if plan.deadline_s is not None:
        check_seconds("deadline_s", plan.deadline_s, above_zero=True)
    phases = check_phases(plan.phases, _phases_used(plan.parts))
    return msgspec.structs.replace(plan, phases=phases)


def film(plan: FilmPlan) -> Plan:
    """Return a film as a plan: a number of frames, or until it is cancelled."""
    return checked(Plan(parts=(FilmPart(film=plan),)))


def wait(duration_s: float, phase: Phase | None = None) -> Plan:
    """Return a plan that lets time pass; worth something in `combine`.

    Raises:
        PlanError: Not a number of seconds from 0.
    """
    check_seconds("duration_s", duration_s)
    part = WaitPart(duration_s=float(duration_s), phase=phase.id if phase else "")
    return checked(Plan(parts=(part,), phases=(phase,) if phase else ()))


def explicit(
    events: Iterable[AnyEvent],
    *,
    phases: tuple[Phase, ...] = (),
    on_failure: FailurePolicy | None = None,
) -> Plan:
    """Return a plan of the events given, sorted once by time, then position.

    Events that are equal in both stay in the order given. One without a time goes with
    the one before it, and what follows a restart of the timer stays behind it.

    Raises:
        PlanError: No events, or one that nobody could run.
    """
    listed = tuple(events)
    for number, event in enumerate(listed):
        check_event(number, event)
    part = EventsPart(listed=in_order(listed))
    return checked(
        Plan(parts=(part,), phases=phases, on_failure=on_failure or FailurePolicy())
    )


def in_order(events: tuple[AnyEvent, ...]) -> tuple[AnyEvent, ...]:
    """Return events by time, then position; see `explicit`."""
    keyed = []
    timer, due_s = 0, 0.0
    for event in events:
        if event.reset_timer:
            timer, due_s = timer + 1, 0.0
        if event.min_start_time_s is not None:
            due_s = event.min_start_time_s
        keyed.append(((timer, due_s, event.index.get("p", 0)), event))
    return tuple(event for _, event in sorted(keyed, key=lambda pair: pair[0]))


def _phases_used(parts: Iterable[AnyPart]) -> Iterator[str]:
    for part in parts:
        yield part.phase
        if isinstance(part, EventsPart):
            yield from (event.phase for event in part.listed)
        elif isinstance(part, MergedPart):
            for child in part.children:
                yield from _phases_used(child)
        elif isinstance(part, SequencePart) and part.setup is not None:
            yield part.setup.phase


def _total(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total
