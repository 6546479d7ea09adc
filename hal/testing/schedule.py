"""Whose turn it is among simulated threads, and what time it is for them."""

from __future__ import annotations

import heapq
import math
import random
from array import array
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from hal.testing.sim_thread import SimThread

_DIGITS: Final = 16


class NobodyCanGoOn(Exception):
    """All threads wait for each other, or have been switched too often."""


class Schedule:
    """Draws the next thread from a seed; lets time pass when no thread can run.

    Runs on: the thread with the baton; `wake` any, for a thread without alarm.
    """

    def __init__(self, seed: int, max_switches: int) -> None:
        self.now_s = 0.0
        self.draw: Final = random.Random(seed).random
        self._max_switches = max_switches
        self._ready: list[SimThread] = []
        # Events and locks know nothing of simulated threads, so they are asked.
        self._polled: dict[SimThread, Callable[[], bool]] = {}
        # When, serial number (so that threads are not compared), who, which wait.
        self._alarms: list[tuple[float, int, SimThread, int]] = []
        self._alarms_set = 0
        self._trail = array("I")

    @property
    def switches(self) -> int:
        """How often a thread was chosen."""
        return len(self._trail)

    @property
    def digest(self) -> str:
        """What all choices so far come to, in hexadecimal."""
        return sha256(self._trail.tobytes()).hexdigest()[:_DIGITS]

    def park(
        self,
        thread: SimThread,
        waits_for: str,
        *,
        until: Callable[[], bool] | None = None,
        timeout_s: float = math.inf,
    ) -> None:
        """Let `thread` wait for `wake`, for `until()` or for a time, in seconds."""
        thread.waits += 1
        thread.waits_for = waits_for
        thread.until_s = self.now_s + timeout_s
        if until is not None:
            self._polled[thread] = until
        if thread.until_s < math.inf:
            self._alarms_set += 1
            alarm = (thread.until_s, self._alarms_set, thread, thread.waits)
            heapq.heappush(self._alarms, alarm)

    def wake(self, thread: SimThread) -> None:
        """Let `thread` run when its turn comes."""
        thread.waits_for = ""
        self._ready.append(thread)

    def next(self) -> SimThread:
        """Return the thread that runs now.

        Raises:
            NobodyCanGoOn: There is none, or `max_switches` are used up.
        """
        if len(self._trail) >= self._max_switches:
            raise NobodyCanGoOn(
                f"not over after max_switches={self._max_switches}: threads run in "
                "circles, or the test needs more"
            )
        if self._polled:
            self._poll()
        if not self._ready:
            self._let_time_pass()
        ready = self._ready
        if not ready:
            raise NobodyCanGoOn("deadlock: every thread waits, and none for a time")
        count = len(ready)
        chosen = ready.pop(int(self.draw() * count) if count > 1 else 0)
        self._trail.append(chosen.number)
        return chosen

    def _poll(self) -> None:
        for thread in [t for t, is_due in self._polled.items() if is_due()]:
            del self._polled[thread]
            self.wake(thread)

    def _let_time_pass(self) -> None:
        """Go to the next alarm that still counts; wake all that wait for that time."""
        alarms = self._alarms
        while alarms and (not self._ready or alarms[0][0] <= self.now_s):
            when_s, _, thread, wait = heapq.heappop(alarms)
            # No thread is ready: one that was woken otherwise has waited anew since.
            if thread.waits == wait and not thread.ended:
                self.now_s = max(self.now_s, when_s)
                self._polled.pop(thread, None)
                self.wake(thread)
