"""Films whose recorder was killed: brought to whole frames, checked, and described.

What a killed writer leaves is put right by the code that continues a film (`reopen`).
What it cannot have left is damage from elsewhere: it is reported, frame by frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from hal.base import BadInput, HalError, StorageError
from hal.storage._film_check import FileReport, FileState, FilmCheck, Progress
from hal.storage.event_table import EventTable
from hal.storage.formats import WRITERS
from hal.storage.journal import JOURNAL_SUFFIX, FrameJournal, JournalInUse, read_journal
from hal.storage.names import EMPTY_SIDECAR, SIDECAR_SUFFIX
from hal.storage.sidecar import replace_sidecar, write_sidecar
from hal.storage.sidecar_reader import read_acquisition, with_end
from hal.storage.verify import count_frames

INTERRUPTED: Final = "interrupted"
"""State of a film that recovery has ended."""
_RUNNING: Final = "running"
_NEW: Final = ".new"


def recover(
    folder: Path,
    *,
    recursive: bool = False,
    progress: Progress = lambda _file, _done, _of: None,
) -> Iterator[FileReport]:
    """Put every film in a folder right that was not ended, and report each file.

    A film that is being recorded is left alone. Whole frames are never changed or
    removed. May be interrupted and repeated at any time: a film's journal goes last,
    and stays as long as anything is wrong.

    Runs on: worker.

    Args:
        folder: Where the films are.
        recursive: Whether to look in folders within it as well.
        progress: Told how reading back gets on.

    Raises:
        BadInput: There is no such folder, or it cannot be listed.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder: expected one with films")
    refused: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=refused.append):
        # A film may be a folder, with thousands within.
        folders[:] = sorted(n for n in folders if not _is_film(n)) if recursive else []
        yield from _recover_folder(Path(place), sorted(names), progress)
    for exc in refused:
        if exc.filename == str(folder):
            raise BadInput(f"{folder} cannot be listed: {exc.strerror or exc}") from exc
        yield _report(Path(exc.filename), "damaged", 0, f"cannot be listed: {exc}")


def _recover_folder(
    folder: Path, names: Sequence[str], progress: Progress
) -> Iterator[FileReport]:
    films: dict[str, list[Path]] = {}
    lost: list[Path] = []
    busy: set[Path] = set()
    reported: set[str] = set()
    for path in (folder / name for name in names):
        if path.name.endswith(JOURNAL_SUFFIX + _NEW):
            for report in _never_begun(path):
                if report.state == "in use":
                    # About to be replaced by a film that is being recorded.
                    busy.add(path.with_name(path.name.removesuffix(_NEW)))
                yield report
        elif path.name.endswith(JOURNAL_SUFFIX):
            try:
                films.setdefault(read_journal(path).head.base, []).append(path)
            except StorageError as exc:
                if not path.exists():
                    continue  # its film was finished just now
                lost.append(path.with_name(path.name.removesuffix(JOURNAL_SUFFIX)))
                yield _report(path, "damaged", 0, exc.text)
    for base, paths in films.items():
        if not busy.isdisjoint(paths):
            continue
        for report in _recover_film(folder / (base + SIDECAR_SUFFIX), paths, progress):
            reported.add(report.file)
            yield report
    for name in names:
        if name.removesuffix(SIDECAR_SUFFIX) not in {name, *films}:
            for report in _running_sidecar(folder / name):
                reported.add(report.file)
                yield report
    for stem in lost:
        for files in _films_at(stem):
            if str(files[0]) not in reported:
                yield _unchecked(files)


def _recover_film(
    sidecar: Path, paths: Sequence[Path], progress: Progress
) -> Iterator[FileReport]:
    """Repair what all cameras of a film left, write its sidecar, drop the journals."""
    checks: list[FilmCheck] = []
    is_damaged = False
    try:
        for path in paths:
            try:
                checks.append(FilmCheck(path, *FrameJournal.reopen(path)))
            except StorageError as exc:
                state: FileState = "damaged"
                if isinstance(exc, JournalInUse):
                    state = "in use"
                if path.exists():
                    yield _report(path, state, 0, exc.text)
                return
        for check in checks:
            try:
                check.repair(progress)
            except (OSError, HalError) as exc:
                check.fail(_text(exc))
            is_damaged |= check.is_damaged
            yield from check.reports
        for files in _without_journal(sidecar.parent, checks):
            is_damaged = True
            yield _unchecked(files)
        try:
            for report in _repair_table(sidecar, checks):
                is_damaged |= report.state == "damaged"
                yield report
            yield from _describe(sidecar, checks)
            if not is_damaged:
                for check in checks:
                    check.remove()
        except (OSError, HalError) as exc:
            yield _report(sidecar, "damaged", 0, _text(exc))
    finally:
        for check in checks:
            check.close()


def _repair_table(sidecar: Path, checks: Sequence[FilmCheck]) -> Iterator[FileReport]:
    """Bring the table of events, if there is to be one, to whole rows."""
    name = checks[0].head.sidecar.events
    if not name:
        return
    path = sidecar.with_name(name)
    new = path.with_name(path.name + _NEW)
    if not any(check.has_frames for check in checks):
        for unused in (new,) if checks[0].head.overwrite else (path,):
            unused.unlink(missing_ok=True)
        return
    try:
        table, changes = EventTable.reopen(path)
        try:
            table.take_place()
            table.finish()
        finally:
            table.close()
    except StorageError as exc:
        yield _report(path, "damaged", 0, exc.text, "event")
        return
    state: FileState = "repaired" if changes else "complete"
    yield _report(path, state, table.rows, changes, "event")


