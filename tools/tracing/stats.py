"""Counts a session: how often, how long, what went wrong, per type and module."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field

from tracing.reader import Trace
from tracing.records import Delivery, Event, Header
from tracing.spans import Spans
from tracing.text import one_line

# What a newer message on the display lane has replaced has not failed.
_WELL = ("done", "superseded")


@dataclass(slots=True)
class Group:
    """All tickets of one type at one module."""

    queue_s: array[float] = field(default_factory=lambda: array("d"))
    handling_s: array[float] = field(default_factory=lambda: array("d"))
    total_s: array[float] = field(default_factory=lambda: array("d"))
    count: int = 0
    failed: int = 0
    late: set[str] = field(default_factory=set)
    """Ids; one that the watchdog reports twice is late once."""


@dataclass(slots=True)
class Process:
    """One process of the session."""

    name: str
    pid: int
    parts: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def missing(self) -> list[int]:
        """Parts that were rotated away, or lost."""
        expected = range(1, max(self.parts, default=0))
        return sorted(set(expected) - set(self.parts))


@dataclass(slots=True)
class Stats:
    """Everything `stats` prints."""

    session: str
    versions: dict[str, str]
    processes: dict[tuple[str, int], Process] = field(default_factory=dict)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    deliveries: int = 0
    failed: int = 0
    records: int = 0
    first_s: float = math.inf
    last_s: float = -math.inf
    errors: Counter[str] = field(default_factory=Counter)
    late: Counter[tuple[str, str]] = field(default_factory=Counter)
    late_results: int = 0
    restarts: Counter[str] = field(default_factory=Counter)
    deepest_queue: dict[str, int] = field(default_factory=dict)
    """The most that was found waiting for each module, a sample every few seconds."""
    gaps: int = 0
    lost: int = 0
    frames: dict[tuple[str, str], dict[str, Spans]] = field(default_factory=dict)
    levels: Counter[str] = field(default_factory=Counter)
    alarms: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    skipped_lines: int = 0
    cut_lines: int = 0
    files_left_out: int = 0

    @property
    def duration_s(self) -> float:
        """From the first header to the last record."""
        return max(0.0, self.last_s - self.first_s)

    @property
    def in_order(self) -> bool:
        """Whether the main process (all, if it left no file) wrote its footer."""
        main = [p for p in self.processes.values() if p.name == "main"]
        return all(process.ended for process in main or self.processes.values())


def collect(trace: Trace) -> Stats:
    """Read the whole session once; holds numbers, not records."""
    stats = Stats(trace.session, trace.headers[0].versions)
    for header in trace.headers:
        _process(stats, header).parts.append(header.part)
        stats.first_s = min(stats.first_s, header.wall_s)
        stats.last_s = max(stats.last_s, header.wall_s)
    last_parts = {(h.process, h.pid): h.part for h in trace.headers}
    for record in trace.records():
        stats.records += 1
        stats.first_s = min(stats.first_s, record.wall_s)
        header = record.header
        if isinstance(record, Delivery):
            stats.last_s = max(stats.last_s, header.wall(record.done_s))
            _add_delivery(stats, record)
            continue
        stats.last_s = max(stats.last_s, record.wall_s)
        if record.kind == "footer":
            if header.part >= last_parts.get((header.process, header.pid), 0):
                _process(stats, header).ended = True
        else:
            _add_event(stats, record)
    stats.skipped_lines = trace.damage.skipped
    stats.cut_lines = trace.damage.cut
    stats.files_left_out = trace.damage.files
    return stats


def _process(stats: Stats, header: Header) -> Process:
    key = (header.process, header.pid)
    return stats.processes.setdefault(key, Process(header.process, header.pid))


def _add_delivery(stats: Stats, delivery: Delivery) -> None:
    stats.deliveries += 1
    stats.failed += any(t.how not in _WELL for t in delivery.tickets) or any(
        error.severity != "warning" for error in delivery.errors
    )
    for error in delivery.errors:
        mark = " (warning)" if error.severity == "warning" else ""
        stats.errors[one_line(error.kind) + mark] += 1
    limit_s = math.inf if delivery.deadline_s is None else delivery.deadline_s
    for ticket in delivery.tickets:
        group = stats.groups.setdefault((delivery.type, ticket.to), Group())
        total_s = max(0.0, ticket.ended_s - delivery.sent_s)
        group.count += 1
        group.failed += ticket.how not in _WELL
        group.queue_s.append(ticket.waited_s)
        if ticket.handled_s is not None:
            group.handling_s.append(ticket.handled_s)
        group.total_s.append(total_s)
        if ticket.how == "timeout" or total_s > limit_s:
            group.late.add(delivery.id)
    if not delivery.tickets:
        group = stats.groups.setdefault((delivery.type, "-"), Group())
        group.count += 1
        group.failed += any(error.severity != "warning" for error in delivery.errors)
        group.total_s.append(delivery.total_s)


def _add_event(stats: Stats, event: Event) -> None:
    if event.kind == "late":
        stats.late[event.module, event.text("activity")] += 1
        if event.text("id"):
            key = (event.text("what"), event.module)
            stats.groups.setdefault(key, Group()).late.add(event.text("id"))
    elif event.kind == "late result":
        stats.late_results += 1
    elif event.kind == "restarted":
        stats.restarts[event.module] += 1
    elif event.kind == "statistics":
        for sample in event.parts("modules"):
            queued, deepest = int(sample.number("queued") or 0), stats.deepest_queue
            deepest[sample.module] = max(queued, deepest.get(sample.module, 0))
    elif event.kind == "gap":
        stats.gaps += 1
        stats.lost += int(event.number("lost") or 0)
    elif event.kind == "frames":
        steps = stats.frames.setdefault((event.text("camera"), event.text("run")), {})
        first, last = event.number("first") or 0, event.number("last") or 0
        steps.setdefault(event.text("step"), Spans()).add(int(first), int(last))
    elif event.kind == "log":
        stats.levels[event.text("level")] += 1
        if event.went_wrong:
            stats.alarms[event.text("level"), event.module, event.text("event")] += 1
