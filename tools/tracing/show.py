"""`show`: the records of a session in order of time, one line each, filtered."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

from tracing.reader import Index, Trace
from tracing.records import Delivery, ErrorEntry, Event, Record
from tracing.text import (
    Times,
    ms,
    one_line,
    outcome,
    pairs,
    receivers,
    short_id,
)

_FIELDS_LONGEST = 60
# Fields that are in the line already.
_PLACED = frozenset({"kind", "t_s", "module", "camera"})


@dataclass(slots=True)
class Filter:
    """What to show; a record must match everything that is set."""

    module: str | None = None
    type: str | None = None
    run: str | None = None
    id: str | None = None
    errors: bool = False
    _seen: dict[str, set[str]] = field(
        default_factory=lambda: {"module": set(), "type": set(), "run": set()}
    )

    def matches(self, record: Record) -> bool:
        """Return whether `record` is to be shown."""
        if self.errors and not record.went_wrong:
            return False
        if self.id is not None and _id(record) != full_id(self.id):
            return False
        if self.run is not None and not self._run_matches(_run(record)):
            return False
        if self.module is not None and not self._among("module", _modules(record)):
            return False
        return self.type is None or self._type_matches(_types(record))

    def explain_nothing(self) -> str:
        """Return why nothing was shown, with the name the user probably meant."""
        set_ = [
            f"--{name} {text}"
            for name in ("module", "type", "run", "id")
            if (text := getattr(self, name)) is not None
        ]
        hint = ""
        for name in ("module", "type"):
            text = getattr(self, name)
            if text is not None and text not in self._seen[name]:
                near = difflib.get_close_matches(text, sorted(self._seen[name]), n=1)
                hint += f"; did you mean --{name} '{near[0]}'?" if near else ""
        return (
            "no record matches " + " ".join(set_ + ["--errors"] * self.errors) + hint
            if set_ or self.errors
            else "the trace has no records"
        )

    def _among(self, name: str, candidates: set[str]) -> bool:
        self._seen[name] |= candidates
        return getattr(self, name) in candidates

    def _type_matches(self, candidates: set[str]) -> bool:
        self._seen["type"] |= candidates
        wanted = _plain(self.type or "")
        return any(_plain(one) == wanted for one in candidates)

    def _run_matches(self, run: str | None) -> bool:
        # A run's ULID is long; its start or its end will do.
        wanted = self.run or ""
        return run is not None and (run.startswith(wanted) or run.endswith(wanted))


def show(trace: Trace, chosen: Filter, out: TextIO, err: TextIO, *, local: bool) -> int:
    """Print the matching records in order of time; return how many there were."""
    index = Index()
    for record in trace.records():
        if chosen.matches(record):
            index.add(record)
    if not index:
        err.write(f"hal_trace: {chosen.explain_nothing()}\n")
    times = Times(local=local)
    for record in index.read(index.by_time()):
        for line in lines(record, times, everything=chosen.errors):
            out.write(line + "\n")
    return len(index)


def lines(record: Record, times: Times, *, everything: bool) -> Iterator[str]:
    """Yield the line of a record, and indented below it its errors.

    Args:
        record: What to show.
        times: How to write its time.
        everything: Uncut fields, tracebacks and dumps too.
    """
    day = times.new_day(record.wall_s)
    if day:
        yield day
    longest = None if everything else _FIELDS_LONGEST
    time = times.of_day(record.wall_s)
    if isinstance(record, Event):
        id_ = short_id(record.text("id")) or "-"
        where = one_line(record.module) or "-"
        yield f"{time}  {id_:<9} {where:<26}  {event_text(record, longest)}"
        if everything and (dump := record.text("dump")):
            yield from _indented("dump", dump)
        return
    parts = (
        one_line(record.type),
        pairs(record.fields.items(), longest),
        f"{ms(record.total_s)} ms",
        outcome(record),
    )
    route = f"{one_line(record.sender)} -> {receivers(record)}"
    text = "  ".join(part for part in parts if part)
    yield f"{time}  {short_id(record.id):<9} {route:<26}  {text}"
    for error in record.errors:
        yield from error_lines(error, everything=everything)


def error_lines(error: ErrorEntry, *, everything: bool) -> Iterator[str]:
    """Yield an error, indented; its traceback and dump if `everything`."""
    mark = "warning: " * (error.severity == "warning")
    source = f" at {one_line(error.source)}" * bool(error.source)
    yield f"    {mark}{one_line(error.kind)}{source}: {one_line(error.text)}"
    if everything:
        yield from _indented("traceback", error.traceback)
        yield from _indented("dump", error.dump)


def event_text(event: Event, longest: int | None) -> str:
    """Return what an event says, without its time and module."""
    kind, text, number = event.kind, event.text, event.number
    if kind == "late":
        deadline = number("deadline_s")
        limit = f", deadline {ms(deadline)} ms" if deadline is not None else ""
        what = f"{one_line(text('activity'))} '{one_line(text('what'))}'"
        return f"late: {what} for {ms(number('age_s') or 0.0)} ms{limit}"
    if kind == "late result":
        return (
            f"late result: '{one_line(text('what'))}' {one_line(text('how'))} "
            f"after it was given up; discarded"
        )
    if kind == "state":
        was = f"{one_line(text('was'))} -> " * bool(text("was"))
        reason = f" ({one_line(text('reason'))})" * bool(text("reason"))
        return f"state: {was}{one_line(text('state'))}{reason}"
    if kind == "frames":
        first, last = number("first") or 0.0, number("last") or 0.0
        return f"frames: {first:.0f}-{last:.0f} {one_line(text('step'))}"
    if kind == "parameters":
        values = event.data.get("values")
        by = f"  by {one_line(text('by'))}" * bool(text("by"))
        changed = pairs(values.items(), longest) if isinstance(values, dict) else ""
        return f"parameters: {changed}{by}"
    if kind == "log":
        rest = _rest(event, {"level", "event", "thread"}, longest)
        return f"{one_line(text('level'))}: {one_line(text('event'))}{rest}"
    if kind == "gap":
        return f"gap: {number('lost') or 0.0:.0f} records were not written"
    if kind == "footer":
        return f"end: {one_line(event.header.process)} ended in order"
    return f"{one_line(kind)}:{_rest(event, set(), longest)}"


def full_id(wanted: str) -> str:
    """Return "main#12" for "12", "#12" and "main#12"."""
    if "#" not in wanted:
        return f"main#{wanted}"
    return f"main{wanted}" if wanted.startswith("#") else wanted


def _rest(event: Event, placed: set[str], longest: int | None) -> str:
    items = [
        (name, item)
        for name, item in event.data.items()
        if name not in _PLACED and name not in placed
    ]
    return f"  {pairs(items, longest)}" if items else ""


def _indented(label: str, text: str) -> Iterable[str]:
    body = [one_line(line.expandtabs(4)) for line in text.rstrip().splitlines()]
    if len(body) == 1:
        return [f"      {label}: {body[0]}"]
    return [f"      {label}:", *(f"        {line}" for line in body)] if body else []


def _id(record: Record) -> str:
    return record.id if isinstance(record, Delivery) else record.text("id")


def _run(record: Record) -> str | None:
    return record.run if isinstance(record, Delivery) else record.text("run") or None


def _modules(record: Record) -> set[str]:
    if isinstance(record, Event):
        return {record.module} - {""}
    return {record.sender, *(ticket.to for ticket in record.tickets)}


def _types(record: Record) -> set[str]:
    if isinstance(record, Delivery):
        return {record.type}
    return {record.kind, record.text("what")} - {""}


def _plain(name: str) -> str:
    # "move stage", "MoveStage" and "move_stage" are one type.
    return "".join(c for c in name.lower() if c.isalnum())
