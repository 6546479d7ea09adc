"""What users read: progress on stderr, results on stdout, one JSON object if asked."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Sequence
from typing import Final, TextIO

import msgspec
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeRemainingColumn as TimeRemaining

from hal.acquisition import RunState, RunStatus, describe_shortfall
from hal.base import BadInput, Clock, ErrorRecord, HalError, StartError
from hal.config import ConfigErrors, StartErrors, each

DONE: Final = 0
RUN_FAILED: Final = 1
BAD_INPUT: Final = 2
CANNOT_START: Final = 3
INTERRUPTED: Final = 130
_PLAIN_EVERY_S = 2.0
_LAG_SHOWN_MS: Final = 100.0


def exit_code(exc: HalError) -> int:
    """Return the exit code for an error that ended a command."""
    if isinstance(exc, BadInput):
        return BAD_INPUT
    if isinstance(exc, StartError):
        return CANNOT_START
    return RUN_FAILED


def say(text: str) -> None:
    """Print a result on stdout; a reader who is gone changes nothing."""
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        pass  # `| head` has seen enough
    except (OSError, ValueError) as exc:
        note(f"hal: stdout cannot be written to: {exc}")


def note(text: str) -> None:
    """Print progress on stderr; nobody there to read it must not end a film."""
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError:
        # Else Python tries once more at exit, and complains that it cannot.
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as sink:
            os.dup2(sink.fileno(), stream.fileno())
        raise


def report_failure(exc: HalError, *, as_json: bool) -> None:
    """Say why a command ended, a line per error; and as JSON if asked."""
    problems = note_failure(exc)
    if as_json:
        status = RunStatus(run_id="", state=RunState.ERROR)
        say(json_line(status, trace="", errors=problems))


def note_failure(exc: HalError) -> list[ErrorRecord]:
    """Print `exc`, a line for each error it stands for, and return them as records."""
    problems: Sequence[HalError] = [exc]
    if isinstance(exc, ConfigErrors | StartErrors):
        problems = each(exc)
    for problem in problems:
        note(f"hal: {problem}")
    return [ErrorRecord.from_exception(problem, "hal") for problem in problems]


def json_line(
    status: RunStatus, *, trace: str, errors: Sequence[ErrorRecord] = ()
) -> str:
    """Return the JSON object that `--json` promises."""
    fatal = () if status.fatal_error is None else (status.fatal_error,)
    started_s, finished_s = status.started_at_s, status.finished_at_s
    ended = started_s is not None and finished_s is not None
    data = {
        "run_id": status.run_id,
        "state": status.state,
        "frames": {
            camera: {
                "planned": counts.planned,
                "received": counts.received,
                "stored": counts.stored,
                "verified": counts.verified,
                "gaps": list(counts.gaps),
            }
            for camera, counts in status.frames.items()
        },
        "files": list(status.files),
        "trace": trace,
        "errors": [
            {"source": error.source, "kind": error.kind, "message": error.text}
            for error in (*fatal, *status.background_errors, *errors)
        ],
        "duration_s": round(finished_s - started_s, 3) if ended else 0.0,  # type: ignore[operator]
    }
    # ASCII only, because nobody knows the encoding of the reader.
    return json.dumps(data, separators=(",", ":"))


def report_run(status: RunStatus, trace: str) -> None:
    """Print what a run came to: files on stdout, the rest on stderr."""
    for camera, counts in status.frames.items():
        note(f"{camera}: {describe_shortfall(counts)}, {counts.verified} verified")
    for error in status.background_errors:
        note(f"hal: {error}")
    if status.fatal_error is not None:
        note(f"hal: run failed: {status.fatal_error}")
    elif status.state is RunState.CANCELLED and status.run_id:
        note("hal: terminated by user; what is stored is readable")
    for file in status.files:
        say(file)
    say(f"trace: {trace}")


def progress_text(status: RunStatus) -> str:
    """Return what a run is doing, in words, and how late it is if that can be seen."""
    text = status.step or str(status.state)
    if status.why_paused:
        text = f"{status.state}: {status.why_paused}"
    elif status.wait_remaining_s is not None:
        next_event = status.n_events_consumed if status.event is None else status.event
        left_s = math.ceil(status.wait_remaining_s)
        text = f"waiting {left_s} s for event {next_event}"
    if status.lag_ms >= _LAG_SHOWN_MS:
        text += f", {status.lag_ms / 1000:.1f} s late"
    return text


class FilmProgressBar:
    """Shows a run getting on: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, clock: Clock, *, counted: str = "frames stored") -> None:
        """Begin to show a run.

        Args:
            clock: Says when the next line is due.
            counted: What `n_events_consumed` counts, in words.
        """
        self._clock = clock
        self._counted = counted
        self._bar: Progress | None = None
        self._last_s = clock.monotonic_s()
        self._last_text = ""
        self._last_step = ""
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemaining(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("preparing", total=None)
            self._bar.start()

    def show(self, status: RunStatus) -> None:
        """Show `status`; cheap when nothing has changed."""
        if self._bar is not None:
            self._bar.update(
                self._task,
                description=progress_text(status),
                total=status.n_events_total,
                completed=status.n_events_consumed,
            )
            return
        now_s = self._clock.monotonic_s()
        of = "" if status.n_events_total is None else f" of {status.n_events_total}"
        counts = f"{status.n_events_consumed}{of} {self._counted}"
        text = f"{progress_text(status)}: {counts}"
        # Between the images of a time lapse it waits and works in turns.
        is_on_its_way = status.state in (RunState.RUNNING, RunState.WAITING)
        step = status.step or ("running" if is_on_its_way else str(status.state))
        is_due = now_s - self._last_s >= _PLAIN_EVERY_S
        if text != self._last_text and (is_due or step != self._last_step):
            self._last_s, self._last_text, self._last_step = now_s, text, step
            note(text)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            with contextlib.suppress(OSError, ValueError):  # the terminal was closed
                self._bar.stop()


def plain(value: object) -> str:
    """Return records as one line of JSON, in ASCII."""
    # By way of orjson, which writes null for infinity as JSON wants it.
    finite = orjson.loads(orjson.dumps(msgspec.to_builtins(value)))
    return json.dumps(finite, separators=(",", ":"))
