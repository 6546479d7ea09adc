"""A trace as a picture: tracks, spans on them, marks, and arrows from cause to effect.

What `export` writes and `html` draws.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from tracing.reader import Trace
from tracing.records import Delivery, Event, Record, Ticket

_INSTANT_S = 1e-6
_Row = tuple[str, int, str]
"""Process, its number, and the name of a track."""
_MARKED = frozenset(
    {"late", "late result", "gap", "standstill", "given up", "restarted", "mode"}
    | {"state", "lease", "parameters"}
)


@dataclass(slots=True)
class Span:
    """A handler or job of one module, from its start to its end."""

    track: int
    start_s: float
    """Wall time."""
    end_s: float
    name: str
    how: str
    """`done`, or what else became of it."""
    record: int
    """Number of the record that tells of it."""


@dataclass(slots=True)
class Mark:
    """Something that happened at one moment."""

    track: int
    wall_s: float
    name: str
    kind: str
    """`late`, `error`, `warning`, `state`, `mode` or `note`."""
    record: int


@dataclass(slots=True)
class Arrow:
    """One span made another one begin."""

    cause: int
    """Number of a span."""
    at_s: float
    """Wall time of sending; within the cause."""
    effect: int
    """Number of a span."""


@dataclass(slots=True)
class Track:
    """One line of the picture."""

    name: str
    """`stage/1`, or `stage/1 jobs`."""
    process: str
    pid: int
    module: str


@dataclass(slots=True)
class Timeline:
    """The whole picture; times are wall times, tracks are sorted by name."""

    tracks: list[Track] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    @property
    def first_s(self) -> float:
        """Wall time of the first thing in it."""
        return min(self._walls(), default=0.0)

    @property
    def last_s(self) -> float:
        """Wall time at which the last thing in it was over."""
        ends = [span.end_s for span in self.spans]
        return max([*ends, *(mark.wall_s for mark in self.marks)], default=0.0)

    def _walls(self) -> Iterator[float]:
        yield from (span.start_s for span in self.spans)
        yield from (mark.wall_s for mark in self.marks)


def timeline(trace: Trace) -> Timeline:
    """Return all of a session as a picture; holds its records in memory."""
    builder = _Builder()
    for record in trace.records():
        builder.add(record)
    return builder.done()


class _Builder:
    """Puts spans on tracks once all are known: generations come with other records."""

    def __init__(self) -> None:
        self._picture = Timeline()
        self._births: dict[str, list[tuple[float, int]]] = {}
        """By module: from when on it was of which generation."""
        self._open: list[tuple[Delivery, Ticket, int]] = []
        self._notes: list[tuple[Event, int]] = []
        self._first_tracks: dict[_Row, int] = {}

    def add(self, record: Record) -> None:
        number = len(self._picture.records)
        if isinstance(record, Delivery):
            self._open += [(record, t, number) for t in record.tickets]
        else:
            generation = record.number("generation")
            if record.kind in ("state", "restarted") and generation is not None:
                born = self._births.setdefault(record.module, [])
                born.append((record.wall_s, int(generation)))
            if not _is_noted(record):
                return
            self._notes.append((record, number))
        self._picture.records.append(record)

    def done(self) -> Timeline:
        picture = self._picture
        for born in self._births.values():
            born.sort()
        rows: dict[_Row, list[Span]] = {}
        for delivery, ticket, number in self._open:
            self._put(rows, delivery, ticket, number)
        for event, _ in self._notes:
            rows.setdefault(
                self._key(event, event.module or "hal", "", event.wall_s), []
            )
        for (process, pid, name), spans in sorted(rows.items()):
            for lane, chosen in enumerate(_lanes(spans)):
                again = f" ({lane + 1})" * bool(lane)
                if not lane:
                    self._first_tracks[process, pid, name] = len(picture.tracks)
                module = name.split("/")[0]
                picture.tracks.append(Track(name + again, process, pid, module))
                for span in chosen:
                    span.track = len(picture.tracks) - 1
                picture.spans += chosen
        picture.marks = [self._mark(event, number) for event, number in self._notes]
        picture.marks += self._failures()
        picture.arrows = list(self._arrows())
        return picture

    def _put(
        self,
        rows: dict[_Row, list[Span]],
        delivery: Delivery,
        ticket: Ticket,
        number: int,
    ) -> None:
        wall = delivery.header.wall
        if ticket.started_s is None:
            start_s = end_s = wall(ticket.ended_s)
        else:
            start_s = wall(ticket.started_s)
            end_s = wall(max(ticket.started_s, ticket.ended_s))
        part = "" if ticket.by in ("", "handler") else " jobs"
        key = self._key(delivery, ticket.to, part, start_s)
        end_s = max(end_s, start_s + _INSTANT_S)
        span = Span(-1, start_s, end_s, delivery.type, ticket.how, number)
        rows.setdefault(key, []).append(span)

    def _key(self, record: Record, module: str, part: str, wall_s: float) -> _Row:
        header = record.header
        name = f"{module}/{self._generation(module, wall_s)}{part}"
        return header.process, header.pid, name

    def _generation(self, module: str, wall_s: float) -> int:
        born = self._births.get(module)
        if not born:
            return 1
        at = bisect_right(born, (wall_s, math.inf)) - 1
        return born[max(0, at)][1]

    def _mark(self, event: Event, number: int) -> Mark:
        module = event.module or "hal"
        track = self._track(event, module, event.wall_s)
        return Mark(track, event.wall_s, _mark_name(event), _mark_kind(event), number)

    def _failures(self) -> Iterator[Mark]:
        # By the span, because the record may have several receivers.
        for span in self._picture.spans:
            record = self._picture.records[span.record]
            if span.how != "done" or (isinstance(record, Delivery) and record.errors):
                name = f"{span.name}: {span.how}"
                kind = "warning" if span.how in ("cancelled", "superseded") else "error"
                yield Mark(span.track, span.end_s, name, kind, span.record)

    def _track(self, event: Event, module: str, wall_s: float) -> int:
        return self._first_tracks[self._key(event, module, "", wall_s)]

    def _arrows(self) -> Iterator[Arrow]:
        picture = self._picture
        of_record: dict[int, list[int]] = {}
        for number, span in enumerate(picture.spans):
            of_record.setdefault(span.record, []).append(number)
        of_id: dict[str, int] = {}
        for number, record in enumerate(picture.records):
            if isinstance(record, Delivery):
                of_id.setdefault(record.id, number)
        for number, record in enumerate(picture.records):
            if not isinstance(record, Delivery) or record.cause not in of_id:
                continue
            sent_s = record.wall_s
            causes = [
                n
                for n in of_record.get(of_id[record.cause], ())
                if picture.tracks[picture.spans[n].track].module == record.sender
            ]
            for cause in causes[:1]:
                span = picture.spans[cause]
                at_s = min(max(sent_s, span.start_s), span.end_s)
                for effect in of_record.get(number, ()):
                    yield Arrow(cause, at_s, effect)


def _lanes(spans: list[Span]) -> list[list[Span]]:
    """Return spans in lanes: in each, one holds another whole or does not touch it."""
    lanes: list[list[Span]] = [[]]
    stacks: list[list[float]] = [[]]
    for span in sorted(spans, key=lambda s: (s.start_s, -s.end_s)):
        lane = next((n for n, stack in enumerate(stacks) if _fits(span, stack)), None)
        if lane is None:
            lane = len(lanes)
            lanes.append([])
            stacks.append([])
        stacks[lane].append(span.end_s)
        lanes[lane].append(span)
    return lanes


def _fits(span: Span, ends: list[float]) -> bool:
    """Whether a lane takes a span; `ends` are those of what is open in it."""
    while ends and ends[-1] <= span.start_s:
        ends.pop()
    return not ends or span.end_s <= ends[-1]


def _is_noted(event: Event) -> bool:
    if event.kind == "log":
        return event.text("level") != "debug"
    return event.kind in _MARKED


def _mark_kind(event: Event) -> str:
    if event.kind in ("late", "late result"):
        return "late"
    if event.kind in ("state", "mode"):
        return "error" if event.went_wrong else event.kind
    if event.kind in ("gap", "standstill", "given up"):
        return "error"
    if event.kind == "log":
        level = event.text("level")
        return {"info": "note", "warning": "warning"}.get(level, "error")
    return "note"


def _mark_name(event: Event) -> str:
    kind, text = event.kind, event.text
    if kind == "late":
        return f"late: {text('activity')} '{text('what')}'"
    if kind in ("state", "mode"):
        return f"{kind}: {text(kind)}"
    if kind == "log":
        return f"{text('level')}: {text('event')}"
    return kind
