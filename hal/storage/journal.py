"""The frame journal: which frames a film has, and how each was, should all be killed.

`<stem>.journal` stands beside a camera's film while it is recorded. It begins with a
line for people, then a head: its length and CRC-32 (two 32 bit numbers), and the
`JournalHead` in MessagePack (JSON has no word for an infinite parameter). Then one
record of 32 bytes for each frame, in the order of the files: index in the run, XXH3 of
the pixels (64 bit each), arrival in seconds (64 bit float), its place in the film, and
the CRC-32 of all that (32 bit each); little-endian throughout.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hal.base import HalError, StorageError
from hal.frames import FrameInfo
from hal.storage._ome_xml import plain
from hal.storage._output_file import OutputFile, storage_error
from hal.storage.description import FilmDescription
from hal.storage.sidecar import Sidecar

JOURNAL_SUFFIX: Final = ".journal"

_MAGIC = b"HAL frame journal 1; `hal recover FOLDER` completes the film\n"
_HEAD = struct.Struct("<II")
_RECORD = struct.Struct("<QQdI")
_CRC = struct.Struct("<I")
RECORD_BYTES: Final = _RECORD.size + _CRC.size
_MOST_HEAD_BYTES = 64 * 2**20


class JournalHead(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to finish a film when nobody is left who knows it."""

    base: str
    """Name of the film; its sidecar is `<base>.xml`."""
    formats: tuple[str, ...]
    overwrite: bool
    """Whether the film may replace an older one."""
    description: FilmDescription
    sidecar: Sidecar
    """As it is while the film runs, without the ledgers."""


class JournalRecord(NamedTuple):
    """One frame that was stored, or was about to be."""

    frame: int
    """Index in the run."""
    checksum: int
    host_s: float
    """Monotonic time of arrival, seconds."""


class JournalText(NamedTuple):
    """What a journal says."""

    head: JournalHead
    records: tuple[JournalRecord, ...]
    """Up to the first that is not whole."""
    damaged_bytes: int
    """Behind these."""


class JournalInUse(StorageError):
    """Somebody alive is recording that film, or repairing it."""


