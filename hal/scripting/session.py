"""HAL in the process of a script: begun once, ended in order, whatever the script does.

The process is not HAL's own: it is not ended for being busy, and it may be interrupted,
or end, without having said so.
"""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from hal.acquisition import RunHandle, RunState
from hal.app import Application, Plan
from hal.base import (
    BadInput,
    StateError,
    SystemClock,
    SystemThreads,
    is_principal,
)
from hal.cli_report import note
from hal.kernel import Message, Module, Safeguards
from hal.messages import RunAccepted, StartRun
from hal.scripting.crew import Crew, Errand, Latch

T = TypeVar("T")

WIND_UP_S: Final = 60.0
"""How long a run that is cut short may take to close and check its files."""
HURRY_S: Final = 10.0
"""How long the end of HAL is waited for beyond that, and after one more Ctrl-C."""
_STOP_S: Final = 3.0
_HURRIED_STOP_S: Final = 0.7
# A script may well keep Python to itself for a while, in a function of C: that must not
# end it. If it dies, its devices are made safe all the same.
_SAFEGUARDS: Final = Safeguards(heartbeat=False, kill_after_s=math.inf)

_only = threading.Lock()
"""Held by the session that is open."""
_last: list[Session] = []
"""The session that is open, or was open last."""


def _close_at_exit() -> None:
    for session in _last:
        session.close_at_exit()


# HAL may need to start a thread to stop in order, which `atexit` comes too late for in
# Python 3.12; what `threading` calls, as pools need it, does not.
getattr(threading, "_register_atexit", atexit.register)(_close_at_exit)


