"""Records as plain data, to be shown where somebody asks for one."""

from __future__ import annotations

from tracing.records import Delivery, Record

_LONGEST_TEXT = 20_000


def plain(record: Record) -> dict[str, object]:
    """Return what a record says; texts beyond 20,000 characters are cut."""
    if not isinstance(record, Delivery):
        return {key: _cut(value) for key, value in record.data.items()}
    first_s = record.sent_s
    return {
        "id": record.id,
        "type": record.type,
        "from": record.sender,
        "cause": record.cause,
        "run": record.run,
        "took_ms": _ms(record.total_s),
        "deadline_s": record.deadline_s,
        "fields": _cut(record.fields),
        "tickets": [
            {
                "to": ticket.to,
                "how": ticket.how,
                "by": ticket.by,
                "waited_ms": _ms(ticket.waited_s),
                "handled_ms": None
                if ticket.handled_s is None
                else _ms(ticket.handled_s),
                "ended_ms": _ms(ticket.ended_s - first_s),
            }
            for ticket in record.tickets
        ],
        "errors": [
            {
                "kind": error.kind,
                "source": error.source,
                "severity": error.severity,
                "text": _cut(error.text),
                "traceback": _cut(error.traceback),
                "dump": _cut(error.dump),
            }
            for error in record.errors
        ],
    }


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)


def _cut(value: object) -> object:
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return value[:_LONGEST_TEXT] + " (cut)"
    return value
