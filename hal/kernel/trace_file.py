"""Trace files: JSON lines with a header, rotated by size, bounded in total."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO, Final

import orjson

from hal.base import Clock, iso_utc

FORMAT: Final = 1


class TraceFile:
    """One process's series of trace files in the log folder.

    Runs on: the log thread.

    Args:
        folder: Log folder; created if missing.
        session: ULID of the HAL session.
        process: `main`, or the name of a child process.
        clock: Source of both times in the header.
        part_bytes: A part that grows beyond this is followed by the next.
        total_bytes: The oldest parts in the folder, of any session, are deleted beyond
            this; the present part never is.
    """

    def __init__(
        self,
        folder: Path,
        session: str,
        process: str,
        clock: Clock,
        *,
        part_bytes: int = 50_000_000,
        total_bytes: int = 2_000_000_000,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        start = datetime.fromtimestamp(clock.wall_s(), UTC).strftime("%Y%m%dT%H%M%S")
        self._stem = f"trace_{start}_{session[-6:].lower()}_{process}"
        self._folder = folder
        self._session = session
        self._process = process
        self._clock = clock
        self._part_bytes = part_bytes
        self._total_bytes = total_bytes
        self._part = 0
        self._size = 0
        self._file: IO[bytes] | None = None
        self._next_part()

    @property
    def path(self) -> Path:
        """The first part: what a user is told."""
        return self._folder / f"{self._stem}.001.jsonl"

    def write(self, records: Sequence[Mapping[str, object]]) -> None:
        """Append records, each on its line, in one unbuffered write.

        Raises:
            OSError: Not written (disk full).
        """
        if not records or self._file is None:
            return
        data = b"".join(_line(record) for record in records)
        rest = memoryview(data)
        while rest:  # a disk that is about to be full takes a part
            rest = rest[self._file.write(rest) :]
        self._size += len(data)
        if self._size > self._part_bytes:
            self._next_part()

    def close(self) -> None:
        """Close the present part."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_part(self) -> None:
        self.close()
        self._part += 1
        path = self._folder / f"{self._stem}.{self._part:03d}.jsonl"
        # Unbuffered, so that what was written survives SIGKILL of this process.
        self._file = path.open("xb", buffering=0)
        self._size = self._file.write(_line(self._header()))
        self._delete_oldest(path)

    def _header(self) -> dict[str, object]:
        wall_s = self._clock.wall_s()
        return {
            "kind": "header",
            "format": FORMAT,
            "session": self._session,
            "process": self._process,
            "pid": os.getpid(),
            "part": self._part,
            "wall": iso_utc(wall_s),
            "wall_s": wall_s,
            "mono_s": self._clock.monotonic_s(),
            "versions": versions(),
        }

    def _delete_oldest(self, current: Path) -> None:
        parts = sorted(
            (part for part in self._folder.glob("trace_*.jsonl") if part != current),
            key=lambda part: part.name,
        )
        sizes: dict[Path, int] = {}
        for part in parts:
            with contextlib.suppress(OSError):  # another process was faster
                sizes[part] = part.stat().st_size
        excess = sum(sizes.values()) - self._total_bytes
        for part, size in sizes.items():
            if excess <= 0:
                return
            with contextlib.suppress(OSError):  # open elsewhere, on Windows
                part.unlink()
                excess -= size


def versions() -> dict[str, str]:
    """Return the versions of HAL, Python, the machine and the packages at work."""
    return dict(_installed())


@cache
def _installed() -> dict[str, str]:
    """Look them up; once, because it reads a file per package, and films ask often."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("halscope", "pykka", "numpy", "msgspec", "structlog", "tifffile"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _line(record: Mapping[str, object]) -> bytes:
    try:
        return _json(record)
    except TypeError:
        # One odd value (text that is not UTF-8, a number beyond 64 bits) must not
        # cost the record, let alone the ones after it.
        return _json({str(key): _writable(value) for key, value in record.items()})


def _writable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    try:
        _json(value)
    except TypeError:
        return f"({type(value).__name__} that cannot be written)"
    return value


def _json(value: object) -> bytes:
    return orjson.dumps(
        value,
        default=str,
        option=orjson.OPT_APPEND_NEWLINE
        | orjson.OPT_NON_STR_KEYS
        | orjson.OPT_SERIALIZE_NUMPY,
    )
