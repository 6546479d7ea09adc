"""A run as its owner holds it: watch it, wait for it, cancel it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from psygnal import Signal

from hal.acquisition.run_status import RunState, RunStatus
from hal.base import Clock, RunError


class RunHandle:
    """A proxy of one run, kept up to date by whoever receives its status.

    Runs on: any. `statusChanged` is emitted on the thread that brings the news.

    Signals:
        statusChanged: Emits each new `RunStatus`.
    """

    statusChanged = Signal(RunStatus)  # noqa: N815 - the name users know

    def __init__(
        self, status: RunStatus, cancel: Callable[[str], None], clock: Clock
    ) -> None:
        """Begin with a first status.

        Args:
            status: What `StartRun` answered.
            cancel: Asks the acquisition to end the run of that id; returns at once.
            clock: Whose time `wait` counts.
        """
        self._status = status
        self._cancel = cancel
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        if status.state.is_terminal:
            self._ended.set()

    @property
    def run_id(self) -> str:
        """Identity of the run."""
        return self._status.run_id

    @property
    def status(self) -> RunStatus:
        """The newest status that has arrived."""
        return self._status

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    def wait(self, timeout_s: float) -> RunStatus | None:
        """Return the final status, or None if it has not ended in `timeout_s`."""
        return self._status if self._clock.wait(self._ended, timeout_s) else None

    def cancel(self) -> None:
        """Ask the run to end; returns at once, and does nothing when it is over."""
        if self.is_running:
            self._cancel(self.run_id)

    def result(self) -> RunStatus:
        """Return the final status of a run that was done.

        Raises:
            HalError: Why it failed, in the class of that error.
            RunError: It has not ended, or was cancelled.
        """
        status = self._status
        if status.state is RunState.DONE:
            return status
        if status.fatal_error is None:
            raise RunError(f"run {self.run_id}: {status.state}")
        failure = status.fatal_error.to_exception()
        failure.add_note(f"It ended run {self.run_id}.")
        raise failure

    def update(self, status: RunStatus) -> None:
        """Take a newer status; late news of another run, or after the end, is ignored.

        Raises:
            psygnal.EmitLoopError: A slot of `statusChanged` raised; the status counts.
        """
        # Two threads may bring news at once: the older must not replace the end.
        with self._lock:
            if status.run_id != self.run_id or self._status.state.is_terminal:
                return
            self._status = status
        try:
            self.statusChanged.emit(status)
        finally:
            if status.state.is_terminal:
                self._ended.set()
