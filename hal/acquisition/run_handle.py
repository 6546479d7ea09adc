"""A run as its owner holds it: watch it, wait for it, pause it, cancel it."""

from __future__ import annotations

import threading
from typing import Protocol

from psygnal import Signal

from hal.acquisition.plan import FilmPlan
from hal.acquisition.plans import AnyEvent, Plan
from hal.acquisition.run_status import RunState, RunStatus
from hal.base import Clock, RunError


class RunCommands(Protocol):
    """How a handle reaches who conducts its run.

    Runs on: any.
    """

    def cancel(self, run_id: str) -> None:
        """Ask it to end; returns at once."""

    def pause(self, run_id: str) -> None:
        """Ask it to do nothing more; returns at once.

        Raises:
            HalError: It cannot be paused.
        """

    def resume(self, run_id: str) -> None:
        """Ask it to go on; returns at once."""

    def extend(self, run_id: str, plan: Plan) -> RunStatus:
        """Add a plan to its end.

        Raises:
            HalError: It cannot be added, or the run is over.
        """

    def plan(self, run_id: str) -> FilmPlan | Plan:
        """Return what it does, with all that was added."""


class RunHandle:
    """A proxy of one run, kept up to date by whoever receives its status.

    Runs on: any. `statusChanged` is emitted on the thread that brings the news.

    Signals:
        statusChanged: Emits each new `RunStatus`.
    """

    statusChanged = Signal(RunStatus)  # noqa: N815 - the name users know

    def __init__(self, status: RunStatus, commands: RunCommands, clock: Clock) -> None:
        """Begin with a first status.

        Args:
            status: What `StartRun` answered.
            commands: Reaches the acquisition.
            clock: Whose time `wait` counts.
        """
        self._status = status
        self._commands = commands
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
            self._commands.cancel(self.run_id)

    @property
    def is_paused(self) -> bool:
        """Whether it does nothing until it is resumed."""
        return self._status.state is RunState.PAUSED

    def pause(self) -> None:
        """Have it do nothing more; what has begun is finished first.

        Returns at once, and does nothing when it is over; the status tells when it has
        paused. Light is off and shutters are closed meanwhile.

        Raises:
            StateError: A film cannot be paused.
        """
        if self.is_running:
            self._commands.pause(self.run_id)

    def resume(self) -> None:
        """Have it go on; returns at once, and does nothing when it is over.

        Times of the plan are not moved: what has become late is done at once.
        """
        if self.is_running:
            self._commands.resume(self.run_id)

    def extend(self, plan: Plan) -> None:
        """Add a plan to the end of this one, while it goes on.

        Raises:
            PlanError: It cannot be done here, or not after this one.
            StateError: The run is over, or a film.
        """
        self.update(self._commands.extend(self.run_id, plan))

    @property
    def plan(self) -> FilmPlan | Plan:
        """What it does, with all that was added."""
        return self._commands.plan(self.run_id)

    @property
    def events(self) -> tuple[AnyEvent, ...]:
        """All events in the order in which they are done; none of a film."""
        plan = self.plan
        return () if isinstance(plan, FilmPlan) else tuple(plan)

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