class Session:
    """The one HAL of this process, and the runs a script has begun.

    Runs on: any. HAL is started and stopped on a thread of its own.

    Guarantees:
        `close` is bounded in time, harmless when repeated, and done at exit if not
        before.
        Nothing that is interrupted leaves HAL half started, or a run unattended.
    """

    def __init__(
        self,
        config: str,
        plan: Plan,
        *,
        principal: str,
        output: Path | None = None,
        log_folder: Path | None = None,
    ) -> None:
        """Check and prepare; nothing is started yet.

        Args:
            config: What people call it: its file.
            plan: What to start.
            principal: In whose name all is done.
            output: Where films go if nothing else is said.
            log_folder: As of `Application`.

        Raises:
            BadInput: `principal` is none.
        """
        if not is_principal(principal):
            raise BadInput(
                f"name {principal.partition(':')[2]!r}: expected letters, digits, "
                "_ - . or @"
            )
        self.config = config
        self.plan = plan
        self.principal = principal
        self.output = output or plan.spec.directory
        self.clock = SystemClock()
        self.ended = Latch(self.clock)
        self.is_hurried = False
        self._log_folder = log_folder
        self._pid = os.getpid()
        self._app: Application | None = None
        self._is_closing = False
        self._runs: dict[str, RunHandle] = {}
        self._has_claim = False
        self._switch_interval_s = sys.getswitchinterval()
        threads = SystemThreads()
        self._crew = Crew(threads, self.clock)
        # Starting and stopping never overlap, even if the start was interrupted.
        self._life = threads.serial("hal/script")

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._app is not None and not self._is_closing

    @property
    def app(self) -> Application:
        """HAL.

        Raises:
            StateError: It is closed, or belongs to the process this one is a copy of.
        """
        if self._pid != os.getpid():
            raise StateError("this microscope belongs to another process")
        if self._app is None or self._is_closing:
            raise StateError("this microscope is closed: hal.open() opens it again")
        return self._app

    def module(self, name: str) -> Module:
        """Return the module of that name, in its present generation."""
        app = self._app
        assert app is not None
        return app.system.module(name)

    def start(self) -> None:
        """Bring HAL to life.

        Raises:
            BadInput: Something the user can correct.
            StartError: It cannot start on this machine.
            StateError: Another session is open, or hangs since it was closed.
        """
        begin = Errand(self._begin, self.clock)

        def run() -> None:
            begin.run()
            begin.tell()

        self._life.put(run)
        begin.done.wait()
        begin.outcome()

    def close(self) -> None:
        """End runs, then HAL, in order; whoever is interrupted here hurries it."""
        try:
            self._ask_for_end(self._end)
            limit_s = HURRY_S if self.is_hurried else WIND_UP_S + HURRY_S
            in_time = self.ended.wait(limit_s)
        except BaseException:
            self.is_hurried = True
            self._ask_for_end(self._end)  # it may not have come to that
            self.ended.wait(HURRY_S)
            raise
        if not in_time:
            note("hal: has not stopped in time and is left behind")

    def forget(self) -> None:
        """Close it soon: nobody can use it any more. Returns at once, never raises."""
        if self._pid == os.getpid() and not self._is_closing:
            self._ask_for_end(self._end_forgotten)

    def left_behind(self) -> tuple[str, ...]:
        """Return the modules that still hang although it was closed."""
        return () if self._app is None else self._app.system.left_behind()

    # -- what a script asks for ---------------------------------------------------

    def ask(
        self, message: Message, *, to: str | None, deadline_s: float | None = None
    ) -> object:
        """Return the response to a message.

        Raises:
            HalError: What went wrong, in the class of that error.
        """
        app = self.app

        def converse() -> Callable[[], object]:
            delivery = app.system.send(
                message, principal=self.principal, to=to, deadline_s=deadline_s
            )
            delivery.wait()
            return delivery.result

        return self._crew.call(converse)()

    def call(self, fn: Callable[[Application], T]) -> T:
        """Return what `fn` makes of HAL, on a thread that no Ctrl-C interrupts."""
        return self._crew.call(partial(fn, self.app))

    def start_run(self, request: StartRun, made: Callable[[RunHandle], T]) -> T:
        """Begin a run; return what is made of its handle.

        One whose beginning was interrupted is cancelled.

        Raises:
            HalError: It was refused, in the class of the refusal.
        """
        app = self.app

        def begin() -> tuple[RunHandle, T]:
            delivery = app.system.send(request, principal=self.principal)
            delivery.wait()
            accepted = delivery.result()
            assert isinstance(accepted, RunAccepted)
            handle = app.handle(accepted, principal=self.principal)
            for run_id, known in list(self._runs.items()):
                if known.status.state is RunState.DONE:
                    del self._runs[run_id]
            self._runs[handle.run_id] = handle
            return handle, made(handle)

        _, run = self._crew.call(begin, undo=lambda begun: begun[0].cancel())
        return run

    def heeded(self, run_id: str) -> None:
        """Note that the script knows how that run ended."""
        self._runs.pop(run_id, None)

    # -- its life -----------------------------------------------------------------

    def _claim(self) -> None:
        if not _only.acquire(blocking=False):
            holder = _last[0].config if _last else "another one"
            raise StateError(
                f"{holder} is open in this process, and one session holds the "
                "hardware: close() that one first"
            )
        hanging = _last[0].left_behind() if _last else ()
        if hanging:
            _only.release()
            raise StateError(
                f"of the session before, still hanging: {', '.join(hanging)}; end this "
                "process before the hardware is used again"
            )
        _last[:] = [self]
        self._has_claim = True

    def _ask_for_end(self, end: Callable[[], None]) -> None:
        def run() -> None:
            if self.ended.is_set:
                return
            errand = Errand(end, self.clock)
            errand.run()
            if errand.error is not None:
                note(f"hal: while stopping: {errand.error!r}")
            self.ended.set()

        self._is_closing = True
        self._life.put(run)

    def _begin(self) -> None:
        self._claim()
        app = Application(
            self.plan, log_folder=self._log_folder, safeguards=_SAFEGUARDS
        )
        self._app = app
        if self._is_closing:
            return
        for problem in app.start():
            note(f"hal: {problem.source} is degraded: {problem.text}")
        if self.plan.is_simulated:
            note("hal: this microscope is simulated")

    def _end(self) -> None:
        try:
            if self._app is not None:
                try:
                    self._wind_up()
                finally:
                    self._stop(self._app)
        finally:
            sys.setswitchinterval(self._switch_interval_s)
            self._crew.close()
            self._life.stop()
            if self._has_claim:
                _only.release()

    def _end_forgotten(self) -> None:
        note(
            f"hal: {self.config} was left open with nobody to use it: stopped; "
            "use `with hal.open(...)`, or close()"
        )
        self._end()

    def _wind_up(self) -> None:
        """End what goes on, and tell of failures that nobody has looked at."""
        runs = list(self._runs.items())
        for run_id, handle in runs:
            if handle.is_running:
                note(f"hal: run {run_id} is cancelled: the microscope is being closed")
                handle.cancel()
        give_up_s = self.clock.monotonic_s() + WIND_UP_S
        for run_id, handle in runs:
            while handle.is_running and not self.is_hurried:
                if self.clock.monotonic_s() >= give_up_s:
                    note(f"hal: run {run_id} has not ended in time")
                    break
                handle.wait(0.05)
            if handle.status.fatal_error is not None:
                note(f"hal: run {run_id} failed: {handle.status.fatal_error}")

    def _stop(self, app: Application) -> None:
        budget_s = _HURRIED_STOP_S if self.is_hurried else _STOP_S
        for problem in app.stop(budget_s):
            note(f"hal: while stopping: {problem}")
        if app.system.trace.failure is not None:
            note(f"hal: the trace is incomplete: {app.system.trace.failure}")
        if hanging := app.system.left_behind():
            note(f"hal: left behind, still hanging: {', '.join(hanging)}")

    def close_at_exit(self) -> None:
        """Close it if the script has not, and say so."""
        # A copy of the process has nothing to stop.
        if self.ended.is_set or self._pid != os.getpid():
            return
        if not self._is_closing:
            note(
                f"hal: {self.config} was not closed: stopped now, at exit; "
                "use `with hal.open(...)`, or close()"
            )
        self.close()