class FrameJournal:
    """The journal of one camera's film, written before each frame.

    Runs on: one thread at a time; as long as it is open, no other process opens it.

    Guarantees:
        Of every whole frame in the film there is a record, wherever a SIGKILL strikes.
    """

    def __init__(self, output: OutputFile, first: int, count: int) -> None:
        self._output = output
        self._first = first
        """Where the first record stands."""
        self._count = count

    @classmethod
    def create(cls, stem: Path, head: JournalHead) -> FrameJournal:
        """Create the journal of a film, once its files exist and are empty.

        Raises:
            OutputExists: There is one of an earlier film, which may not be replaced.
            DiskFull, StorageError: It could not be written; nothing is left.
        """
        output = OutputFile(journal_path(stem), overwrite=head.overwrite)
        # Of a film that was killed before it began; it would be taken for this one's.
        output.replacement.unlink(missing_ok=True)
        body = msgspec.msgpack.encode(plain(head))
        start = _MAGIC + _HEAD.pack(len(body), zlib.crc32(body)) + body
        try:
            output.create()
            _lock(output)
            output.write_at(0, start)
        except (OSError, HalError) as exc:
            if output.is_open:
                output.discard()
            if isinstance(exc, OSError):
                raise storage_error(exc, output.path, "create it", 0) from exc
            raise
        return cls(output, len(start), 0)

    @classmethod
    def reopen(
        cls, path: Path, *, overwrite: bool = False
    ) -> tuple[FrameJournal, JournalText]:
        """Open a journal that was left, and say what is in it; nothing is changed.

        Args:
            path: The journal.
            overwrite: Whether one that is to replace it goes before it.

        Raises:
            JournalInUse: Somebody alive writes it.
            StorageError: It cannot be read, or is none.
        """
        output = OutputFile(path, overwrite=overwrite)
        try:
            output.reopen()
            _lock(output)
            data = output.read_at(0, output.size)
            text, first = _parse(data, path)
        except (OSError, StorageError) as exc:
            output.close()
            if isinstance(exc, OSError):
                raise storage_error(exc, path, "read it", 0) from exc
            raise
        return cls(output, first, len(text.records)), text

    @property
    def path(self) -> Path:
        """The file."""
        return self._output.path

    def add(self, info: FrameInfo, checksum: int) -> None:
        """Note a frame that is about to be stored.

        Raises:
            DiskFull, StorageError: The system refused; the journal is as before.
        """
        record = _RECORD.pack(info.index, checksum, info.host_s, self._count)
        try:
            self._output.write_at(self._at, record, _CRC.pack(zlib.crc32(record)))
        except OSError as exc:
            raise storage_error(
                exc, self.path, f"note frame {info.index}", self._count
            ) from exc
        self._count += 1

    def sync(self) -> None:
        """Return when the device has all records.

        Raises:
            StorageError: It did not take them.
        """
        try:
            self._output.sync()
        except OSError as exc:
            doing = "bring it to the device"
            raise storage_error(exc, self.path, doing, self._count) from exc

    def cut(self, frames: int) -> None:
        """Forget all but the first frames: the next record takes their place.

        Raises:
            StorageError: The system refused; a record may remain until the next one.
        """
        self._count = frames
        try:
            self._output.cut(self._at)
        except OSError as exc:
            raise storage_error(exc, self.path, "shorten it", frames) from exc

    def take_place(self) -> None:
        """Replace the journal of an older film, if there is one.

        Raises:
            StorageError: The system refused.
        """
        try:
            self._output.take_place()
        except OSError as exc:
            raise storage_error(exc, self.path, "take its place", 0) from exc

    def close(self) -> None:
        """Close it, so that others may open it; it stays. Harmless when repeated."""
        self._output.close()

    def remove(self) -> None:
        """Close and remove it: the film needs it no more.

        Raises:
            StorageError: The system refused.
        """
        try:
            self._output.discard()
        except OSError as exc:
            raise storage_error(exc, self.path, "remove it", self._count) from exc

    @property
    def _at(self) -> int:
        return self._first + self._count * RECORD_BYTES


def journal_path(stem: Path) -> Path:
    """Return where the journal of a film is; `stem` is its path without suffix."""
    return stem.with_name(stem.name + JOURNAL_SUFFIX)


def read_journal(path: Path) -> JournalText:
    """Return what a journal says at this moment, also one that is in use.

    Raises:
        StorageError: It cannot be read, or is none.
    """
    try:
        return _parse(path.read_bytes(), path)[0]
    except OSError as exc:
        raise storage_error(exc, path, "read it", 0) from exc


def _lock(output: OutputFile) -> None:
    if not output.lock():
        raise JournalInUse(f"{output.path}: is in use by a recorder or a repair")


def _parse(data: bytes, path: Path) -> tuple[JournalText, int]:
    """Return what is said, and where the first record stands."""
    start = len(_MAGIC) + _HEAD.size
    if not data:
        raise StorageError(f"{path}: is empty: expected a frame journal")
    if not data.startswith(_MAGIC) or len(data) < start:
        raise StorageError(f"{path}: is no frame journal, or its beginning is lost")
    size, crc = _HEAD.unpack_from(data, len(_MAGIC))
    first = start + size
    body = data[start:first]
    if size > _MOST_HEAD_BYTES or len(body) < size or zlib.crc32(body) != crc:
        raise StorageError(f"{path}: its description of the film is damaged")
    try:
        head = msgspec.msgpack.decode(body, type=JournalHead)
    except msgspec.DecodeError as exc:
        raise StorageError(f"{path}: describes no film: {exc}") from exc
    records: list[JournalRecord] = []
    at = first
    while at + RECORD_BYTES <= len(data):
        (crc,) = _CRC.unpack_from(data, at + _RECORD.size)
        index, checksum, host_s, position = _RECORD.unpack_from(data, at)
        is_whole = zlib.crc32(data[at : at + _RECORD.size]) == crc
        if not is_whole or position != len(records):
            break
        records.append(JournalRecord(index, checksum, host_s))
        at += RECORD_BYTES
    return JournalText(head, tuple(records), len(data) - at), first
