"""A simulated thread: what is known about it, and how it reads in a report."""

from __future__ import annotations

import math
import sys
import threading
import traceback
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_MACHINERY: Final = {
    str(_HERE / f"{name}.py") for name in ("interleaver", "preemption", "relay")
}
"""What each simulated thread begins in, and waits in."""


class SimulationOver(BaseException):
    """Ends a simulated thread, at the place where it waits: the test is over."""


class Stuck(AssertionError):
    """The simulated threads cannot go on, or one of them does not end.

    Says why, with the seed, and what each thread does.
    """


class SimThread:
    """A real thread that runs only while it has the baton.

    Runs on: the thread with the baton.
    """

    def __init__(
        self, number: int, name: str, main: Callable[[SimThread], None]
    ) -> None:
        self.number = number
        """Counted from 0 in the order of starting: the same in each replay."""
        self.name = name
        self.real = threading.Thread(target=main, args=(self,), name=name, daemon=True)
        # A lock used as a semaphore: the fastest way to wake one certain thread.
        self.baton = threading.Lock()
        self.baton.acquire()
        self.waits_for = ""
        """Empty while it could run."""
        self.until_s = math.inf
        """When it stops waiting."""
        self.waits = 0
        """How often it began to wait: tells a stale alarm from the one that counts."""
        self.switching = False
        """On its way into a wait or out of it, where it cannot begin another one."""
        self.joiners: list[SimThread] = []
        self.ended = False
        self.error: BaseException | None = None
        """What its function raised."""
        self.times_told = 0
        """How often it was told that the simulation is over."""

    def describe(self, *, runs: bool) -> str:
        """Return its name, what it does, and its stack.

        Runs on: any.
        """
        doing = "runs" if runs else "could run"
        if self.waits_for:
            doing = f"waits for {self.waits_for}"
            if self.until_s < math.inf:
                doing += f" until t = {self.until_s:g} s"
        if self.times_told:
            doing = f"was told {self.times_told} times to end, and goes on"
        return f"{self.name!r} {doing}:\n{self._stack()}"

    def _stack(self) -> str:
        frame = sys._current_frames().get(self.real.ident or 0)
        if frame is None:
            return "  (has no stack any more)\n"
        steps = list(traceback.StackSummary.extract(traceback.walk_stack(frame)))
        steps.reverse()  # outermost first, as in a traceback
        ours = [step.filename in {*_MACHINERY, threading.__file__} for step in steps]
        begin = ours.index(False) if False in ours else len(steps)
        shown = takewhile(lambda step: step.filename not in _MACHINERY, steps[begin:])
        return "".join(traceback.format_list(list(shown))) or "  (not begun)\n"
