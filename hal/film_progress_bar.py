"""A run getting on, shown on stderr: to whoever typed a command or runs a script."""

from __future__ import annotations

import contextlib
import math
import sys
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeRemainingColumn as TimeRemaining

from hal.acquisition import RunState, RunStatus
from hal.base import Clock
from hal.cli_report import note

_PLAIN_EVERY_S: Final = 2.0
_LAG_SHOWN_MS: Final = 100.0


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

    def __init__(self, clock: Clock) -> None:
        """Begin to show a run; `clock` says when the next line is due."""
        self._clock = clock
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
        counted = "events" if status.follows_plan else "frames stored"
        counts = f"{status.n_events_consumed}{of} {counted}"
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
