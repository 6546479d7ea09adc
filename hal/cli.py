"""The command line: what users type, and the exit code they get."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from hal.base import BadInput, HalError, StartError
from hal.cli_arguments import Arguments, parse
from hal.cli_report import report_failure

DONE: Final = 0
RUN_FAILED: Final = 1
BAD_INPUT: Final = 2
CANNOT_START: Final = 3
INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code of INTERFACE.

    0 done and complete, 1 run failed or incomplete, 2 bad input, 3 HAL could not
    start, 130 interrupted.
    """
    arguments = parse(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except HalError as exc:
        report_failure(exc, as_json=arguments.json)
        return exit_code(exc)
    except KeyboardInterrupt:
        # Before HAL's own handler of Ctrl-C is in place, nothing has started.
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def exit_code(exc: HalError) -> int:
    """Return the exit code for an error that ended a command."""
    if isinstance(exc, BadInput):
        return BAD_INPUT
    if isinstance(exc, StartError):
        return CANNOT_START
    return RUN_FAILED


def _dispatch(arguments: Arguments) -> int:
    # Imported when needed: `--help` and a typing error should answer at once.
    if arguments.command == "check":
        from hal.cli_inspect import check

        return check(arguments)
    if arguments.command == "devices":
        from hal.cli_inspect import devices

        return devices(arguments)
    from hal.cli_run import run

    return run(arguments)
