"""Waiting for something in shared memory, with an end by clock, bell and token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hal.base import Clock
from hal.frames._memory import RingMemory
from hal.frames.platform import Bell

_SLICE_S: Final = 0.2
"""Looked again so often, whatever the clock is: an injected one rings no bell."""


def wait_until(
    is_there: Callable[[], bool],
    memory: RingMemory,
    bell: Bell,
    clock: Clock,
    timeout_s: float,
) -> bool:
    """Return True as soon as `is_there()`, False after `timeout_s` or a wake-up.

    Args:
        is_there: Asked on this thread, at least once; what it raises ends the wait.
        memory: The ring it is about; `wake` of it ends the wait.
        bell: Rung whenever the answer may be another one.
        clock: Counts the time.
        timeout_s: How long.
    """
    deadline_s = clock.monotonic_s() + timeout_s
    woken = memory.woken
    while True:
        # Heard before looking: what happens after the look rings it once more.
        heard = bell.heard
        if is_there():
            return True
        left_s = deadline_s - clock.monotonic_s()
        if left_s <= 0.0 or memory.woken != woken:
            return False
        bell.wait(heard, min(left_s, _SLICE_S))
