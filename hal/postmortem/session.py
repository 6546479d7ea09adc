"""The trace of one session as files: its parts, read in order and within bounds.

Source of the format: `hal/kernel/trace_file.py`. A line that cannot be read is passed
over, because the end of a trace may be torn and the rest is needed all the more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

_LONGEST_HEADER: Final = 1_000_000
_FAR_S: Final = 1e10


class TracePart(msgspec.Struct, frozen=True):
    """One file of a trace, and how its clock relates to the wall's."""

    path: Path
    session: str
    process: str
    part: int
    wall_s: float
    mono_s: float
    header: bytes
    """Its first line."""
    versions: dict[str, str]

    def wall(self, t_s: float) -> float:
        """Return the wall time of a time in this file."""
        return self.wall_s + (t_s - self.mono_s)


class TraceLine(msgspec.Struct, frozen=True):
    """One line of a trace."""

    raw: bytes
    record: dict[str, Any]
    wall_s: float
    """When it was written, about; of a delivery, when it completed."""
    part: TracePart


def find_parts(folder: Path, session: str = "") -> list[TracePart]:
    """Return the parts of a session in a folder, the oldest first; of all if empty."""
    found: list[TracePart] = []
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            part = _read_part(path)
            if session in ("", part.session):
                found.append(part)
    return sorted(found, key=lambda part: (part.wall_s, part.process, part.part))


def read_lines(part: TracePart, most_bytes: int) -> Iterator[TraceLine]:
    """Yield the lines of a part but its header; its end where it is too large.

    Raises:
        OSError: It cannot be read.
    """
    before_s = part.mono_s
    with part.path.open("rb") as file:
        size = file.seek(0, 2)
        if size > most_bytes:
            file.seek(size - most_bytes)
            file.readline()
        else:
            file.seek(len(part.header))
        for raw in file:
            record = _object(raw)
            if record is None or record["kind"] == "header":
                continue
            before_s = seconds(record, "done_s", seconds(record, "t_s", before_s))
            yield TraceLine(raw, record, part.wall(before_s), part)


def seconds(record: dict[str, Any], name: str, otherwise: float) -> float:
    """Return a field that is a time, or something else where it is none."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    return float(value) if abs(value) < _FAR_S else otherwise


def text(record: dict[str, Any], name: str) -> str:
    """Return a field that is text, or an empty one."""
    value = record.get(name)
    return value if isinstance(value, str) else ""


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    is_record = isinstance(record, dict) and isinstance(record.get("kind"), str)
    return record if is_record else None


def _read_part(path: Path) -> TracePart:
    with path.open("rb") as file:
        first = file.readline(_LONGEST_HEADER)
    header = _object(first)
    if header is None or header["kind"] != "header":
        raise ValueError(f"{path} is no trace")
    versions = header.get("versions")
    return TracePart(
        path=path,
        session=str(header["session"]),
        process=str(header["process"]),
        part=int(header.get("part", 1)),
        wall_s=float(header["wall_s"]),
        mono_s=float(header["mono_s"]),
        header=first,
        versions=dict(versions) if isinstance(versions, dict) else {},
    )
