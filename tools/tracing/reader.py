"""Finds the files of one session and reads them, whatever happened to them."""

from __future__ import annotations

import glob
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, TextIO

from tracing.parse import BadRecord, load_object, parse_header, parse_record
from tracing.records import Header, Record

_LONGEST_HEADER = 1_000_000  # bytes; do not load a whole film that is called .jsonl
_REPORTED_LINES = 20


class NotATrace(Exception):
    """The user named something that holds no trace; the text says what was found."""


class Damage:
    """Counts lines that could not be read, and names the first of them on stderr."""

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self.skipped = 0
        """Corrupt lines."""
        self.cut = 0
        """Last lines without an end: HAL was killed, or is writing just now."""
        self.files = 0
        """Files of the session that could not be read at all."""

    def corrupt(self, path: Path, line: int, why: str) -> None:
        """Count a corrupt line."""
        self.skipped += 1
        if self.skipped <= _REPORTED_LINES:
            self._say(f"{path}:{line}: skipped: {why}")
        elif self.skipped == _REPORTED_LINES + 1:
            self._say("further corrupt lines are only counted")

    def cut_off(self) -> None:
        """Count a last line that is not complete."""
        self.cut += 1

    def unreadable(self, path: Path, why: str) -> None:
        """Count a file that is left out."""
        self.files += 1
        self._say(f"{path}: left out: {why}")

    def summary(self) -> str:
        """Return one line, or "" where everything could be read."""
        parts = (
            (self.skipped, "corrupt line skipped", "corrupt lines skipped"),
            (self.cut, "last line cut off", "last lines cut off"),
            (self.files, "file left out", "files left out"),
        )
        return ", ".join(
            f"{n} {one if n == 1 else more}" for n, one, more in parts if n
        )

    def _say(self, text: str) -> None:
        self._err.write(f"hal_trace: {text}\n")


class Trace:
    """All files of one session, of all its processes."""

    def __init__(self, headers: list[Header], damage: Damage) -> None:
        self.headers = headers
        """One a file, by process and part."""
        self.damage = damage

    @classmethod
    def find(cls, log: str, err: TextIO) -> Trace:
        """Return the session that `log` names.

        Args:
            log: A file of the session; or a folder, for the newest session in it; or
                a name with wildcards, or the start of one, for the newest match.
            err: Gets one line for each line or file that cannot be read.

        Raises:
            NotATrace: There is none.
        """
        damage = Damage(err)
        path = Path(log)
        if path.is_file():
            try:
                wanted = read_header(path)
            except (BadRecord, OSError) as exc:
                raise NotATrace(f"{log}: not a trace: {exc}") from exc
        else:
            wanted = _newest(log, path)
        return cls(_siblings(wanted, damage), damage)

    @property
    def session(self) -> str:
        """ULID of the session."""
        return self.headers[0].session

    def records(self, *, again: bool = False) -> Iterator[Record]:
        """Yield every record, file by file, holding only one in memory.

        Args:
            again: Damage was counted by an earlier pass; say nothing about it.
        """
        for header in self.headers:
            try:
                yield from self._file(header, quiet=again)
            except OSError as exc:
                if not again:
                    self.damage.unreadable(header.path, str(exc))

    def _file(self, header: Header, *, quiet: bool) -> Iterator[Record]:
        offset = 0
        before_s = header.mono_s
        with header.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                here, offset = offset, offset + len(line)
                try:
                    data = load_object(line)
                    if data["kind"] == "header":
                        # Files joined with `cat` bring their clocks along.
                        header = parse_header(data, header.path)
                        before_s = header.mono_s
                        continue
                    record = parse_record(data, header, here, before_s)
                except BadRecord as exc:
                    if quiet:
                        continue
                    if line.endswith(b"\n"):
                        self.damage.corrupt(header.path, number, str(exc))
                    else:
                        self.damage.cut_off()
                    continue
                before_s = header.mono_s + (record.wall_s - header.wall_s)
                yield record


