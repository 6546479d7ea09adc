"""`follow`: the records of a session as they are written."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tracing.parse import BadRecord, load_object, parse_header, parse_record
from tracing.reader import Damage, NotATrace, Trace, read_header
from tracing.records import Header, Record
from tracing.show import Filter, lines
from tracing.text import Times

POLL_S = 0.2


@dataclass(slots=True)
class _Tail:
    """How far one file has been read."""

    header: Header
    offset: int = 0
    lines: int = 0
    before_s: float = 0.0


class Follower:
    """Reads what was added since the last look: parts and processes come and go.

    Args:
        log: As of `Trace.find`; a folder may be empty, and its newest session counts.
        damage: Gets the lines that cannot be read.
    """

    def __init__(self, log: str, damage: Damage) -> None:
        self._log = log
        self._damage = damage
        self._is_folder = Path(log).is_dir()
        self._session = ""
        self._began_s = 0.0
        self._folder = Path(log)
        self._tails: dict[Path, _Tail] = {}
        self._foreign: dict[Path, int] = {}
        """Files that are no part of it, by their size at that time."""

    def begin(self) -> None:
        """Choose the session.

        Raises:
            NotATrace: There is none, and none can come.
        """
        try:
            trace = Trace.find(self._log, io.StringIO())
        except NotATrace:
            if not self._is_folder:
                raise
            return
        first = min(trace.headers, key=lambda header: header.wall_s)
        self._choose(first)
        self._folder = first.path.parent

    def look(self) -> list[Record]:
        """Return the records that came, in order of time."""
        self._find_files()
        found: list[Record] = []
        for tail in self._tails.values():
            try:
                found += self._read(tail)
            except FileNotFoundError:
                continue  # the oldest parts are deleted where there are too many
            except OSError as exc:
                self._damage.unreadable(tail.header.path, str(exc))
        return sorted(found, key=lambda record: record.wall_s)

    @property
    def session(self) -> str:
        """The session that is followed; empty while there is none."""
        return self._session

    def _choose(self, header: Header) -> None:
        self._session, self._began_s = header.session, header.wall_s
        self._tails.clear()

    def _find_files(self) -> None:
        new: list[Header] = []
        for path in sorted(self._folder.glob("*.jsonl")):
            if path in self._tails:
                continue
            try:
                size = path.stat().st_size
                if self._foreign.get(path) == size:
                    continue
                self._foreign[path] = size
                header = read_header(path)
            except (BadRecord, OSError):
                continue  # just being created; or none of ours
            new.append(header)
        newer = [h for h in new if h.session != self._session]
        newer = [h for h in newer if self._is_folder and h.wall_s > self._began_s]
        if newer:
            # HAL was started again.
            self._choose(max(newer, key=lambda header: header.wall_s))
            self._foreign.clear()
            self._find_files()
            return
        for header in new:
            if header.session == self._session:
                self._tails[header.path] = _Tail(header, before_s=header.mono_s)
                self._foreign.pop(header.path, None)

    def _read(self, tail: _Tail) -> list[Record]:
        found: list[Record] = []
        # Opened anew each time: on Windows an open file cannot be deleted by HAL.
        with tail.header.path.open("rb") as file:
            file.seek(tail.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # the rest of it is still to come
                here, tail.offset = tail.offset, tail.offset + len(line)
                tail.lines += 1
                try:
                    data = load_object(line)
                    if data["kind"] == "header":
                        tail.header = parse_header(data, tail.header.path)
                        continue
                    record = parse_record(data, tail.header, here, tail.before_s)
                except BadRecord as exc:
                    self._damage.corrupt(tail.header.path, tail.lines, str(exc))
                    continue
                tail.before_s = tail.header.mono_s + (
                    record.wall_s - tail.header.wall_s
                )
                found.append(record)
        return found


def follow(
    log: str,
    chosen: Filter,
    out: TextIO,
    err: TextIO,
    *,
    local: bool,
    last: int,
    wait: Callable[[float], bool],
) -> None:
    """Print the last records, then new ones as they come, until `wait` says True.

    Raises:
        NotATrace: There is nothing to follow.
    """
    follower = Follower(log, Damage(err))
    follower.begin()
    times = Times(local=local)
    session = follower.session
    if not session:
        err.write(f"hal_trace: {log}: no trace yet; waiting for one\n")
        err.flush()
    is_first = True
    while True:
        records = [r for r in follower.look() if chosen.matches(r)]
        if follower.session != session:
            session, is_first = follower.session, False
            out.write(f"# session {session}\n")
        if is_first:
            records = records[max(0, len(records) - last) :]
        for record in records:
            for line in lines(record, times, everything=chosen.errors):
                out.write(line + "\n")
        is_first = False
        out.flush()
        if wait(POLL_S):
            return
