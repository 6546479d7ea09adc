"""The table of events beside a film: `NAME_events.ndjson`, one JSON object per line.

What became of each event of the run's plan, in the order in which rows came. A line
without its end was being written when all were killed: `reopen` cuts it off.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from hal.base import HalError, StorageError, get_logger
from hal.storage._ome_xml import plain
from hal.storage._output_file import OutputFile, storage_error

EVENTS_SUFFIX: Final = "_events.ndjson"
_BLOCK_BYTES: Final = 2**20
log = get_logger(module="storage")


class TableRow(Protocol):
    """A record that says of which event it is."""

    @property
    def event(self) -> int:
        """Its number in the plan."""


class _Numbers:
    """Which events have a row; next to nothing for rows in order."""

    def __init__(self) -> None:
        self._below = 0
        self._more: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return 0 <= number < self._below or number in self._more

    def add(self, number: int) -> None:
        self._more.add(number)
        while self._below in self._more:
            self._more.remove(self._below)
            self._below += 1


class EventTable:
    """Adds rows to the end of a table, each event once.

    Runs on: one thread at a time.

    Guarantees:
        When `add` returns, the rows are in the kernel's hands: they survive a SIGKILL.
        When it raises, the table is as before, and the same rows may be tried again.
        The table of an older film stays until `take_place`.
    """

    def __init__(self, output: OutputFile) -> None:
        self._output = output
        self._numbers = _Numbers()
        self._size = 0
        self.rows = 0
        """Rows in the table."""

    @classmethod
    def create(cls, path: Path, *, overwrite: bool = False) -> EventTable:
        """Create the table of a film, empty.

        Raises:
            OutputExists: There is one that may not be replaced.
            DiskFull, StorageError: It cannot be created.
        """
        output = OutputFile(path, overwrite=overwrite)
        try:
            output.create()
        except OSError as exc:
            raise storage_error(exc, path, "create it", 0) from exc
        return cls(output)

    @classmethod
    def reopen(cls, path: Path, *, overwrite: bool = True) -> tuple[EventTable, str]:
        """Open a table that was left; what stands behind its last whole row is cut.

        Args:
            path: The table.
            overwrite: Whether one that is to replace it goes before it.

        Returns:
            The table, and what was changed, in words; empty if nothing had to be.

        Raises:
            StorageError: It is missing, cannot be read, or a line of it is no row; it
                is as it was.
        """
        output = OutputFile(path, overwrite=overwrite)
        try:
            output.reopen()
            table = cls(output)
            behind = table._read()
            if behind:
                output.cut(table._size)
        except (OSError, HalError) as exc:
            output.close()
            if isinstance(exc, OSError):
                raise storage_error(exc, path, "open it again", 0) from exc
            raise
        return table, f"{behind} bytes of an unfinished row removed" if behind else ""

    @property
    def path(self) -> Path:
        """The file."""
        return self._output.path

    def add(self, rows: Iterable[TableRow]) -> int:
        """Write those rows whose events have none yet; return how many these were.

        Raises:
            DiskFull, StorageError: The system refused; the table is as before.
        """
        lines: dict[int, bytes] = {}
        for row in rows:
            if row.event not in self._numbers:
                # Texts may hold what UTF-8 has no bytes for, such as odd file names.
                lines.setdefault(row.event, msgspec.json.encode(plain(row)) + b"\n")
        if not lines:
            return 0
        data = b"".join(lines.values())
        try:
            if self._output.size > self._size:
                self._output.cut(self._size)  # what a refused row left
            self._output.write_at(self._size, data)
        except OSError as exc:
            self._cut_back()
            raise storage_error(exc, self.path, "add rows", self.rows, "rows") from exc
        self._size += len(data)
        self.rows += len(lines)
        for number in lines:
            self._numbers.add(number)
        return len(lines)

    def has(self, event: int) -> bool:
        """Whether an event has its row."""
        return event in self._numbers

    def take_place(self) -> None:
        """Replace the table of an older film, if there is one.

        Raises:
            StorageError: The system refused.
        """
        try:
            self._output.take_place()
        except OSError as exc:
            raise storage_error(exc, self.path, "take its place", 0) from exc

    def sync(self) -> None:
        """Return when the device has all rows; does nothing once it is closed.

        Raises:
            StorageError: It did not take them.
        """
        if not self._output.is_open:
            return
        try:
            self._output.sync()
        except OSError as exc:
            doing = "bring it to the device"
            raise storage_error(exc, self.path, doing, self.rows, "rows") from exc

    def finish(self) -> None:
        """Close the table, on the device; harmless when repeated.

        Raises:
            StorageError: The device did not take it.
        """
        try:
            self.sync()
        finally:
            self._output.close()

    def close(self) -> None:
        """Close the table as it is; harmless when repeated."""
        self._output.close()

    def discard(self) -> None:
        """Close and remove it, never raising; an older one stays."""
        try:
            self._output.discard()
        except OSError as exc:
            log.warning("table not removed", file=str(self.path), why=str(exc))

    def _read(self) -> int:
        """Take in the rows there are; return the bytes behind the last whole one."""
        rest = b""
        at, size = 0, self._output.size
        while at < size and (block := self._output.read_at(at, _BLOCK_BYTES)):
            at += len(block)
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                self._numbers.add(_number(line, self.path, self.rows))
                self._size += len(line) + 1
                self.rows += 1
        return len(rest)

    def _cut_back(self) -> None:
        try:
            self._output.cut(self._size)
        except OSError as exc:
            # Cut before the next row, and by `reopen`.
            log.warning(
                "rest of a row left in table", file=str(self.path), why=str(exc)
            )


def table_path(directory: Path, base: str) -> Path:
    """Return where the table of events of a film is; `base` is the film's name."""
    return directory / (base + EVENTS_SUFFIX)


def _number(line: bytes, path: Path, row: int) -> int:
    try:
        found: Any = msgspec.json.decode(line)
        return int(found["event"])
    except (ValueError, LookupError, TypeError) as exc:
        raise StorageError(f"{path}: row {row} is no row: {exc}") from exc