class Index:
    """Remembers where records are, 20 bytes each, to read them in another order."""

    def __init__(self) -> None:
        self._walls = array("d")
        self._offsets = array("q")
        self._header_numbers = array("i")
        self._headers: list[Header] = []

    def __len__(self) -> int:
        return len(self._walls)

    def add(self, record: Record) -> None:
        """Remember a record; the first one has position 0."""
        if not self._headers or self._headers[-1] is not record.header:
            self._headers.append(record.header)
        self._walls.append(record.wall_s)
        self._offsets.append(record.offset)
        self._header_numbers.append(len(self._headers) - 1)

    def by_time(self) -> list[int]:
        """Return the positions, sorted by wall time; equal times stay in file order."""
        return sorted(range(len(self)), key=self._walls.__getitem__)

    def read(self, positions: Iterable[int]) -> Iterator[Record]:
        """Yield the records at `positions`, read from their files again.

        Raises:
            NotATrace: A file was changed or removed meanwhile.
        """
        files: dict[Path, BinaryIO] = {}
        with ExitStack() as stack:
            for position in positions:
                header = self._headers[self._header_numbers[position]]
                offset = self._offsets[position]
                try:
                    file = files.get(header.path)
                    if file is None:
                        file = stack.enter_context(header.path.open("rb"))
                        files[header.path] = file
                    file.seek(offset)
                    data = load_object(file.readline())
                    t_s = header.mono_s + (self._walls[position] - header.wall_s)
                    yield parse_record(data, header, offset, t_s)
                except (BadRecord, OSError) as exc:
                    raise NotATrace(
                        f"{header.path}: changed while it was read: {exc}"
                    ) from exc


def read_header(path: Path) -> Header:
    """Return the header of a file.

    Raises:
        BadRecord: It is no trace.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        line = file.readline(_LONGEST_HEADER)
    if not line:
        raise BadRecord("the file is empty")
    try:
        data = load_object(line)
    except BadRecord:
        raise BadRecord("its first line is not a trace header") from None
    return parse_header(data, path)


def _newest(log: str, path: Path) -> Header:
    if path.is_dir():
        files = sorted(path.glob("*.jsonl"))
        missing = f"{log}: no trace in this folder (looked for *.jsonl)"
    else:
        matches = {*glob.glob(log), *glob.glob(f"{log}*")}
        files = sorted(Path(m) for m in matches if Path(m).is_file())
        missing = f"{log}: no such file or folder, and no trace has such a name"
    starts: dict[str, Header] = {}
    why: list[str] = []
    for file in files:
        try:
            header = read_header(file)
        except (BadRecord, OSError) as exc:
            why.append(f"{file.name}: {exc}")
            continue
        first = starts.setdefault(header.session, header)
        if header.wall_s < first.wall_s:
            starts[header.session] = header
    if not starts:
        raise NotATrace(f"{missing}; {why[0]}" if why else missing)
    return max(starts.values(), key=lambda header: (header.wall_s, header.session))


def _siblings(wanted: Header, damage: Damage) -> list[Header]:
    # Also by header: names are shortened, and people rename files.
    found = {(wanted.process, wanted.pid, wanted.part): wanted}
    headless: list[tuple[Path, str]] = []
    for path in sorted(wanted.path.parent.glob("*.jsonl")):
        if path == wanted.path:
            continue
        try:
            header = read_header(path)
        except (BadRecord, OSError) as exc:
            headless.append((path, str(exc)))
            continue
        if header.session != wanted.session:
            continue
        key = (header.process, header.pid, header.part)
        if key in found:
            damage.unreadable(path, f"the same part as {found[key].path.name}")
        else:
            found[key] = header
    series = {_series_name(header.path) for header in found.values()}
    for path, why in headless:
        if _series_name(path) in series:
            damage.unreadable(path, why)
    return sorted(found.values(), key=lambda h: (h.process, h.pid, h.part, h.wall_s))


def _series_name(path: Path) -> tuple[str, ...]:
    # trace_20261120T060000_01JCEX_main.001.jsonl -> trace, time, session
    return tuple(path.name.split("_")[:3])
