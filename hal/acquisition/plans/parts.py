"""The pieces of a plan: sequences, waits, films, lists, and positions side by side."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Annotated

import msgspec
from msgspec import Meta

from hal.acquisition.plan import FilmPlan
from hal.acquisition.plans._counting import sizes as block_sizes
from hal.acquisition.plans._counting import timings
from hal.acquisition.plans._placing import Placement, placed
from hal.acquisition.plans._walk import Walk
from hal.acquisition.plans.events import (
    AnyEvent,
    AutofocusEvent,
    ImageEvent,
    SetupEvent,
    WaitEvent,
)
from hal.acquisition.plans.sequence import Block
from hal.acquisition.plans.stimulation import Stimulation, stimulated
from hal.base import Record


class Part(Record, frozen=True, kw_only=True):
    """What all pieces have; what is not said here holds for a wait."""

    phase: str = ""
    """Id of the phase it is."""

    @property
    def n_events(self) -> int | None:
        """How many events it has; None for endless."""
        return 1

    @property
    def n_images(self) -> int | None:
        """How many of them make an image; None for endless."""
        return 0

    @property
    def sizes(self) -> Mapping[str, int]:
        """Length of each axis it uses; an endless one is not in it."""
        return {}

    @property
    def last_s(self) -> float:
        """When its last event is due, after its timer was last started."""
        return 0.0

    @property
    def interval_s(self) -> float:
        """Time between its last timepoints; 0 where there is one only."""
        return 0.0

    @property
    def restarts(self) -> bool:
        """Whether it starts its timer anew on the way."""
        return False

    def events(self, at: Placement) -> Iterator[AnyEvent]:
        """Yield its events as they are at a place of the plan."""
        raise NotImplementedError


class WaitPart(Part, frozen=True, kw_only=True):
    """Nothing, for a time."""

    duration_s: Annotated[float, Meta(ge=0)]

    def events(self, at: Placement) -> Iterator[AnyEvent]:
        yield WaitEvent(
            duration_s=self.duration_s, min_start_time_s=at.start_s, phase=self.phase
        )


class FilmPart(Part, frozen=True, kw_only=True):
    """Frames as fast as they come; each event is one frame of every camera."""

    film: FilmPlan

    @property
    def n_events(self) -> int | None:
        return self.film.frames

    @property
    def n_images(self) -> int | None:
        return self.film.frames

    @property
    def sizes(self) -> Mapping[str, int]:
        return {} if self.film.frames is None else {"t": self.film.frames}

    def events(self, at: Placement) -> Iterator[AnyEvent]:
        frames = self.film.frames
        t = 0
        while frames is None or t < frames:
            yield ImageEvent(
                index={"t": t + (at.t or 0)},
                min_start_time_s=at.start_s if t == 0 and at.start_s else None,
                phase=self.phase,
            )
            t += 1


class EventsPart(Part, frozen=True, kw_only=True):
    """A list of events, in the order in which they run."""

    listed: tuple[AnyEvent, ...]
    position_numbers: tuple[int, ...] = ()
    """What its own positions are called in the plan; empty for counting on."""
    time_per_position_s: float = 0.0

    @property
    def n_events(self) -> int | None:
        return len(self.listed)

    @property
    def n_images(self) -> int | None:
        return sum(event.makes_image for event in self.listed)

    @property
    def sizes(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for event in self.listed:
            for axis, at in event.index.items():
                found[axis] = max(found.get(axis, 0), at + 1)
        return found

    @property
    def last_s(self) -> float:
        return max(self._times_s(), default=0.0)

    @property
    def interval_s(self) -> float:
        times_s = sorted(set(self._times_s()))
        return times_s[-1] - times_s[-2] if len(times_s) > 1 else 0.0

    @property
    def restarts(self) -> bool:
        timed = [event for event in self.listed if not isinstance(event, SetupEvent)]
        return any(e.reset_timer and e.index != timed[0].index for e in timed)

    def _times_s(self) -> list[float]:
        times_s: list[float] = []
        for event in self.listed:
            if event.reset_timer:
                times_s = []
            if event.min_start_time_s is not None:
                times_s.append(event.min_start_time_s)
        return times_s

    def events(self, at: Placement) -> Iterator[AnyEvent]:
        yield from placed(
            iter(self.listed),
            at,
            self.phase,
            self.position_numbers,
            self.time_per_position_s,
        )


class SequencePart(Part, frozen=True, kw_only=True):
    """A regular acquisition, made when it is asked for and never held in memory."""

    block: Block
    events_count: int
    images_count: int
    restarts_timer: bool = False
    keep_shutter_open_across: tuple[str, ...] = ()
    setup: SetupEvent | None = None
    stimulation: Stimulation | None = None
    useq_json: str = ""
    """The sequence as useq writes it; empty where useq could not read it back."""
    position_numbers: tuple[int, ...] = ()
    """What its own positions are called in the plan; empty for counting on."""
    time_per_position_s: float = 0.0
    """How much later each position of a timepoint is due than the one before."""

    @property
    def n_events(self) -> int | None:
        return self.events_count

    @property
    def n_images(self) -> int | None:
        return self.images_count

    @property
    def sizes(self) -> Mapping[str, int]:
        return block_sizes(self.block)

    @property
    def last_s(self) -> float:
        timed = timings(self.block)
        return timed[-1].times.last_s if timed else 0.0

    @property
    def interval_s(self) -> float:
        timed = timings(self.block)
        return timed[-1].times.interval_s if timed else 0.0

    @property
    def restarts(self) -> bool:
        return self.restarts_timer

    @property
    def period(self) -> int | None:
        """After so many timepoints all repeats; None where nothing can be said."""
        if not self.block.order.startswith("t") or any(
            block is not self.block for block in timings(self.block)
        ):
            return None
        every = (entry.acquire_every for entry in self.block.channels)
        return math.lcm(*every) if "c" in self.block.order else 1

    def events(self, at: Placement) -> Iterator[AnyEvent]:
        yield from self._placed(Walk(self.block).events(), at, is_first=True)

    def stretches(self, at: Placement) -> Iterator[tuple[Iterator[AnyEvent], int]]:
        """Yield stretches of its events, and how often each comes in a row.

        What repeats is yielded once, with its first times; each stretch must be gone
        through before the next is asked for. The last timepoint always stands alone.
        """
        period, times = self.period, self.block.size("t")
        if period is None or times < 3 * period:
            yield self.events(at), 1
            return
        walk = Walk(self.block)
        # The first timepoints differ: focus plans and the timer know none before.
        repeats = (times - period - 1) // period
        for first, last, often in (
            (0, period, 1),
            (period, 2 * period, repeats),
            ((1 + repeats) * period, times, 1),
        ):
            walked = walk.events(range(first, last))
            yield self._placed(walked, at, is_first=first == 0), often

    def _placed(
        self,
        walked: Iterator[ImageEvent | AutofocusEvent],
        at: Placement,
        *,
        is_first: bool,
    ) -> Iterator[AnyEvent]:
        if self.keep_shutter_open_across:
            walked = self._with_shutter(walked)
        events: Iterator[AnyEvent] = walked
        if self.stimulation is not None:
            events = stimulated(walked, self.stimulation)
        if self.setup is not None and is_first:
            events = _after(self.setup, events)
        return placed(
            events, at, self.phase, self.position_numbers, self.time_per_position_s
        )

    def _with_shutter(
        self, events: Iterator[ImageEvent | AutofocusEvent]
    ) -> Iterator[ImageEvent | AutofocusEvent]:
        """Leave the light on where only the axes named change before the next event."""
        event = next(events, None)
        while event is not None:
            following = next(events, None)
            if following is not None and all(
                axis in self.keep_shutter_open_across
                for axis, at in event.index.items()
                if following.index.get(axis) != at
            ):
                event = msgspec.structs.replace(event, keep_shutter_open=True)
            yield event
            event = following


class MergedPart(Part, frozen=True, kw_only=True):
    """Plans of different positions at the same time: ordered by time, then position."""

    children: tuple[tuple[SequencePart | EventsPart, ...], ...]

    @property
    def n_events(self) -> int | None:
        return sum(part.n_events or 0 for child in self.children for part in child)

    @property
    def n_images(self) -> int | None:
        return sum(part.n_images or 0 for child in self.children for part in child)

    @property
    def sizes(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for child in self.children:
            for axis, size in serial_sizes(child).items():
                found[axis] = max(found.get(axis, 0), size)
        found["p"] = sum(positions(child) for child in self.children)
        return found

    @property
    def last_s(self) -> float:
        return max(end_s(child)[0] for child in self.children)

    @property
    def interval_s(self) -> float:
        return max(end_s(child) for child in self.children)[1]

    def events(self, at: Placement) -> Iterator[AnyEvent]:
        first = at.p or 0
        keyed = []
        for child in self.children:
            inner = Placement(at.t, first, at.start_s, keeps_reset=False)
            keyed.append(_keyed(serial_events(child, inner)))
            first += positions(child)
        for _, event in heapq.merge(*keyed, key=itemgetter(0)):
            yield event


AnyPart = SequencePart | WaitPart | EventsPart | FilmPart | MergedPart
"""Every kind of piece."""


def schedule(
    parts: tuple[AnyPart, ...], at: Placement
) -> Iterator[tuple[AnyPart, Placement]]:
    """Yield each part with the place it has when they follow each other along t.

    A part ends one interval after its last timepoint; next to a wait it ends with it.
    """
    numbers_t = at.t is not None or len(parts) > 1
    t, now_s, pause_s = at.t or 0, at.start_s, 0.0
    keeps_reset = at.keeps_reset
    for part in parts:
        if isinstance(part, WaitPart):
            yield part, Placement(None, None, now_s, keeps_reset=False)
            now_s, pause_s = now_s + part.duration_s, 0.0
        else:
            start_s = now_s + pause_s
            yield part, Placement(t if numbers_t else None, at.p, start_s, keeps_reset)
            now_s = part.last_s if part.restarts else start_s + part.last_s
            pause_s = part.interval_s
            t += timepoints(part)
        keeps_reset = False


def serial_events(parts: tuple[AnyPart, ...], at: Placement) -> Iterator[AnyEvent]:
    """Yield the events of parts that follow each other."""
    for part, place in schedule(parts, at):
        yield from part.events(place)


def end_s(parts: tuple[AnyPart, ...]) -> tuple[float, float]:
    """Return when the last timepoint is due, and the interval after it."""
    at_s = interval_s = 0.0
    for part, place in schedule(parts, Placement()):
        at_s = part.last_s if part.restarts else place.start_s + part.last_s
        interval_s = part.interval_s
        if isinstance(part, WaitPart):
            at_s += part.duration_s
    return at_s, interval_s


def timepoints(part: AnyPart) -> int:
    """Return how many numbers of the t axis a part takes."""
    return 0 if isinstance(part, WaitPart) else part.sizes.get("t", 1)


def positions(parts: tuple[AnyPart, ...]) -> int:
    """Return how many numbers of the p axis parts that follow each other take."""
    return max((_positions(part) for part in parts), default=0)


def serial_sizes(parts: tuple[AnyPart, ...]) -> dict[str, int]:
    """Return the length of each axis of parts that follow each other."""
    found: dict[str, int] = {}
    for part in parts:
        for axis, size in part.sizes.items():
            found[axis] = max(found.get(axis, 0), size)
        if "p" in part.sizes:
            found["p"] = max(found["p"], _positions(part))
    if len(parts) > 1:
        found["t"] = sum(timepoints(part) for part in parts)
    return found


def _positions(part: AnyPart) -> int:
    if isinstance(part, WaitPart):
        return 0
    if isinstance(part, SequencePart | EventsPart) and part.position_numbers:
        return max(part.position_numbers) + 1
    return part.sizes.get("p", 1)


def _keyed(events: Iterator[AnyEvent]) -> Iterator[tuple[float, AnyEvent]]:
    due_s = -math.inf
    for event in events:
        if event.min_start_time_s is not None:
            due_s = max(due_s, event.min_start_time_s)
        yield due_s, event


def _after(first: AnyEvent, rest: Iterator[AnyEvent]) -> Iterator[AnyEvent]:
    yield first
    yield from rest
