"""What `tools/start.py` does: set up, then the demo or the tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from environment import SetupError, ensure, say

HELP = """\
Set HAL up in .venv (made once, checked in a moment after that) and try it.

  python3 tools/start.py                    record a film with a simulated microscope,
                                            list its files, summarise its trace
  python3 tools/start.py test               run all tests
  python3 tools/start.py test -k ring -x    any pytest arguments; paths are relative
                                            to the checkout

Exit codes are those of HAL or pytest; 2: wrong arguments; 3: it cannot be set up here
(the last line says what to type); 130: interrupted, safe to run again.
"""

ROOT = Path(__file__).resolve().parent.parent
DEMO_EXTRAS = ("plans",)
# With those of the demo, so that neither has to install again after the other.
TEST_EXTRAS = (*DEMO_EXTRAS, "test")
WHOLE_SUITE = "-n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder"
DEMO = "xml_configs/sim.xml --headless --film 100 --format dax --format ome-tiff"


def main(argv: Sequence[str]) -> int:
    """Do what `argv` asks and return the exit code."""
    if any(argument in ("-h", "--help") for argument in argv[:1]):
        print(HELP, end="")
        return 0
    if argv and argv[0] != "test":
        print(f"start.py: unknown argument {argv[0]!r}\n\n{HELP}", end="")
        return 2
    try:
        if argv:
            return run_tests(ensure(ROOT, TEST_EXTRAS), argv[1:])
        return run_demo(ensure(ROOT, DEMO_EXTRAS))
    except SetupError as exc:
        if exc.said:
            say(exc.said)
        say(f"start.py: {exc}")
        return 3
    except KeyboardInterrupt:
        say("start.py: interrupted; run it again to go on")
        return 130


def run_tests(python: Path, arguments: Sequence[str]) -> int:
    """Run pytest in the checkout; all tests at once on several processors."""
    arguments = arguments or WHOLE_SUITE.split()
    return run_child([python, "-m", "pytest", *arguments])


def run_demo(python: Path) -> int:
    """Record the film, whose files HAL lists, then summarise its trace."""
    report: dict[str, object] = {}

    def show(line: str) -> None:
        found = parse_report(line)
        if found is None:
            print(line, flush=True)
        else:
            report.update(found)

    say(f"running: hal.py {DEMO}")
    code = run_child([python, "hal.py", *DEMO.split(), "--json"], show)
    trace = report.get("trace")
    if not isinstance(trace, str) or code == 130:
        return code
    print(flush=True)
    stats = run_child([python, "tools/hal_trace.py", "stats", "--summary", trace])
    say(f"for the whole table: {python} tools/hal_trace.py stats {trace}")
    return code or stats


def parse_report(line: str) -> dict[str, object] | None:
    """Return the object HAL's `--json` prints, None for any other line."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "run_id" in found else None


def run_child(
    command: Sequence[str | Path], on_line: Callable[[str], None] | None = None
) -> int:
    """Run `command` in the checkout and return its exit code as a shell would.

    A signal ends the child, never this process first: HAL closes its data and says
    what it has before it goes.

    Args:
        command: Program and arguments.
        on_line: Gets each line of its stdout; without it, stdout is ours.
    """
    children: list[subprocess.Popen[str]] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        # Ctrl-C at a terminal reaches the child by itself; HAL takes a second one
        # for "stop now".
        if number != signal.SIGINT or not _at_terminal():
            for child in children:
                child.send_signal(number)

    with _handled((signal.SIGINT, signal.SIGTERM), pass_on):
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=None if on_line is None else subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        children.append(child)
        with child:
            for line in child.stdout or ():
                if on_line is not None:
                    on_line(line.rstrip("\n"))
    code = child.returncode
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _handled(
    numbers: Sequence[int], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


def _at_terminal() -> bool:
    """Whether keys typed now reach this process and its children alike."""
    if sys.platform == "win32":
        return True
    try:
        with open("/dev/tty") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
