"""`hal CONFIG`: run a microscope, record a film, end in order."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from hal.acquisition import FilmPlan, RunHandle, RunState
from hal.app import Application, plan
from hal.base import CLI, OutputExists, RunError
from hal.cli_arguments import Arguments
from hal.cli_report import FilmProgressBar, json_line, note, report_run, say
from hal.main_loop import WaitLoop
from hal.messages import RunAccepted, StartRun
from hal.storage import check_name, check_output, writer_class

DONE: Final = 0
RUN_FAILED: Final = 1
INTERRUPTED: Final = 130
_STOP_S: Final = 3.0
_DEFAULT_FORMATS: Final = ("ome-tiff",)


class _Interrupts:
    """Counts Ctrl-C (and SIGTERM): once to end in order, twice to end now."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1


def run(arguments: Arguments) -> int:
    """Run HAL until its film is done, or until Ctrl-C; return the exit code.

    Raises:
        HalError: It could not start, or the film was refused.
    """
    checked = plan(
        arguments.config,
        overrides=arguments.overrides,
        settings=arguments.settings,
        simulation=arguments.simulation,
    )
    folder = arguments.output or checked.spec.directory
    if arguments.film is not None:
        _check_film(arguments, folder)
    with _interruptible() as interrupts:
        app = Application(checked, log_folder=arguments.log_dir)
        try:
            for problem in app.start():
                note(f"hal: {problem.source} is degraded: {problem.text}")
            if checked.is_simulated:
                note("hal: this microscope is simulated; every file says so")
            if arguments.film is None:
                code = _until_interrupted(app, interrupts)
            else:
                code = _film(app, arguments, folder, interrupts)
        finally:
            app.stop(_STOP_S)
    if app.system.trace.failure is not None:
        note(f"hal: the trace is incomplete: {app.system.trace.failure}")
    left_behind = app.system.left_behind()
    if left_behind:
        _leave(code, left_behind)
    return code


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


@contextmanager
def _interruptible() -> Iterator[_Interrupts]:
    """Count interrupts instead of raising KeyboardInterrupt in the middle of things."""
    interrupts = _Interrupts()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupts) for number in signals}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _until_interrupted(app: Application, interrupts: _Interrupts) -> int:
    say(f"trace: {app.trace_path}")
    note("hal: running; Ctrl-C to stop")
    WaitLoop().run_until(lambda: interrupts.count > 0)
    return DONE


def _film(
    app: Application, arguments: Arguments, folder: Path, interrupts: _Interrupts
) -> int:
    handle = _start_film(app, arguments, folder, interrupts)
    bar = FilmProgressBar(app.system.clock)
    cancelled = False

    def tick() -> None:
        nonlocal cancelled
        bar.show(handle.status)
        if interrupts.count and not cancelled:
            cancelled = True
            note("hal: terminating: the film is closed and verified; again to end now")
            handle.cancel()

    try:
        WaitLoop().run_until(
            lambda: not handle.is_running or interrupts.count > 1, tick=tick
        )
    finally:
        bar.close()
    status = handle.status
    trace = str(app.trace_path)
    report_run(status, trace)
    if arguments.json:
        say(json_line(status, trace=trace))
    if interrupts.count:
        return INTERRUPTED
    return DONE if status.state is RunState.DONE else RUN_FAILED


def _start_film(
    app: Application, arguments: Arguments, folder: Path, interrupts: _Interrupts
) -> RunHandle:
    """Return the handle of a film that was accepted.

    Raises:
        HalError: It was refused, in the class of the refusal.
    """
    assert arguments.film is not None
    request = StartRun(
        plan=FilmPlan(frames=arguments.film),
        directory=str(folder),
        name=arguments.name,
        formats=arguments.formats or _DEFAULT_FORMATS,
        overwrite=arguments.overwrite,
        notes=arguments.notes,
    )
    delivery = app.system.send(request, principal=CLI)
    WaitLoop().run_until(
        lambda: delivery.complete or interrupts.count > 1, every_s=0.02
    )
    if not delivery.complete:
        raise RunError("interrupted while the film was being prepared")
    accepted = delivery.result()
    assert isinstance(accepted, RunAccepted)
    return app.handle(accepted, principal=CLI)


def _leave(code: int, left_behind: Sequence[str]) -> None:
    """End the process although threads hang in calls that may never return."""
    note(f"hal: left behind, still hanging: {', '.join(left_behind)}")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)
