"""A run getting on, shown in a cell, on a terminal, or as lines."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Final, Protocol

from hal.acquisition import RunStatus
from hal.base import Clock
from hal.cli_report import note, outcome_lines
from hal.film_progress_bar import FilmProgressBar, progress_text
from hal.scripting.notebook import Html, cell_output

_EVERY_S: Final = 0.25


class RunDisplay(Protocol):
    """Shows a run.

    Runs on: whoever waits.
    """

    def show(self, status: RunStatus) -> None:
        """Show where it is; cheap."""

    def close(self, status: RunStatus) -> None:
        """Show no more; what it came to, if it has ended."""


class StderrDisplay:
    """A bar on a terminal, lines elsewhere; what it came to in lines."""

    def __init__(self, clock: Clock) -> None:
        self._bar = FilmProgressBar(clock)

    def show(self, status: RunStatus) -> None:
        """Show where it is."""
        self._bar.show(status)

    def close(self, status: RunStatus) -> None:
        """Remove the bar, and say what the run came to."""
        self._bar.close()
        if status.state.is_terminal:
            for line in outcome_lines(status):
                note(line)


class CellDisplay:
    """A bar in the cell of a notebook."""

    def __init__(self, clock: Clock, show: Callable[[Html], object]) -> None:
        self._clock = clock
        self._show = show
        self._shown_s = float("-inf")
        self._shown = ""

    def show(self, status: RunStatus) -> None:
        """Show where it is, a few times a second."""
        now_s = self._clock.monotonic_s()
        html = bar_html(status)
        if html != self._shown and now_s - self._shown_s >= _EVERY_S:
            self._shown, self._shown_s = html, now_s
            self._show(Html(html, bar_text(status)))

    def close(self, status: RunStatus) -> None:
        """Leave the bar as it is last, and below it what the run came to."""
        text, html = bar_text(status), bar_html(status)
        if status.state.is_terminal:
            lines = outcome_lines(status)
            text = "\n".join([text, *lines])
            html = "<br>".join([html, *map(escape, lines)])
        self._show(Html(html, text))


def run_display(clock: Clock) -> RunDisplay:
    """Return the best way to show a run here."""
    show = cell_output()
    return StderrDisplay(clock) if show is None else CellDisplay(clock, show)


def bar_text(status: RunStatus) -> str:
    """Return where a run is, in words."""
    total = status.n_events_total
    of = "" if total is None else f" of {total}"
    return f"{progress_text(status)}: {status.n_events_consumed}{of}"


def bar_html(status: RunStatus) -> str:
    """Return where a run is, as a bar and in words."""
    total = status.n_events_total
    bar = ""
    if total is not None:
        done = min(status.n_events_consumed, total)
        bar = f'<progress value="{done}" max="{max(1, total)}"></progress> '
    elif not status.state.is_terminal:
        bar = "<progress></progress> "
    return bar + escape(bar_text(status))
