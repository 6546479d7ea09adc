"""The bundle itself: a zip file, whole or not there at all, bounded in size."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hal.base import Clock
from hal.kernel import versions
from hal.postmortem.case import Case
from hal.postmortem.evidence import Evidence, gather
from hal.postmortem.report import as_html, as_text, headline, sections
from hal.postmortem.session import TraceLine, TracePart, find_parts, read_lines
from hal.postmortem.story import AFTER_S, BEFORE_S, Story

LIMIT_BYTES: Final = 50_000_000
TRACE_BYTES: Final = 64_000_000
"""Of the trace before packing; the oldest is left out."""
_RESERVE_BYTES: Final = 4_000_000
_FIRST_BYTES: Final = 4_000_000
_FIRST_LINES: Final = 500
_LOOK_EVERY: Final = 1_000


class Bundle(NamedTuple):
    """A bundle that was written."""

    path: Path
    headline: str
    notes: tuple[str, ...]
    """What is not in it."""


def write_bundle(
    case: Case,
    path: Path,
    clock: Clock,
    *,
    limit_bytes: int = LIMIT_BYTES,
    is_hurried: Callable[[], bool] = lambda: False,
) -> Bundle:
    """Gather what is known of a run into `path`, replacing what is there.

    Runs on: any that may wait for the disk, for seconds where the trace is long.

    Args:
        case: Which run.
        path: The file.
        clock: For the times in the file.
        limit_bytes: The size it stays below.
        is_hurried: Asked now and then; True ends the search for more.

    Raises:
        OSError: It cannot be written (disk full); nothing is left of it.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
            bundle = _Filling(case, archive, clock, limit_bytes, is_hurried).fill(path)
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    return bundle