def _describe(sidecar: Path, checks: Sequence[FilmCheck]) -> Iterator[FileReport]:
    """Write the sidecar of a film, unless it says already how the film ended."""
    head = checks[0].head
    stored = min(check.stored for check in checks)
    known = _acquisition(sidecar)
    is_ours = known.get("run_id", head.sidecar.run_id) == head.sidecar.run_id
    if is_ours and known.get("state", _RUNNING) not in (_RUNNING, INTERRUPTED):
        yield _report(sidecar, "complete", stored, f"the film ended: {known['state']}")
        return
    if not any(check.has_frames for check in checks):
        # A placeholder goes; the sidecar of an older film stays.
        if sidecar.exists() and (
            sidecar.read_bytes() == EMPTY_SIDECAR
            or known.get("run_id") == head.sidecar.run_id
        ):
            sidecar.unlink()
            yield _report(sidecar, "empty", 0, "no frame was stored")
        return
    empty = {path for check in checks for path in check.empty_files}
    paths = [sidecar.parent / name for name in head.sidecar.files]
    there = tuple(p.name for p in paths if p.exists() and p not in empty)
    described = msgspec.structs.replace(
        head.sidecar,
        state=INTERRUPTED,
        frames=stored,
        duration_s=max(check.duration_s for check in checks),
        files=there,
        ledgers=tuple(check.counts() for check in checks),
    )
    write_sidecar(sidecar, described)
    planned = head.description.planned
    of = "" if planned is None else f" of {planned}"
    yield _report(
        sidecar, "repaired", stored, f"written: {INTERRUPTED} after {stored}{of} frames"
    )


def _running_sidecar(sidecar: Path) -> Iterator[FileReport]:
    """End a film that has no journal any more: its frames cannot be checked."""
    known = _acquisition(sidecar)
    if known.get("state") != _RUNNING:
        return
    names = known.get("files.file", "").split("\n")
    films = [files for name in names if (files := _film_at(sidecar.with_name(name)))]
    reports = [_unchecked(files) for files in films]
    yield from reports
    try:
        frames = min((report.frames for report in reports), default=0)
        replace_sidecar(sidecar, with_end(sidecar, INTERRUPTED, frames), frames)
    except (OSError, HalError) as exc:
        yield _report(sidecar, "damaged", 0, _text(exc))
    else:
        yield _report(sidecar, "repaired", frames, f"says now: {INTERRUPTED}")


def _never_begun(path: Path) -> Iterator[FileReport]:
    """Remove a film that was to replace another and has no frame."""
    try:
        check = FilmCheck(path, *FrameJournal.reopen(path))
    except StorageError as exc:
        state: FileState = "in use" if isinstance(exc, JournalInUse) else "damaged"
        if path.exists():
            yield _report(path, state, 0, exc.text)
        return
    try:
        check.discard()
        if events := check.head.sidecar.events:
            path.with_name(events + _NEW).unlink(missing_ok=True)
        yield from check.reports
    except (OSError, HalError) as exc:
        yield _report(path, "damaged", 0, _text(exc))
    finally:
        check.close()


def _without_journal(
    folder: Path, checks: Sequence[FilmCheck]
) -> Iterator[tuple[Path, ...]]:
    """Return the films of cameras whose journal is missing."""
    covered = {path for check in checks for path in check.files}
    for name in checks[0].head.sidecar.files:
        files = _film_at(folder / name)
        if files and files[0] not in covered:
            yield files


def _unchecked(files: tuple[Path, ...]) -> FileReport:
    try:
        frames = count_frames(files)
    except StorageError as exc:
        return _report(files[0], "damaged", 0, f"no frame journal; {exc.text}")
    text = (
        f"{frames} frames are readable; whether they are right cannot be told "
        "without a frame journal"
    )
    return _report(files[0], "damaged", frames, text)


def _films_at(stem: Path) -> Iterator[tuple[Path, ...]]:
    """Return the films of that path, in every format there is."""
    for writer in WRITERS.values():
        path = stem.with_name(stem.name + writer.suffixes[0])
        if path.exists() and (files := _film_at(path)):
            yield files


def _film_at(path: Path) -> tuple[Path, ...] | None:
    """Return all files of the film whose pixels are at `path`; None if it is none."""
    for writer in WRITERS.values():
        stem = path.name.removesuffix(writer.suffixes[0])
        if stem != path.name:
            return tuple(path.with_name(stem + end) for end in writer.suffixes)
    return None


def _is_film(name: str) -> bool:
    whole = name.removesuffix(_NEW).removesuffix(".old")
    return any(whole.endswith(writer.suffixes[0]) for writer in WRITERS.values())


def _acquisition(sidecar: Path) -> dict[str, str]:
    """Return what a sidecar says; nothing if there is none, or it says nothing."""
    try:
        return read_acquisition(sidecar)
    except BadInput:
        return {}


def _text(exc: OSError | HalError) -> str:
    return exc.text if isinstance(exc, HalError) else str(exc)


def _report(
    path: Path,
    state: FileState,
    frames: int,
    text: str,
    counts: Literal["frame", "event"] = "frame",
) -> FileReport:
    return FileReport(
        file=str(path), state=state, frames=frames, text=text, counts=counts
    )
