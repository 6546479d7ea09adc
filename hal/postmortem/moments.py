"""Trace records in words: what a person reads of the last seconds of a run."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hal.postmortem.session import TraceLine, seconds, text

_LONGEST: Final = 160
_QUIET: Final = frozenset({"statistics", "run ended", "configuration", "footer"})
"""Told elsewhere, or of no moment."""
_ECHOES: Final = frozenset(
    {
        *("run status changed", "module state changed", "system mode changed"),
        *("frames received", "frames stored"),
    }
)
"""Messages that only repeat what another record says."""
_ALARMING: Final = frozenset({"degraded", "hung", "failed", "restarting"})
_PASSED_OVER: Final = frozenset({"cancelled", "superseded"})


class Rank(enum.IntEnum):
    """How much a record matters to somebody who looks for a cause."""

    ORDINARY = 0
    WARNING = 1
    TROUBLE = 2


class Moment(NamedTuple):
    """One thing that happened."""

    wall_s: float
    rank: Rank
    who: str
    what: str


def moment_of(line: TraceLine) -> Moment | None:
    """Return a record in words; None where it says nothing of its own."""
    record, kind = line.record, line.record["kind"]
    if kind in _QUIET or text(record, "type") in _ECHOES:
        return None
    if kind == "delivery":
        return _delivery(line)
    who = text(record, "module") or text(record, "camera") or "hal"
    rank, what = _event(kind, record)
    return Moment(line.wall_s, rank, who, _cut(what))


def error_texts(record: Mapping[str, Any]) -> list[str]:
    """Return the errors of a delivery, one line each."""
    errors = record.get("errors")
    return [
        f"{text(error, 'kind')} at {text(error, 'source')}: {text(error, 'text')}"
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict)
    ]


def first_traceback(record: Mapping[str, Any]) -> str:
    """Return the traceback of the first error of a delivery that has one."""
    errors = record.get("errors")
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict) and text(error, "traceback"):
            return text(error, "traceback")
    return ""


def _delivery(line: TraceLine) -> Moment:
    record = line.record
    tickets = [t for t in record.get("tickets") or [] if isinstance(t, dict)]
    names = [text(ticket, "to") for ticket in tickets]
    to = ", ".join(names[:3]) + (f" and {len(names) - 3} more" * (len(names) > 3))
    bad = [
        f"{text(ticket, 'how')} at {text(ticket, 'to')}"
        for ticket in tickets
        if text(ticket, "how") not in ("done", *_PASSED_OVER)
    ]
    sent_s = seconds(record, "sent_s", 0.0)
    took_ms = 1000 * max(0.0, seconds(record, "done_s", sent_s) - sent_s)
    errors = error_texts(record)
    outcome = "; ".join([*bad, *errors]) or "ok"
    told = f"{text(record, 'type')} -> {to or 'nobody'}{_fields(record)}"
    rank = Rank.TROUBLE if bad or errors else Rank.ORDINARY
    wall_s = line.part.wall(sent_s)
    what = f"{told}: after {took_ms:.0f} ms {outcome}"
    return Moment(wall_s, rank, text(record, "from"), _cut(what))


def _event(kind: str, record: dict[str, Any]) -> tuple[Rank, str]:
    if kind == "late":
        age_s = seconds(record, "age_s", 0.0)
        limit_s = seconds(record, "deadline_s", 0.0)
        doing = f"{text(record, 'activity')} '{text(record, 'what')}'"
        return Rank.TROUBLE, f"late: {doing} for {age_s:.2f} s, allowed {limit_s:.2f} s"
    if kind == "state":
        state, reason = text(record, "state"), text(record, "reason")
        rank = Rank.TROUBLE if state in _ALARMING else Rank.ORDINARY
        was = f"{text(record, 'was')} -> " * bool(text(record, "was"))
        return rank, f"{was}{state}" + f": {reason}" * bool(reason)
    if kind == "log":
        level = text(record, "level")
        rank = Rank.TROUBLE if level in ("error", "critical") else Rank.ORDINARY
        if level == "warning" and text(record, "event") != "slow handler":
            rank = Rank.WARNING
        left = {"level", "event", "thread", "module", "t_s", "kind"}
        return rank, f"{level}: {text(record, 'event')}{_pairs(record, left)}"
    if kind == "frames":
        first, last = record.get("first"), record.get("last")
        return Rank.ORDINARY, f"frames {first}-{last} {text(record, 'step')}"
    alarming = kind in ("gap", "standstill", "given up", "late result")
    rank = Rank.TROUBLE if alarming else Rank.ORDINARY
    left = {"kind", "t_s", "module", "camera", "generation"}
    return rank, f"{kind}{_pairs(record, left)}"


def _fields(record: Mapping[str, Any]) -> str:
    fields = record.get("fields")
    return _pairs(fields, {"record"}) if isinstance(fields, dict) else ""


def _pairs(data: Mapping[str, Any], left_out: set[str]) -> str:
    shown = [
        f"{key}={_plain(value)}" for key, value in data.items() if key not in left_out
    ]
    told = " ".join(shown)
    short = told if len(told) <= _LONGEST else told[: _LONGEST - 3] + "..."
    return f"  {short}" if shown else ""


def _plain(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cut(what: str) -> str:
    flat = " ".join(what.split())
    return flat if len(flat) <= 2 * _LONGEST else flat[: 2 * _LONGEST - 3] + "..."
