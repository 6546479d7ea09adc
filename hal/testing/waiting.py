"""Waiting for what a test expects, without fixed sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hal.base import SystemClock

POLL_S: Final = 0.002


def wait_until(
    condition: Callable[[], object], timeout_s: float = 10.0, *, what: str = ""
) -> None:
    """Return as soon as `condition()` is true; in real time, also under a fake clock.

    Runs on: any.

    Args:
        condition: Asked every 2 ms.
        timeout_s: How long to wait for it.
        what: What was expected, for the failure.

    Raises:
        AssertionError: It has not become true in `timeout_s`.
    """
    clock = SystemClock()
    never = threading.Event()
    give_up_s = clock.monotonic_s() + timeout_s
    while not condition():
        if clock.monotonic_s() > give_up_s:
            expected = what or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"not within {timeout_s:g} s: {expected}")
        clock.wait(never, POLL_S)
