"""Halting an operation from another thread, and seeing what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hal.base import Halted, SystemClock
from hal.devices import Device


class Background:
    """Runs an operation on a thread of its own and keeps what it raised.

    Runs on: any.
    """

    def __init__(self, operation: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._operation = operation
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the operation has not ended yet."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the operation; return whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._operation()
        except BaseException as exc:  # noqa: BLE001 - handed to the test that waits
            self.error = exc


def halt_during(
    device: Device,
    operation: Callable[[], object],
    *,
    after_s: float,
    within_s: float,
) -> None:
    """Halt `operation` after a while; it has to end with `Halted`, within a time.

    Args:
        device: What is halted, from this thread.
        operation: What goes on meanwhile, on another thread; it must take long.
        after_s: How long it may go on before.
        within_s: How long it may take to end.
    """
    clock = SystemClock()
    running = Background(operation)
    if running.join(after_s):
        if running.error is not None:
            raise running.error
        pytest.fail(f"the operation ended by itself within {after_s} s")
    halted_s = clock.monotonic_s()
    device.halt()
    if not running.join(within_s):
        device.abandon()
        running.join(within_s)
        pytest.fail(f"the operation went on for more than {within_s} s after halt")
    took_s = clock.monotonic_s() - halted_s
    assert isinstance(running.error, Halted), repr(running.error)
    assert took_s <= within_s
