"""What one line of a trace says.

Times ending in `_s` are seconds of the writing process's monotonic clock; its header
holds that clock and the wall clock read at the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ALARMING_STATES = frozenset({"degraded", "hung", "failed", "restarting"})
ALARMING_LEVELS = frozenset({"warning", "error", "critical"})


@dataclass(frozen=True, slots=True)
class Header:
    """First line of a file: who wrote it, and how its clock relates to the wall's."""

    path: Path
    session: str
    process: str
    pid: int
    part: int
    wall_s: float
    mono_s: float
    versions: dict[str, str]

    def wall(self, t_s: float) -> float:
        """Return wall time, seconds since 1970 UTC, of a time in this file."""
        return self.wall_s + (t_s - self.mono_s)


@dataclass(slots=True)
class Ticket:
    """One receiver's part in a delivery."""

    to: str
    queued_s: float
    started_s: float | None
    """None where it ended in the queue."""
    ended_s: float
    by: str
    how: str

    @property
    def waited_s(self) -> float:
        """Time in the queue."""
        until = self.ended_s if self.started_s is None else self.started_s
        return max(0.0, until - self.queued_s)

    @property
    def handled_s(self) -> float | None:
        """Time from start to end, or None where it never started."""
        if self.started_s is None:
            return None
        return max(0.0, self.ended_s - self.started_s)


@dataclass(slots=True)
class ErrorEntry:
    """One error that was attached to a delivery."""

    kind: str
    text: str
    source: str
    severity: str
    traceback: str
    dump: str


@dataclass(slots=True)
class Delivery:
    """One completed delivery."""

    header: Header
    offset: int
    """Of the line in its file, bytes."""
    id: str
    type: str
    sender: str
    cause: str | None
    run: str | None
    sent_s: float
    done_s: float
    deadline_s: float | None
    """Allowed from sending to completion."""
    fields: dict[str, object]
    tickets: list[Ticket]
    errors: list[ErrorEntry]

    @property
    def wall_s(self) -> float:
        """When it was sent, wall time."""
        return self.header.wall(self.sent_s)

    @property
    def total_s(self) -> float:
        """From sending to completion."""
        return max(0.0, self.done_s - self.sent_s)

    @property
    def went_wrong(self) -> bool:
        """Whether it has an error (a warning too) or a receiver that did not do it."""
        return bool(self.errors) or any(t.how != "done" for t in self.tickets)


@dataclass(slots=True)
class Event:
    """Any other record: late, state, frames, log ... or a kind not known here."""

    header: Header
    offset: int
    kind: str
    t_s: float
    data: dict[str, object]

    @property
    def wall_s(self) -> float:
        """When it happened, wall time."""
        return self.header.wall(self.t_s)

    def text(self, name: str) -> str:
        """Return a field that is text, or "" where it is missing or something else."""
        value = self.data.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """Return a field that is a number, or None."""
        value = self.data.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        return None

    def parts(self, name: str) -> list[Event]:
        """Return a field that is a list of records of the same kind; else nothing."""
        value = self.data.get(name)
        found = value if isinstance(value, list) else []
        return [
            Event(self.header, self.offset, self.kind, self.t_s, part)
            for part in found
            if isinstance(part, dict)
        ]

    @property
    def module(self) -> str:
        """Module (or camera) it speaks of, or ""."""
        return self.text("module") or self.text("camera")

    @property
    def went_wrong(self) -> bool:
        """Whether a person who looks for trouble wants to see it."""
        if self.kind == "log":
            return self.text("level") in ALARMING_LEVELS
        if self.kind == "state":
            return self.text("state") in ALARMING_STATES
        return self.kind in ("late", "late result", "gap")


Record = Delivery | Event
