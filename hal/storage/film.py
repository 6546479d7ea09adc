"""One camera's film: all its formats and its journal, as one thing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hal.base import StorageError, get_logger
from hal.frames import FrameInfo, Pixels
from hal.storage.formats import make_writer, writer_class
from hal.storage.journal import (
    FrameJournal,
    JournalHead,
    JournalRecord,
    journal_path,
)
from hal.storage.verify import FrameChecksums, frame_checksum
from hal.storage.writer import FrameWriter, store_frame

log = get_logger(module="storage")

_MOST_APART: Final = 1
"""So many frames more one format may have than another after a SIGKILL."""


def film_files(stem: Path, formats: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of a camera's film; `stem` is its path without suffix.

    Raises:
        BadInput: There is no such format.
    """
    suffixes = [end for name in formats for end in writer_class(name).suffixes]
    return tuple(stem.with_name(stem.name + suffix) for suffix in suffixes)


class CameraFilm:
    """Stores frames in every format of a film, each noted in the journal before.

    Runs on: one thread at a time; `sync` any.

    Guarantees:
        A frame is in all formats and in the journal, or in none of them.
        After a SIGKILL the journal knows every whole frame of every format; `reopen`
        goes on from there.
    """

    def __init__(
        self,
        head: JournalHead,
        writers: tuple[FrameWriter, ...],
        journal: FrameJournal,
        records: Sequence[JournalRecord] = (),
    ) -> None:
        self.head = head
        self.writers = writers
        self.checksums = FrameChecksums()
        self._journal = journal
        # Files must not be closed while the device is being asked to store them.
        self._sync_lock = threading.Lock()
        self._is_open = True
        for record in records:
            self.checksums.add(record.frame, record.checksum)
        self.was_last = records[-1].frame if records else -1
        """Index of the last frame that was stored before a `reopen`; else -1."""

    @classmethod
    def create(cls, stem: Path, head: JournalHead) -> CameraFilm:
        """Create the files and the journal of a film.

        Args:
            stem: Path of the film without suffix.
            head: What kind of film it will be.

        Raises:
            BadInput: A format has no such pixels.
            OutputExists: A file exists that may not be replaced.
            DiskFull, StorageError: The files cannot be created. Nothing is left.
        """
        with contextlib.ExitStack() as undo:
            writers = _writers(stem, head)
            for writer in writers:
                writer.open()
                undo.callback(writer.abort)
            journal = FrameJournal.create(stem, head)
            undo.pop_all()
        return cls(head, writers, journal)

    @classmethod
    def reopen(cls, stem: Path) -> CameraFilm:
        """Go on with a film whose recorder was killed.

        A frame that not all formats have is removed from the others: it was never
        acknowledged, and a ring still holds it.

        Raises:
            JournalInUse: That recorder lives.
            StorageError: A file is missing, or a killed writer cannot have left it so;
                whole frames are as they were.
        """
        journal, text = FrameJournal.reopen(journal_path(stem), overwrite=True)
        head = text.head
        with contextlib.ExitStack() as undo:
            undo.callback(journal.close)
            writers = _writers(stem, head)
            for writer in writers:
                writer.reopen()
                undo.callback(_leave, writer)
            counts = [writer.stored for writer in writers]
            frames = min(counts)
            if max(counts) > frames + _MOST_APART or len(text.records) not in (
                *(frames, frames + 1),
            ):
                said = ", ".join(
                    f"{writer.files[0].name} {writer.stored}" for writer in writers
                )
                raise StorageError(
                    f"{stem}: is damaged and cannot be continued: frames: {said}, "
                    f"journal {len(text.records)}"
                )
            for writer in writers:
                if writer.stored > frames:
                    writer.take_back()
            journal.cut(frames)
            if frames:
                for writer in writers:
                    writer.take_place()
            undo.pop_all()
        return cls(head, writers, journal, text.records[:frames])

    @property
    def stored(self) -> int:
        """Frames that are in all formats."""
        return len(self.checksums)

    @property
    def stored_bytes(self) -> int:
        """What the frames stored so far take on a disk, in all formats."""
        return self._bytes(self.stored)

    @property
    def bytes_to_come(self) -> int | None:
        """What those that are planned will take; None if the film has no end."""
        planned = self.head.description.planned
        return None if planned is None else self._bytes(planned) - self.stored_bytes

    def store(
        self,
        pixels: Pixels,
        info: FrameInfo,
        on_problem: Callable[[StorageError], None],
    ) -> None:
        """Store one frame in all formats, or in none.

        Args:
            pixels: The frame.
            info: What belongs to it.
            on_problem: Told of what could not be put right after a failure.

        Raises:
            DiskFull, StorageError: As `FrameWriter.append`, of the first that failed.
        """
        checksum = frame_checksum(pixels)
        self._journal.add(info, checksum)
        try:
            store_frame(
                self.writers,
                pixels,
                info,
                on_problem,
                before_placing=self._journal.take_place,
            )
        except BaseException:
            try:
                self._journal.cut(self.stored)
            except StorageError as exc:
                on_problem(exc)
            raise
        self.checksums.add(info.index, checksum)

    def ranges(self) -> list[tuple[int, int]]:
        """Return the indices stored, as (first, last) of each range without a gap."""
        found: list[tuple[int, int]] = []
        for position in range(self.stored):
            index, _checksum = self.checksums.at(position)
            if found and index == found[-1][1] + 1:
                found[-1] = (found[-1][0], index)
            else:
                found.append((index, index))
        return found

    def sync(self) -> None:
        """Return when all frames stored so far survive a power cut; may take seconds.

        Does nothing once the film is closed.

        Raises:
            StorageError: The device did not take them.
        """
        with self._sync_lock:
            # With one frame stored, files may just be taking their place.
            if self._is_open and self.stored > 1:
                self._sync()

    def finish(self) -> None:
        """Close the files, complete and on the device; the journal stays.

        Raises:
            StorageError: The device did not take them, or the system reported another
                late failure.
        """
        self._close()
        try:
            if self.stored:
                self._sync()
        finally:
            for writer in self.writers:
                writer.finish()

    def arrange(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Give the files of a finished film the axes of its plan; never raises.

        Args:
            should_stop: See `FrameWriter.arrange`.
        """
        frames = [self.checksums.at(position)[0] for position in range(self.stored)]
        for writer in self.writers:
            try:
                writer.arrange(frames, should_stop)
            except StorageError as exc:
                log.warning("film stays along one axis", why=exc.text)

    def abort(self) -> None:
        """Close the files after a failure; what is stored stays readable."""
        self._close()
        for writer in self.writers:
            writer.abort()

    def discard(self) -> None:
        """Give up a film that has not begun; never raises."""
        self.abort()
        self.forget()

    def leave(self) -> None:
        """Close everything as it is, for somebody else to `reopen`; never raises."""
        self._close()
        for writer in self.writers:
            _leave(writer)
        self._journal.close()

    def forget(self) -> None:
        """Remove the journal: the film is whole, and its sidecar says so.

        Never raises: a journal that stays costs a line of `hal recover`.
        """
        try:
            self._journal.remove()
        except StorageError as exc:
            log.warning("journal not removed", why=exc.text)

    def _bytes(self, frames: int) -> int:
        what = self.head.description
        return sum(
            writer.size_bytes(what.shape, what.dtype, frames) for writer in self.writers
        )

    def _sync(self) -> None:
        for writer in self.writers:
            writer.sync()
        self._journal.sync()

    def _close(self) -> None:
        with self._sync_lock:
            self._is_open = False


def _writers(stem: Path, head: JournalHead) -> tuple[FrameWriter, ...]:
    return tuple(
        make_writer(name, stem, head.description, overwrite=head.overwrite)
        for name in head.formats
    )


def _leave(writer: FrameWriter) -> None:
    try:
        writer.leave()
    except StorageError as exc:
        log.warning("film not closed cleanly", error=exc.text)
