"""How times, ids, fields and tables look in the terminal: plain text, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tracing.records import Delivery

_SHOWN_ITEMS = 4
_SHOWN_RECEIVERS = 4
_DEEPEST = 3


def moment(wall_s: float, *, local: bool) -> datetime:
    """Return wall time rounded to the millisecond, in UTC or this machine's zone."""
    rounded = datetime.fromtimestamp(max(0.0, round(wall_s, 3)), UTC)
    return rounded.astimezone() if local else rounded


class Times:
    """Writes times of day, and says the day whenever it changes."""

    def __init__(self, *, local: bool) -> None:
        self._local = local
        self._day = ""

    def new_day(self, wall_s: float) -> str:
        """Return "# 2026-11-20 UTC" if that was not the day before, else ""."""
        when = moment(wall_s, local=self._local)
        day = f"# {when:%Y-%m-%d} {when.tzname()}"
        if day == self._day:
            return ""
        self._day = day
        return day

    def of_day(self, wall_s: float) -> str:
        """Return "06:00:00.123"."""
        when = moment(wall_s, local=self._local)
        return when.time().isoformat(timespec="milliseconds")

    def full(self, wall_s: float) -> str:
        """Return "2026-11-20 06:00:00.123 UTC"."""
        when = moment(wall_s, local=self._local)
        return f"{when:%Y-%m-%d} {self.of_day(wall_s)} {when.tzname()}"


def ms(seconds: float) -> str:
    """Return milliseconds with as many digits as a person reads."""
    value = seconds * 1000
    digits = 2 if value < 10 else 1 if value < 1000 else 0
    return f"{value:.{digits}f}"


def one_line(text: str) -> str:
    """Return `text` without line ends or control characters (terminals obey them)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def short_id(delivery_id: str) -> str:
    """Return "#12" for "main#12"; other processes keep their name."""
    return one_line(delivery_id.removeprefix("main"))


def receivers(delivery: Delivery) -> str:
    """Return the names of the receivers, the first few of many."""
    names = [one_line(ticket.to) for ticket in delivery.tickets]
    if len(names) > _SHOWN_RECEIVERS:
        rest = len(names) - _SHOWN_RECEIVERS + 1
        names = [*names[: _SHOWN_RECEIVERS - 1], f"{rest} more"]
    return ", ".join(names) or "nobody"


def outcome(delivery: Delivery) -> str:
    """Return "ok", or what became of the receivers that did not do it."""
    bad = [
        f"{one_line(t.how)} at {one_line(t.to)}"
        + (f" by {one_line(t.by)}" * bool(t.by))
        for t in delivery.tickets
        if t.how != "done"
    ]
    if len(bad) > _SHOWN_RECEIVERS:
        bad = [*bad[:_SHOWN_RECEIVERS], f"{len(bad) - _SHOWN_RECEIVERS} more"]
    if bad:
        return ", ".join(bad)
    if any(error.severity != "warning" for error in delivery.errors):
        return "failed"
    return "ok, with a warning" if delivery.errors else "ok"


def pairs(fields: Iterable[tuple[str, object]], longest: int | None = None) -> str:
    """Return "x_um=10 y_um=2.5", cut to `longest` characters."""
    text = " ".join(f"{one_line(name)}={value(item)}" for name, item in fields)
    return clip(text, longest)


def clip(text: str, longest: int | None) -> str:
    """Return `text`, ended by "..." where it is longer than `longest`."""
    if longest is None or len(text) <= longest:
        return text
    return text[: longest - 3] + "..."


def value(item: object, depth: int = 0) -> str:
    """Return a field's value, short."""
    if isinstance(item, str):
        return one_line(item) if item and " " not in item else repr(item)
    if item is None or isinstance(item, bool):
        return {None: "none", True: "yes", False: "no"}[item]
    if isinstance(item, float):
        return f"{item:.6g}"
    if depth == _DEEPEST and isinstance(item, list | dict):
        return "..."
    if isinstance(item, list):
        shown = ", ".join(value(one, depth + 1) for one in item[:_SHOWN_ITEMS])
        rest = len(item) - _SHOWN_ITEMS
        return f"[{shown}, {rest} more]" if rest > 0 else f"[{shown}]"
    if isinstance(item, dict):
        inner = [f"{one_line(str(k))}: {value(v, depth + 1)}" for k, v in item.items()]
        return "{" + ", ".join(inner) + "}"
    return str(item)


def table(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return aligned lines: the first `left` columns to the left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
