"""Endless work of a module on a thread of its own: grab loops, engines, focus locks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context

from hal.base import Cancelled, Clock, ErrorRecord


class Loop:
    """The handle of a running loop: its function beats, its module may stop it.

    Runs on: `beat`, `serve_jobs`, `wait` the loop's thread; `stop`, `give_up` any;
    `expire` watchdog.

    Guarantees:
        Its module hears exactly once that it ended: by returning, raising or stalling.
    """

    kind = "loop"

    def __init__(
        self,
        module: str,
        fn: Callable[[Loop], None],
        *,
        what: str,
        stall_s: float,
        context: Context,
        clock: Clock,
        serve: Callable[[Callable[[], bool]], None],
        on_end: Callable[[Loop, ErrorRecord | None, bool], None],
    ) -> None:
        self.module = module
        self.what = what
        self.stall_s = stall_s
        self.delivery_id: str | None = None
        self.started_s = clock.monotonic_s()
        self.deadline_at_s = self.started_s + stall_s
        self.stopping = threading.Event()
        """Set when the loop should end; wait on it instead of sleeping."""
        self.is_running = False
        """Whether its thread is in it."""
        self._fn = fn
        self._context = context
        self._clock = clock
        self._serve = serve
        self._on_end = on_end
        self._is_given_up = False
        # Popped by whoever ends the loop first, the thread or the watchdog.
        self._unended = [True]

    def start(self, begin: Callable[[Callable[[], None]], object]) -> None:
        """Have `begin` run it on some thread."""
        self.is_running = True
        begin(self._run)

    def beat(self) -> None:
        """Say that the loop is alive; due at least every `stall_s`.

        Raises:
            Cancelled: It was given up: whatever it does changes nothing any more.
        """
        if self._is_given_up:
            raise Cancelled(f"'{self.what}' of {self.module} was given up")
        now_s = self._clock.monotonic_s()
        self.started_s = now_s
        self.deadline_at_s = now_s + self.stall_s

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as the loop should end, False after `timeout_s`."""
        return self._clock.wait(self.stopping, timeout_s)

    def serve_jobs(self) -> None:
        """Run a waiting job of the module here, where the driver may be called.

        Not once the loop is to end: closing the device must find it ended.
        """
        self._serve(self.stopping.is_set)

    def stop(self) -> None:
        """Ask the loop to end; returns at once."""
        self.stopping.set()

    def give_up(self) -> None:
        """Have it end at its next beat; its module is given up."""
        self._is_given_up = True
        self.stopping.set()

    def expire(self, error: ErrorRecord) -> None:
        """Give it up: it has not beaten in time."""
        self.give_up()
        if self._claim():
            self._on_end(self, error, False)

    def _run(self) -> None:
        error: ErrorRecord | None = None
        try:
            self._context.run(self._fn, self)
        except BaseException as exc:  # noqa: BLE001 - handed to the module
            error = ErrorRecord.from_exception(exc, self.module)
        self.is_running = False
        late = not self._claim()
        self._on_end(self, error, late)

    def _claim(self) -> bool:
        try:
            return self._unended.pop()
        except IndexError:
            return False