class _Filling:
    """One bundle while it is being made."""

    def __init__(
        self,
        case: Case,
        archive: zipfile.ZipFile,
        clock: Clock,
        limit_bytes: int,
        is_hurried: Callable[[], bool],
    ) -> None:
        self._case = case
        self._archive = archive
        self._limit_bytes = limit_bytes
        self._is_hurried = is_hurried
        when = datetime.fromtimestamp(max(clock.wall_s(), 315_619_200.0), UTC)
        self._date = (
            *(when.year, when.month, when.day),
            *(when.hour, when.minute, when.second),
        )
        self._story = Story(case)
        self._contents: list[str] = []
        self._notes: list[str] = []
        self._dumps: dict[str, str] = {}

    def fill(self, path: Path) -> Bundle:
        for piece in gather(self._case):
            self._put_piece(piece)
        self._add_trace()
        self._add_setting()
        title = headline(self._story)
        self._contents += [_line("README.txt", "this text; report.html is the same")]
        report = sections(self._story, self._dumps, self._contents, self._notes)
        self._put("README.txt", as_text(title, report).encode("utf-8", "replace"))
        self._put("report.html", as_html(title, report).encode("utf-8", "replace"))
        return Bundle(path, title, tuple(self._notes))

    def _put_piece(self, piece: Evidence) -> None:
        try:
            data = piece.read()
        except OSError as exc:
            self._notes.append(f"{piece.name}: {exc.strerror or exc}")
            return
        if self._left() < len(data):
            self._notes.append(f"{piece.name}: no room for its {len(data)} bytes")
            return
        if piece.left_out(data):
            self._notes.append(f"{piece.name}: only its last {len(data)} bytes")
        if piece.name.startswith("dumps/"):
            self._dumps[piece.path.name] = data.decode("utf-8", "replace")
        self._put(piece.name, data, piece.what)

    def _add_trace(self) -> None:
        parts = find_parts(self._case.log_folder, self._case.session)
        for part in parts:
            if part.process == "main":
                self._begin(part)
                break
        else:
            self._notes.append(f"trace: none in {self._case.log_folder}")
        wanted = [part for part in parts if self._is_of_time(part, parts)]
        allowed, left = {}, TRACE_BYTES
        for part in reversed(wanted):
            size = _size(part.path)
            allowed[part.path] = min(size, left)
            left = max(0, left - size)
        for part in wanted:
            self._add_part(part, allowed[part.path])

    def _begin(self, part: TracePart) -> None:
        """Learn what HAL was started with, however long that is ago."""
        self._story.versions = part.versions
        with contextlib.suppress(OSError):
            for number, line in enumerate(read_lines(part, 2**62)):
                if number >= _FIRST_LINES or line.wall_s > part.wall_s + BEFORE_S:
                    return
                self._story.begin(line)

    def _is_of_time(self, part: TracePart, parts: list[TracePart]) -> bool:
        if part.wall_s > self._case.ended_s + AFTER_S:
            return False
        following = [
            other.wall_s
            for other in parts
            if other.process == part.process and other.part == part.part + 1
        ]
        return not following or following[0] >= self._case.began_s - BEFORE_S

    def _add_part(self, part: TracePart, most_bytes: int) -> None:
        name = f"trace/{part.path.name}"
        if most_bytes < _size(part.path):
            self._notes.append(f"{name}: of its end, only {most_bytes} bytes were read")
        if most_bytes == 0:
            return
        since_s = self._case.began_s - BEFORE_S
        until_s = self._case.ended_s + AFTER_S
        with self._archive.open(self._info(name), "w") as file:
            file.write(part.header)
            for number, line in enumerate(self._lines(part, most_bytes)):
                if not since_s <= line.wall_s <= until_s:
                    continue
                file.write(line.raw if line.raw.endswith(b"\n") else b"")
                self._story.add(line)
                if number % _LOOK_EVERY == 0 and self._must_end(name):
                    break
        self._contents.append(_line(name, "messages and events of that time"))

    def _lines(self, part: TracePart, most_bytes: int) -> Iterator[TraceLine]:
        """Yield the lines of a part, as far as it can be read."""
        try:
            yield from read_lines(part, most_bytes)
        except OSError as exc:  # deleted this moment, because there are too many
            self._notes.append(f"trace/{part.path.name}: {exc.strerror or exc}")

    def _must_end(self, name: str) -> bool:
        if self._left() <= 0:
            self._notes.append(f"{name}: cut, the bundle is full")
            return True
        if self._is_hurried():
            self._notes.append(f"{name}: cut, HAL was being stopped")
            return True
        return False

    def _add_setting(self) -> None:
        story, told = self._story, self._story.configuration
        if told.file:
            name = f"config/{Path(told.file).name}"
            self._put(name, _utf8(told.text), "the configuration as it was")
        if told.settings_file:
            name = f"config/{Path(told.settings_file).name}"
            self._put(name, _utf8(told.settings), "the settings as they were")
        if told.file:
            start = msgspec.to_builtins(told)
            start = {k: v for k, v in start.items() if k not in ("text", "settings")}
            self._put("config/start.json", _json(start), "files, --set, --simulation")
        else:
            self._notes.append("config: the trace does not hold it")
        told_by = {"run with": story.versions, "bundle made with": versions()}
        self._put("versions.json", _json(told_by), "of HAL, Python, packages, system")
        if story.case.status is not None:
            status = msgspec.to_builtins(story.case.status)
            what = "last status of the run: account of frames, errors in full"
            self._put("run.json", _json(status), what)
        if self._case.plan:
            self._put("plan.json", self._case.plan, "what the run was to do")

    def _put(self, name: str, data: bytes, what: str = "") -> None:
        self._archive.writestr(self._info(name), data)
        if what:
            self._contents.append(_line(name, what))

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        return info

    def _left(self) -> int:
        assert self._archive.fp is not None
        return self._limit_bytes - _RESERVE_BYTES - self._archive.fp.tell()


def _line(name: str, what: str) -> str:
    return f"{name:<44}  {what}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _json(data: object) -> bytes:
    # By way of msgspec, which takes any text; then for people.
    return msgspec.json.format(msgspec.json.encode(data), indent=2)
