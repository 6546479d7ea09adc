"""A run as the script that began it holds it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import SignalInstance

from hal.acquisition import AnyEvent, FilmPlan, Plan, RunHandle, RunStatus
from hal.app import Application
from hal.base import PlanError
from hal.scripting.crew import Latch
from hal.scripting.plans import plan_of
from hal.scripting.progress import bar_html, bar_text, run_display
from hal.scripting.session import Session

if TYPE_CHECKING:
    import useq

    from hal.scripting.scope import Scope


class Run:
    """A run that goes on by itself: watch it, wait for it, cancel it.

    It is a `hal.acquisition.RunHandle` whose calls and waits Ctrl-C can end. A run that
    is not waited for goes on until it is done, or the scope is closed.

    Runs on: any, but it is made on a thread that no Ctrl-C interrupts.
    """

    def __init__(self, scope: Scope, session: Session, handle: RunHandle) -> None:
        # The scope is kept, because HAL is stopped when nobody has it any more.
        self._scope = scope
        self._session = session
        self._handle = handle
        self._ended = Latch(session.clock)
        handle.statusChanged.connect(self._changed)
        if not self.is_running:
            self._ended.set()

    @property
    def run_id(self) -> str:
        """Its identity."""
        return self._handle.run_id

    @property
    def status(self) -> RunStatus:
        """The newest status."""
        return self._handle.status

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return not self.status.state.is_terminal

    @property
    def files(self) -> tuple[Path, ...]:
        """What is written, the sidecar last."""
        return tuple(Path(file) for file in self.status.files)

    @property
    def statusChanged(self) -> SignalInstance:  # noqa: N802 - the name users know
        """Emits each new `RunStatus`, on a thread of HAL: slots return at once."""
        return self._handle.statusChanged

    def wait(self, timeout_s: float | None = None, progress: bool = True) -> RunStatus:
        """Wait for the end; return the final status, or after `timeout_s` that of now.

        It does not raise for a run that failed: `state` and `fatal_error` say so, and
        `result` raises. Ctrl-C ends the wait, not the run.

        Args:
            timeout_s: As long as it takes if None.
            progress: Show a bar, and at the end what the run came to.
        """
        clock = self._session.clock
        began_s = clock.monotonic_s()
        display = run_display(clock) if progress else None
        try:
            while self.is_running and not self._session.ended.is_set:
                if display is not None:
                    display.show(self.status)
                left_s = 1.0
                if timeout_s is not None:
                    left_s = began_s + timeout_s - clock.monotonic_s()
                if left_s <= 0:
                    break
                self._ended.wait(min(0.1, left_s))
        finally:
            if display is not None:
                display.close(self.status)
        if not self.is_running:
            self._session.heeded(self.run_id)
        return self.status

    def result(self) -> RunStatus:
        """Wait for the end; return the final status of a run that was done.

        Raises:
            HalError: Why it failed, in the class of that error.
            RunError: It was cancelled.
        """
        self.wait(progress=False)
        return self._handle.result()

    def cancel(self) -> None:
        """Ask it to end; returns at once, and what is stored stays."""
        self._do(lambda _app: self._handle.cancel())

    @property
    def is_paused(self) -> bool:
        """Whether it does nothing until it is resumed."""
        return self._handle.is_paused

    def pause(self) -> None:
        """Have it do nothing more; what has begun is finished first.

        Returns at once; `is_paused` tells when it has paused.

        Raises:
            StateError: A film cannot be paused.
        """
        self._do(lambda _app: self._handle.pause())

    def resume(self) -> None:
        """Have it go on; what has become late meanwhile is done at once."""
        self._do(lambda _app: self._handle.resume())

    def extend(self, plan: Plan | useq.MDASequence | str | Path) -> None:
        """Add a plan to the end of this one, while it goes on.

        Raises:
            PlanError: It cannot be done here, or not after this one.
            StateError: The run is over, or a film.
        """
        added = plan_of(plan)
        if isinstance(added, FilmPlan):
            raise PlanError("a film cannot be added to a run: expected a plan")
        self._session.call(lambda _app: self._handle.extend(added))

    @property
    def plan(self) -> FilmPlan | Plan:
        """What it does, with all that was added."""
        return self._session.call(lambda _app: self._handle.plan)

    @property
    def events(self) -> tuple[AnyEvent, ...]:
        """All events in the order in which they are done; none of a film."""
        return self._session.call(lambda _app: self._handle.events)

    def __repr__(self) -> str:
        return f"<Run {self.run_id}: {self.status.state}, {bar_text(self.status)}>"

    def _repr_html_(self) -> str:
        files = "".join(f"<br>{escape(str(file))}" for file in self.files)
        return f"{escape(self.run_id)}: {bar_html(self.status)}{files}"

    def _do(self, fn: Callable[[Application], None]) -> None:
        if self.is_running:  # and else there is nothing to be done
            self._session.call(fn)

    def _changed(self, status: RunStatus) -> None:
        if status.state.is_terminal:
            self._ended.set()
