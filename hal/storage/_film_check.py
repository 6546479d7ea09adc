"""One camera's film that was left behind: each file put right and read back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from hal.base import StorageError
from hal.frames import FrameLedger, LedgerCounts
from hal.storage.formats import make_writer
from hal.storage.journal import JOURNAL_SUFFIX, RECORD_BYTES, FrameJournal, JournalText
from hal.storage.verify import FrameChecksums, verify
from hal.storage.writer import FrameWriter

FileState = Literal["complete", "repaired", "damaged", "empty", "in use"]
Progress = Callable[[Path, int, int], None]
"""Told of a file, the frames read back of it, and how many there are."""

_MOST_LISTED = 20


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What recovery found out about one file."""

    file: str
    state: FileState
    """`empty`: it had no whole frame, and was removed; `in use`: left alone."""
    frames: int
    """Whole frames in it; for a sidecar, those that all formats have."""
    text: str
    """What was done, and what is wrong; may be empty."""
    counts: Literal["frame", "event"] = "frame"
    """What `frames` is the number of: a table of events has a row for each."""


class _Found(NamedTuple):
    """What a file had before it was read back."""

    writer: FrameWriter
    whole: int
    is_placed: bool
    changes: str
    error: str = ""


class FilmCheck:
    """The files of one camera's film, from its journal.

    Runs on: worker. No other process has the film while this one has its journal open.
    """

    def __init__(self, path: Path, journal: FrameJournal, text: JournalText) -> None:
        self.head = text.head
        self.reports: list[FileReport] = []
        self._records = text.records
        self._damaged_bytes = text.damaged_bytes
        self._journal = journal
        name = path.name.removesuffix(".new").removesuffix(JOURNAL_SUFFIX)
        self._stem = path.with_name(name)
        self._whole: list[int] = []
        self._wrong: set[int] = set()
        self._verified: list[int] = []
        self._empty: list[FrameWriter] = []
        self._expected = 0
        """Frames that some file, or some record, says there are."""

    @property
    def is_damaged(self) -> bool:
        """Whether anything was lost or cannot be proven right."""
        return any(report.state == "damaged" for report in self.reports)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the film, of all formats."""
        return tuple(path for writer in self._writers() for path in writer.files)

    @property
    def empty_files(self) -> tuple[Path, ...]:
        """Files that `remove` takes away."""
        return tuple(path for writer in self._empty for path in writer.files)

    @property
    def has_frames(self) -> bool:
        """Whether any format has a frame, or should have."""
        return any(self._whole) or self.is_damaged

    @property
    def stored(self) -> int:
        """Frames that all formats have."""
        return min(self._whole, default=0)

    @property
    def duration_s(self) -> float:
        """Time from the first frame to the last, seconds."""
        stored = self._records[: self.stored]
        return stored[-1].host_s - stored[0].host_s if stored else 0.0

    def repair(self, progress: Progress) -> None:
        """Bring every file to whole frames, read it back, and report it."""
        found = [self._bring_to_whole_frames(writer) for writer in self._writers()]
        self._expected = max(
            len(self._records) + self._damaged_bytes // RECORD_BYTES,
            *(file.whole for file in found),
        )
        whole = [file.whole > 0 or bool(file.error) for file in found]
        replaces = any(not file.is_placed for file in found)
        has_begun = all(whole) if replaces else any(whole)
        for file in found:
            try:
                if self._expected < 2 and not has_begun:
                    self._remove_empty(file)
                else:
                    self._report_whole(file, progress)
            except StorageError as exc:
                self._whole.append(0)
                self._report(file.writer, "damaged", file.whole, exc.text)

    def discard(self) -> None:
        """Remove what was to replace a film and never did; the old one stays."""
        for writer in self._writers():
            writer.remove_replacement()
        self.reports.append(
            FileReport(
                file=str(self._journal.path),
                state="empty",
                frames=0,
                text="a film that never began was removed; the older one stays",
            )
        )
        self._journal.remove()

    def counts(self) -> LedgerCounts:
        """Return the account of the camera, as far as the journal knows."""
        ledger = FrameLedger(
            self.head.description.camera, self.head.description.planned
        )
        for position, record in enumerate(self._records):
            ledger.received(record.frame)
            if position < self.stored:
                ledger.stored(record.frame)
        ledger.verified(min(self._verified, default=0), sorted(self._wrong))
        ledger.close()
        return ledger.snapshot()

    def fail(self, text: str) -> None:
        """Note that the repair could not be brought to its end."""
        self._whole.append(0)
        self.reports.append(
            FileReport(file=str(self._stem), state="damaged", frames=0, text=text)
        )

    def remove(self) -> None:
        """Remove the journal, and files without a frame: the film is in order.

        Raises:
            StorageError: The system refused.
        """
        for writer in self._empty:
            writer.reopen()
            writer.finish()
        self._journal.remove()

    def close(self) -> None:
        """Let the journal go, for others to open; harmless when repeated."""
        self._journal.close()

    def _writers(self) -> list[FrameWriter]:
        head = self.head
        return [
            make_writer(name, self._stem, head.description, overwrite=head.overwrite)
            for name in head.formats
        ]

    def _bring_to_whole_frames(self, writer: FrameWriter) -> _Found:
        try:
            changes = writer.reopen()
            found = _Found(writer, writer.stored, writer.is_placed, changes)
            writer.leave()
        except StorageError as exc:
            return _Found(writer, 0, True, "", exc.text)
        return found

    def _remove_empty(self, found: _Found) -> None:
        """Leave nothing of a film without a frame, and an older one as it was."""
        writer = found.writer
        self._whole.append(0)
        if found.is_placed:
            writer.reopen()
            writer.finish()
            self._report(writer, "empty", 0, "no frame was stored")
        else:
            writer.remove_replacement()
            text = "no frame was stored; the older film stays"
            self._report(writer, "empty", 0, text)

    def _report_whole(self, found: _Found, progress: Progress) -> None:
        """Read a film back, and say how it is."""
        writer, whole = found.writer, found.whole
        if found.error:
            raise StorageError(found.error)
        if not found.is_placed:
            writer.reopen()
            try:
                writer.take_place()
            finally:
                writer.leave()
        if not whole and self._expected < 2:
            self._empty.append(writer)
            self._whole.append(0)
            self._report(writer, "empty", 0, "no frame was stored")
            return
        known = min(whole, len(self._records))
        apart = self._arrange(writer, whole) if known == whole else ""
        wrong = self._check(writer, known, progress) if known else ()
        self._whole.append(whole)
        self._wrong.update(wrong)
        self._verified.append(known - len(wrong))
        problems, notes = self._missing(whole)
        if wrong:
            problems.insert(0, f"not as recorded: frame {_listed(wrong)}")
        if apart:
            notes.append(apart)
        if found.changes:
            notes.insert(0, found.changes)
        state: FileState = "repaired" if found.changes else "complete"
        self._report(
            writer,
            "damaged" if problems else state,
            whole,
            "; ".join([*problems, *notes]),
        )

    def _arrange(self, writer: FrameWriter, whole: int) -> str:
        """Give a film the axes of its plan; return why not."""
        try:
            writer.arrange([record.frame for record in self._records[:whole]])
        except StorageError as exc:
            return f"stays along one axis: {exc.text}"
        return ""

    def _missing(self, whole: int) -> tuple[list[str], list[str]]:
        """Return what is wrong with that number of frames, and what is worth a note."""
        problems: list[str] = []
        notes: list[str] = []
        unchecked = whole - len(self._records)
        if unchecked > 0:
            problems.append(
                f"{unchecked} frames at the end cannot be checked: the journal ends "
                f"before ({self._damaged_bytes} bytes of it are damaged)"
            )
        gone = self._expected - whole
        named = [record.frame for record in self._records[whole:]]
        if gone > 1:
            if named:
                problems.append(f"gone: frame {_listed(named)}")
            if gone > len(named):
                problems.append(
                    f"gone: {gone - len(named)} frames that the journal does not name"
                )
        elif named:
            notes.append(f"frame {named[0]} was being stored, and is not in it")
        return problems, notes

    def _check(
        self, writer: FrameWriter, known: int, progress: Progress
    ) -> tuple[int, ...]:
        """Read the first frames back; return the index of each that is wrong."""
        checksums = FrameChecksums()
        for record in self._records[:known]:
            checksums.add(record.frame, record.checksum)
        done = -1

        def getting_on() -> bool:
            nonlocal done
            done += 1
            progress(writer.files[0], done, known)
            return False

        height, width = self.head.description.shape
        result = verify(
            writer.files,
            self.head.description,
            checksums,
            full_below_bytes=(known + 1) * height * width * 16,
            should_stop=getting_on,
        )
        return result.mismatched

    def _report(
        self, writer: FrameWriter, state: FileState, frames: int, text: str
    ) -> None:
        report = FileReport(
            file=str(writer.files[0]), state=state, frames=frames, text=text
        )
        self.reports.append(report)


def _listed(frames: Sequence[int]) -> str:
    """Return `3, 4, 7`, or the first of many and their number."""
    shown = ", ".join(map(str, frames[:_MOST_LISTED]))
    more = len(frames) - _MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown
