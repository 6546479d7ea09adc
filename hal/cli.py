"""The command line: what users type, and the exit code they get."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from hal.acquisition import RunState, RunStatus
from hal.base import HalError
from hal.cli_arguments import Arguments, parse
from hal.cli_report import (
    INTERRUPTED,
    exit_code,
    json_line,
    note,
    report_failure,
    say,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code of INTERFACE.

    0 done and complete, 1 run failed or incomplete, 2 bad input, 3 HAL could not
    start, 130 interrupted.
    """
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        # A console that has no letter for a file name must not cost the result.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    as_json = "--json" in argv
    try:
        return _dispatch(parse(argv))
    except HalError as exc:
        report_failure(exc, as_json=as_json)
        return exit_code(exc)
    except KeyboardInterrupt:
        # Before HAL's own handler of Ctrl-C is in place, nothing has started.
        note("hal: interrupted before anything started")
        if as_json:
            say(json_line(RunStatus(run_id="", state=RunState.CANCELLED), trace=""))
        return INTERRUPTED


def _dispatch(arguments: Arguments) -> int:
    # Imported when needed: `--help` and a typing error should answer at once.
    if arguments.command == "check":
        from hal.cli_inspect import check

        return check(arguments)
    if arguments.command == "devices":
        from hal.cli_inspect import devices

        return devices(arguments)
    if arguments.command == "recover":
        from hal.cli_recover import recover_films

        return recover_films(arguments)
    from hal.cli_run import run

    return run(arguments)
