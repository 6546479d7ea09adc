"""Emits signals in order without making anybody wait for their slots."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Final

from psygnal import SignalInstance

from hal.base import Clock, ThreadSafeFlag, get_logger, safe_callback

_MOST_WAITING: Final = 10_000

log = get_logger(module="hal")


class Announcer:
    """One thread that emits what was announced; it is there while there is news.

    psygnal holds a lock while it calls the slots of a signal: a slot that hangs would
    hold up every other thread that emits it.

    Runs on: any.

    Guarantees:
        Signals are emitted in the order in which they were announced.
        A slot that raises is logged; one that hangs holds up other signals only.
    """

    def __init__(self, thread_name: str, clock: Clock) -> None:
        self._thread_name = thread_name
        self._lock = threading.Lock()
        self._waiting: deque[tuple[SignalInstance, tuple[Any, ...]]] = deque()
        self._is_emitting = False
        self._idle = ThreadSafeFlag(clock)
        self._idle.set()

    def announce(self, signal: SignalInstance, *args: object) -> None:
        """Emit `signal` soon; returns at once."""
        with self._lock:
            if len(self._waiting) >= _MOST_WAITING:
                log.error("signal dropped: a slot hangs", signal=signal.name)
                return
            self._waiting.append((signal, args))
            if self._is_emitting:
                return
            self._is_emitting = True
            self._idle.clear()
        thread = threading.Thread(
            target=self._emit_all, name=self._thread_name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads to be had
            self._emit_all()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Return True once all is emitted, False after `timeout_s`."""
        return self._idle.wait(timeout_s)

    def _emit_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_emitting = False
                    self._idle.set()
                    return
                signal, args = self._waiting.popleft()
            safe_callback(signal.emit, *args)
