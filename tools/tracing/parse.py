"""Turns a line into a record, checked, so that no command meets a surprise.

Source of the format: `hal/kernel/trace.py`. One JSON object a line, told apart by
`kind`; fields and kinds that are not known here are kept as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson

from tracing.records import Delivery, ErrorEntry, Event, Header, Record, Ticket

FORMAT = 1

_FAR_S = 1e10  # years 1970 to 2286; a time outside is damage, and breaks datetime

# Kind -> fields that must be text, fields that must be numbers.
_NEEDED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "late": (("module", "activity", "what"), ("t_s", "age_s")),
    "late result": (("module", "what", "how"), ("t_s",)),
    "state": (("module", "state"), ("t_s",)),
    "frames": (("camera", "step"), ("t_s", "first", "last")),
    "parameters": (("module",), ("t_s",)),
    "log": (("level", "event"), ("t_s",)),
    "gap": ((), ("t_s", "lost")),
    "footer": ((), ("t_s",)),
}


class BadRecord(Exception):
    """A line is not a record of a trace; the text says what is wrong with it."""


def load_object(line: bytes) -> dict[str, object]:
    """Return the JSON object on a line.

    Raises:
        BadRecord: Not JSON, or not an object with a `kind`.
    """
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise BadRecord(f"not JSON ({exc})") from None
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise BadRecord("not an object with a 'kind'")
    return data


def parse_header(data: Mapping[str, object], path: Path) -> Header:
    """Return the header in `data`.

    Raises:
        BadRecord: It is no header, or one of a format this tool cannot read.
    """
    if data.get("kind") != "header":
        raise BadRecord("its first line is not a trace header")
    if data.get("format") != FORMAT:
        raise BadRecord(
            f"trace format {data.get('format')!r}, and this tool reads {FORMAT}: "
            "use the hal_trace.py of the HAL that wrote it"
        )
    versions = data.get("versions")
    return Header(
        path=path,
        session=_text(data, "session"),
        process=_text(data, "process"),
        pid=int(_optional_moment(data, "pid") or 0),
        part=int(_optional_moment(data, "part") or 1),
        wall_s=max(0.0, _moment(data, "wall_s")),
        mono_s=_moment(data, "mono_s"),
        versions={str(key): str(value) for key, value in versions.items()}
        if isinstance(versions, dict)
        else {},
    )


def parse_record(
    data: dict[str, object], header: Header, offset: int, before_s: float
) -> Record:
    """Return the record in `data`, which is not a header.

    Args:
        data: The line, as `load_object` returned it.
        header: Of the file it is in.
        offset: Of the line in that file, bytes.
        before_s: Stands in for `t_s` where a kind not known here has none.

    Raises:
        BadRecord: A field that its kind needs is missing or of a wrong type.
    """
    kind = data["kind"]
    if kind == "delivery":
        return _delivery(data, header, offset)
    if not isinstance(kind, str):
        raise BadRecord("its 'kind' is not text")
    if kind in _NEEDED:
        texts, numbers = _NEEDED[kind]
        for name in texts:
            _text(data, name)
        for name in numbers:
            _moment(data, name)
        return Event(header, offset, kind, _moment(data, "t_s"), data)
    t_s = _moment(data, "t_s") if "t_s" in data else before_s
    return Event(header, offset, kind, t_s, data)


def _delivery(data: dict[str, object], header: Header, offset: int) -> Delivery:
    fields, tickets, errors = (
        data.get("fields", {}),
        data.get("tickets", []),
        data.get("errors", []),
    )
    if not isinstance(fields, dict):
        raise BadRecord("'fields' is not an object")
    if not isinstance(tickets, list) or not isinstance(errors, list):
        raise BadRecord("'tickets' or 'errors' is not a list")
    return Delivery(
        header=header,
        offset=offset,
        id=_text(data, "id"),
        type=_text(data, "type"),
        sender=_text(data, "from"),
        cause=_optional_text(data, "cause"),
        run=_optional_text(data, "run"),
        sent_s=_moment(data, "sent_s"),
        done_s=_moment(data, "done_s"),
        deadline_s=_optional_moment(data, "deadline_s"),
        fields=fields,
        tickets=[_ticket(one) for one in tickets],
        errors=[_error(one) for one in errors],
    )


def _ticket(data: object) -> Ticket:
    if not isinstance(data, dict):
        raise BadRecord("a ticket is not an object")
    return Ticket(
        to=_text(data, "to"),
        queued_s=_moment(data, "queued_s"),
        started_s=_optional_moment(data, "started_s"),
        ended_s=_moment(data, "ended_s"),
        by=_optional_text(data, "by") or "",
        how=_text(data, "how"),
    )


def _error(data: object) -> ErrorEntry:
    if not isinstance(data, dict):
        raise BadRecord("an error is not an object")
    return ErrorEntry(
        kind=_text(data, "kind"),
        text=_optional_text(data, "text") or "",
        source=_optional_text(data, "source") or "",
        severity=_optional_text(data, "severity") or "error",
        traceback=_optional_text(data, "traceback") or "",
        dump=_optional_text(data, "dump") or "",
    )


def _text(data: Mapping[str, object], name: str) -> str:
    value = data.get(name)
    if isinstance(value, str):
        return value
    raise BadRecord(_complaint(data, name, "text"))


def _optional_text(data: Mapping[str, object], name: str) -> str | None:
    return None if data.get(name) is None else _text(data, name)


def _moment(data: Mapping[str, object], name: str) -> float:
    value = data.get(name)
    if type(value) is float or type(value) is int:
        if -_FAR_S < value < _FAR_S:
            return float(value)
        raise BadRecord(f"'{name}' is {value!r}, out of range")
    raise BadRecord(_complaint(data, name, "a number"))


def _optional_moment(data: Mapping[str, object], name: str) -> float | None:
    return None if data.get(name) is None else _moment(data, name)


def _complaint(data: Mapping[str, object], name: str, expected: str) -> str:
    kind = data.get("kind", "part of a delivery")
    if name not in data:
        return f"{kind!r} without '{name}'"
    return f"{kind!r}: '{name}' is not {expected}"
