"""`hal recover DIR`: films that nobody ended, put right and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hal.base import Clock, SystemClock
from hal.cli_arguments import Arguments
from hal.cli_report import DONE, INTERRUPTED, RUN_FAILED, note, plain, say
from hal.storage import FileReport, recover

_PROGRESS_EVERY_S: Final = 2.0


def recover_films(arguments: Arguments) -> int:
    """Repair every film in a folder; print a line for each file as it is done."""
    assert arguments.folder is not None
    progress = _Progress(SystemClock())
    reports: list[FileReport] = []
    was_interrupted = False
    try:
        for report in recover(
            arguments.folder, recursive=arguments.recursive, progress=progress
        ):
            reports.append(report)
            if not arguments.json:
                say(_line(report))
    except KeyboardInterrupt:
        was_interrupted = True
        note("hal: interrupted; nothing is lost, run it again to go on")
    is_damaged = any(report.state == "damaged" for report in reports)
    if arguments.json:
        state = "error" if is_damaged else "done"
        said = {
            "folder": str(arguments.folder),
            "state": "cancelled" if was_interrupted else state,
            "files": reports,
        }
        say(plain(said))
    elif not reports and not was_interrupted:
        say(f"{arguments.folder}: nothing to recover")
    if was_interrupted:
        return INTERRUPTED
    return RUN_FAILED if is_damaged else DONE


def _line(report: FileReport) -> str:
    """Return `repaired: /data/movie.dax: 57 frames; frame count corrected`."""
    plural = "" if report.frames == 1 else "s"
    frames = f"{report.frames} {report.counts}{plural}"
    said = f"{frames}; {report.text}" if report.text else frames
    if report.state in ("in use", "empty"):
        said = report.text.removeprefix(f"{report.file}: ")
    return f"{report.state}: {report.file}: {said}"


class _Progress:
    """Says now and then, on stderr, how reading back gets on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_s = clock.monotonic_s()

    def __call__(self, file: Path, done: int, of: int) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._last_s >= _PROGRESS_EVERY_S:
            self._last_s = now_s
            note(f"{file}: {done} of {of} frames read back")
