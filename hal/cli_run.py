"""`hal CONFIG`: run a microscope, record a film or run a plan, end in order."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from hal.acquisition import (
    FilmPlan,
    Plan,
    RunHandle,
    RunState,
    RunStatus,
    load_plan,
)
from hal.app import Application, plan
from hal.base import CLI, ErrorRecord, HalError, OutputExists, RunError
from hal.cli_arguments import Arguments
from hal.cli_chaos import ChaosTold
from hal.cli_interrupts import Interrupts, interruptible
from hal.cli_report import (
    DONE,
    INTERRUPTED,
    RUN_FAILED,
    exit_code,
    json_line,
    note,
    note_failure,
    report_run,
    say,
)
from hal.film_progress_bar import FilmProgressBar
from hal.kernel import Safeguards
from hal.main_loop import MainLoop, WaitLoop
from hal.messages import Postmortem, RunAccepted, StartRun
from hal.storage import check_name, check_output, writer_class

_STOP_S: Final = 3.0
_HURRY_S: Final = 0.7
_DEFAULT_FORMATS: Final = ("ome-tiff",)


def run(arguments: Arguments) -> int:
    """Run HAL until its film or plan is done, or until Ctrl-C; return the exit code.

    Raises:
        HalError: It could not start; what went wrong later is reported here.
    """
    checked = plan(
        arguments.config,
        overrides=arguments.overrides,
        settings=arguments.settings,
        simulation=arguments.simulation,
        chaos=arguments.chaos,
    )
    folder = arguments.output or checked.spec.directory
    wanted = _wanted(arguments)
    if wanted is not None:
        _check_film(arguments, folder)
    with interruptible() as interrupts:
        app = Application(
            checked, log_folder=arguments.log_dir, safeguards=Safeguards()
        )
        session = _Session(app, arguments, wanted, folder, interrupts, WaitLoop())
        try:
            session.use()
        finally:
            session.note_stop(app.stop(_HURRY_S if interrupts.hurry else _STOP_S))
        code = session.report()
        left_behind = app.system.left_behind()
        if left_behind or interrupts.hurry:
            _leave(code, left_behind)
    return code


class _Session:
    """What one start of HAL comes to; reported when all has stopped.

    Runs on: main.
    """

    def __init__(
        self,
        app: Application,
        arguments: Arguments,
        wanted: FilmPlan | Plan | None,
        folder: Path,
        interrupts: Interrupts,
        loop: MainLoop,
    ) -> None:
        self.errors: tuple[ErrorRecord, ...] = ()
        """What went wrong outside the film."""
        self._app = app
        self._arguments = arguments
        self._wanted = wanted
        self._folder = folder
        self._interrupts = interrupts
        self._loop = loop
        self._handle: RunHandle | None = None
        self._failure: HalError | None = None
        self._chaos = ChaosTold(app)
        self._postmortem = Postmortem(run_id="")

    def use(self) -> None:
        """Start HAL, and do what is wanted or wait for Ctrl-C; errors are kept."""
        try:
            for line in self._chaos.begins():
                note(f"hal: {line}")
            self.errors += self._app.start()
            for problem in self.errors:
                note(f"hal: {problem.source} is degraded: {problem.text}")
            if self._interrupts.count:
                raise RunError("interrupted while HAL was starting")
            if self._wanted is None:
                self._wait()
            else:
                self._handle = self._start_run(self._wanted)
                self._follow(self._handle)
                if self._handle.status.state is RunState.ERROR:
                    self._postmortem = self._await_postmortem(self._handle.run_id)
        except HalError as exc:
            self._failure = exc

    def report(self) -> int:
        """Print what it came to; return the exit code."""
        trace = str(self._app.trace_path)
        if self._app.system.trace.failure is not None:
            note(f"hal: the trace is incomplete: {self._app.system.trace.failure}")
        errors = list(self.errors)
        if self._failure is not None:
            errors += note_failure(self._failure)
        status = self._status()
        report_run(status, trace, self._postmortem)
        lines, more = self._chaos.tell(status)
        for line in lines:
            say(line)
        if self._arguments.json:
            bundle = self._postmortem.path
            say(
                json_line(
                    status, trace=trace, errors=errors, postmortem=bundle, more=more
                )
            )
        return self._code(status)

    def note_stop(self, problems: tuple[ErrorRecord, ...]) -> None:
        """Print what went wrong while HAL stopped."""
        for problem in problems:
            note(f"hal: while stopping: {problem}")
        self.errors += problems

    def _status(self) -> RunStatus:
        """Return the run's last status, or one that stands for a run that never was."""
        status = RunStatus(run_id="", state=RunState.DONE)
        if self._handle is not None:
            status = self._handle.status
        elif self._failure is not None:
            status = msgspec.structs.replace(status, state=RunState.ERROR)
        if self._handle is None and self._was_cut_short:
            return msgspec.structs.replace(status, state=RunState.CANCELLED)
        if status.state.is_terminal:
            return status
        # Told twice to end, a run does not come to the end of its winding up.
        return msgspec.structs.replace(
            status,
            state=RunState.CANCELLED,
            finished_at_s=self._app.system.clock.wall_s(),
            files=tuple(file for file in status.files if Path(file).exists()),
        )

    @property
    def _was_cut_short(self) -> bool:
        """Whether an interrupt ended something that was not over."""
        count = self._interrupts.count
        if self._wanted is None and self._failure is None:
            # Running until Ctrl-C is what a run without a film or plan is for.
            return count > 1
        return count > 0

    def _code(self, status: RunStatus) -> int:
        if self._was_cut_short:
            return INTERRUPTED
        if self._failure is not None:
            return exit_code(self._failure)
        if self._handle is None:  # it ran until Ctrl-C, as it was to
            return DONE
        return DONE if status.is_complete else RUN_FAILED

    def _wait(self) -> None:
        self._note_simulation("this microscope is simulated")
        note(f"hal: running; Ctrl-C to stop; trace: {self._app.trace_path}")
        self._loop.run_until(lambda: self._interrupts.count > 0)

    def _note_simulation(self, text: str) -> None:
        if self._app.plan.is_simulated:
            note(f"hal: {text}")

    def _start_run(self, wanted: FilmPlan | Plan) -> RunHandle:
        """Return the handle of a film or plan that was accepted.

        Raises:
            HalError: It was refused, in the class of the refusal.
        """
        arguments = self._arguments
        request = StartRun(
            plan=wanted,
            directory=str(self._folder),
            name=arguments.name,
            formats=arguments.formats or _DEFAULT_FORMATS,
            overwrite=arguments.overwrite,
            notes=self._chaos.notes(arguments.notes),
        )
        delivery = self._app.system.send(request, principal=CLI)
        self._loop.run_until(
            lambda: delivery.complete or self._interrupts.hurry, every_s=0.02
        )
        if not delivery.complete:
            raise RunError("interrupted while the run was being prepared")
        accepted = delivery.result()
        assert isinstance(accepted, RunAccepted)
        return self._app.handle(accepted, principal=CLI)

    def _follow(self, handle: RunHandle) -> None:
        """Show the run getting on until it has ended, or is to end now."""
        self._note_simulation(
            "this microscope is simulated; the film's metadata say so"
        )
        bar = FilmProgressBar(self._app.system.clock)
        cancelled = False

        def tick() -> None:
            nonlocal cancelled
            bar.show(handle.status)
            if self._interrupts.count and not cancelled:
                cancelled = True
                handle.cancel()

        try:
            self._loop.run_until(
                lambda: not handle.is_running or self._interrupts.hurry, tick=tick
            )
        finally:
            bar.close()

    def _await_postmortem(self, run_id: str) -> Postmortem:
        """Return what became of the bundle of a run that failed; bounded in time."""
        delivery = self._app.postmortem(run_id, principal=CLI)
        self._loop.run_until(
            lambda: delivery.complete or self._interrupts.hurry, every_s=0.02
        )
        if not delivery.complete:
            return Postmortem(run_id=run_id, why_not="interrupted")
        try:
            made = delivery.result()
        except HalError as exc:
            return Postmortem(run_id=run_id, why_not=exc.text)
        assert isinstance(made, Postmortem)
        return made


def _wanted(arguments: Arguments) -> FilmPlan | Plan | None:
    """Return what is to be recorded; None to run until Ctrl-C.

    Raises:
        PlanError: The plan cannot be run as it is written.
        StartError: A package that reads plans is not installed.
    """
    if arguments.plan is not None:
        return load_plan(arguments.plan)
    return None if arguments.film is None else FilmPlan(frames=arguments.film)


def _check_film(arguments: Arguments, folder: Path) -> None:
    """Find out what can be known before anything starts; leave nothing behind.

    Raises:
        BadInput: Format, name or folder cannot be used.
        OutputExists: A film of that name exists.
    """
    for name in arguments.formats:
        writer_class(name)
    if arguments.name is not None:
        check_name(arguments.name)
        sidecar = folder / f"{arguments.name}.xml"
        if sidecar.exists() and not arguments.overwrite:
            raise OutputExists(
                f"{sidecar} exists: choose another --name, or allow to --overwrite"
            )
    check_output(folder, 0).undo()


def _leave(code: int, left_behind: Sequence[str]) -> None:
    """End the process although threads hang in calls that may never return."""
    if left_behind:
        note(f"hal: left behind, still hanging: {', '.join(left_behind)}")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    os._exit(code)
