"""`late`: who kept whom waiting, for how long, and behind what."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from tracing.reader import Trace
from tracing.records import Delivery, Event, Ticket
from tracing.text import Times, ms, one_line, short_id


@dataclass(slots=True)
class Wait:
    """One thing that took too long at one module; times are wall times."""

    module: str
    activity: str
    """handler, job, loop or delivery, as the watchdog saw it; else how it ended."""
    what: str
    id: str
    age_s: float
    deadline_s: float | None
    busy: tuple[float, float] = (math.inf, -math.inf)
    """When the module was at it."""
    queued: tuple[float, float] = (math.inf, -math.inf)
    """When it stood in the module's queue, where that was the longer part."""
    sender: str = ""
    sent_s: float | None = None
    ended: str = ""
    dump: str = ""
    too_late: str = ""
    behind: str = ""
    behind_s: float = 0.0
    waiters: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Sender -> how many of its messages stood behind this one, and the longest."""


Span = tuple[float, float]


def find(trace: Trace, percent: float, limit: int) -> tuple[list[Wait], int]:
    """Return the longest waits, longest first, and how many there are in all.

    Reads the trace twice: what is late is known only after the first time.

    Args:
        trace: The session.
        percent: A delivery counts when it used this much of its deadline.
        limit: Return at most so many.
    """
    waits: dict[tuple[str, str], Wait] = {}
    too_late: dict[tuple[str, str], str] = {}
    for number, record in enumerate(trace.records()):
        if isinstance(record, Delivery):
            _add_delivery(waits, record, percent)
        elif record.kind == "late":
            _add_late(waits, record, number)
        elif record.kind == "late result":
            after = f"its result ({record.text('how')}) came later and was discarded"
            too_late[record.text("id"), record.module] = after
    longest = sorted(waits.values(), key=lambda wait: -wait.age_s)[:limit]
    for wait in longest:
        wait.too_late = too_late.get((wait.id, wait.module), "")
    _find_causes(trace, longest)
    return longest, len(waits)


def _add_late(waits: dict[tuple[str, str], Wait], event: Event, number: int) -> None:
    # Without an id (a loop that missed its beat) every record is a wait of its own.
    id_ = event.text("id")
    key = (id_ or f"record {number}", event.module)
    old = waits.get(key)
    wait = Wait(
        module=event.module,
        activity=event.text("activity"),
        what=event.text("what"),
        id=id_,
        age_s=event.number("age_s") or 0.0,
        deadline_s=event.number("deadline_s"),
        dump=event.text("dump"),
    )
    if wait.activity != "delivery":
        wait.busy = (event.wall_s - wait.age_s, event.wall_s)
    if old is None:
        waits[key] = wait
    elif _tells_more(wait) > _tells_more(old):
        _merge(wait, old)
        waits[key] = wait
    else:
        _merge(old, wait)


def _tells_more(wait: Wait) -> tuple[bool, bool, float]:
    # "job" says where the time went, "delivery" that it went.
    return wait.activity not in ("", "delivery"), wait.activity != "", wait.age_s


def _add_delivery(
    waits: dict[tuple[str, str], Wait], delivery: Delivery, percent: float
) -> None:
    deadline_s = delivery.deadline_s
    blamed = [ticket for ticket in delivery.tickets if ticket.how == "timeout"]
    slow = deadline_s is not None and delivery.total_s >= deadline_s * percent / 100
    if slow and not blamed:
        # The others had ended when it was still waiting for this one.
        blamed = sorted(delivery.tickets, key=lambda ticket: ticket.ended_s)[-1:]
    for ticket in blamed:
        key = (delivery.id, ticket.to)
        new = _wait(delivery, ticket)
        old = waits.get(key)
        if old is not None:
            _merge(old, new)
        else:
            waits[key] = new


def _wait(delivery: Delivery, ticket: Ticket) -> Wait:
    wall = delivery.header.wall
    wait = Wait(
        module=ticket.to,
        activity="",
        what=delivery.type,
        id=delivery.id,
        age_s=max(0.0, ticket.ended_s - delivery.sent_s),
        deadline_s=delivery.deadline_s,
        sender=delivery.sender,
        sent_s=delivery.wall_s,
        ended=ticket.how + f" by {ticket.by}" * bool(ticket.by),
    )
    if ticket.started_s is not None:
        wait.busy = (wall(ticket.started_s), wall(ticket.ended_s))
    if ticket.waited_s > (ticket.handled_s or 0.0):
        wait.queued = _queued(delivery, ticket)
    return wait


def _merge(into: Wait, other: Wait) -> None:
    # A record of the watchdog and the delivery it speaks of are one wait.
    into.sender = into.sender or other.sender
    into.sent_s = other.sent_s if into.sent_s is None else into.sent_s
    into.ended = into.ended or other.ended
    into.dump = into.dump or other.dump
    into.activity = into.activity or other.activity
    into.busy = _hull(into.busy, other.busy)
    into.queued = _hull(into.queued, other.queued)
    into.deadline_s = other.deadline_s if into.deadline_s is None else into.deadline_s


def _find_causes(trace: Trace, waits: list[Wait]) -> None:
    of_module: dict[str, list[Wait]] = {}
    hulls: dict[str, Span] = {}
    of_id: dict[str, list[Wait]] = {}
    for wait in waits:
        of_module.setdefault(wait.module, []).append(wait)
        hull = hulls.get(wait.module, wait.busy)
        hulls[wait.module] = _hull(_hull(hull, wait.busy), wait.queued)
        if wait.id:
            of_id.setdefault(wait.id, []).append(wait)
    for record in trace.records(again=True):
        if isinstance(record, Event):
            if record.kind == "late" and record.text("activity") != "delivery":
                name = f"{record.text('activity')} '{record.text('what')}'"
                span = (record.wall_s - (record.number("age_s") or 0.0), record.wall_s)
                for wait in of_module.get(record.module, ()):
                    _maybe_behind(wait, name, record.text("id") or "-", span)
            continue
        for wait in of_id.get(record.id, ()):
            wait.sender, wait.sent_s = record.sender, record.wall_s
        for ticket in record.tickets:
            if ticket.to in hulls:
                _compare(of_module[ticket.to], hulls[ticket.to], record, ticket)


def _compare(waits: list[Wait], hull: Span, delivery: Delivery, ticket: Ticket) -> None:
    wall = delivery.header.wall
    queued, ended_s = _queued(delivery, ticket), wall(ticket.ended_s)
    if queued[0] > hull[1] or ended_s < hull[0]:
        return
    for wait in waits:
        if ticket.started_s is not None:
            span = (wall(ticket.started_s), ended_s)
            what = f"'{delivery.type}' {short_id(delivery.id)} from {delivery.sender}"
            _maybe_behind(wait, what, delivery.id, span)
        waited_s = _overlap(wait.busy, queued)
        if waited_s > 0 and delivery.id != wait.id:
            count, most_s = wait.waiters.get(delivery.sender, (0, 0.0))
            wait.waiters[delivery.sender] = (count + 1, max(most_s, waited_s))


def _maybe_behind(wait: Wait, what: str, id_: str, span: Span) -> None:
    common_s = _overlap(wait.queued, span)
    if common_s > wait.behind_s and id_ != wait.id:
        wait.behind, wait.behind_s = what, common_s


def _queued(delivery: Delivery, ticket: Ticket) -> Span:
    until_s = ticket.ended_s if ticket.started_s is None else ticket.started_s
    return delivery.header.wall(ticket.queued_s), delivery.header.wall(until_s)


def _overlap(one: Span, other: Span) -> float:
    return min(one[1], other[1]) - max(one[0], other[0])


def _hull(one: Span, other: Span) -> Span:
    return min(one[0], other[0]), max(one[1], other[1])


def text_lines(
    waits: list[Wait], total: int, percent: float, *, local: bool
) -> Iterator[str]:
    """Yield one line for each wait, and indented below it who, why and the dump."""
    if not waits:
        yield f"nothing was late, and no delivery used {percent:g} % of its deadline"
        return
    yield f"{total} late, or with {percent:g} % of the deadline used; longest first"
    times = Times(local=local)
    for wait in waits:
        yield from (one_line(line) for line in _wait_lines(wait, times))
    if total > len(waits):
        yield f"and {total - len(waits)} more (--limit)"


def _wait_lines(wait: Wait, times: Times) -> Iterator[str]:
    limit = "no deadline" if wait.deadline_s is None else f"of {ms(wait.deadline_s)} ms"
    what = " ".join(
        p for p in (wait.activity, f"'{wait.what}'", short_id(wait.id)) if p
    )
    yield f"{ms(wait.age_s):>9} ms {limit:<14}  {wait.module:<12}  {what}"
    indent = " " * 12
    if wait.sender and wait.sent_s is not None:
        ended = f"; {wait.ended}" * bool(wait.ended)
        yield f"{indent}sent by {wait.sender} at {times.full(wait.sent_s)}{ended}"
    elif wait.id:
        yield f"{indent}sender not known: the delivery never completed"
    if wait.too_late:
        yield indent + wait.too_late
    if wait.queued[1] > wait.queued[0]:
        long = f"{ms(wait.queued[1] - wait.queued[0])} ms in the queue"
        behind = f" behind {wait.behind}" if wait.behind else ", behind nothing known"
        yield f"{indent}{long}{behind}"
    if wait.waiters:
        by_time = sorted(wait.waiters.items(), key=lambda item: -item[1][1])
        names = ", ".join(
            f"{name} ({count} message{'s' * (count > 1)}, up to {ms(most_s)} ms)"
            for name, (count, most_s) in by_time
        )
        yield f"{indent}kept waiting: {names}"
    if wait.dump:
        yield f"{indent}dump: {wait.dump}"
