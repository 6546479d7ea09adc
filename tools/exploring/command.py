"""The command line, the progress and the table of `tools/explore_kernel.py`."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from typing import TextIO

from exploring.runs import Found, Totals, explore

_PROGRESS_S = 5.0

_DESCRIPTION = """\
Runs a whole kernel in simulated time, over and over, in which clients send, stop,
restart, hang and kill modules at random; checks the kernel's promises during and after.
"""
_EPILOG = """\
A violation is printed with the command that shows it again. Exit code 1 if there was
one.
"""


def main(argv: Sequence[str] | None = None, out: TextIO | None = None) -> int:
    """Explore; return the exit code."""
    options = _parser().parse_args(argv)
    out = out or sys.stdout
    started_s = shown_s = time.monotonic()
    totals = Totals()
    for found in explore(
        options.steps,
        seed=options.seed,
        preempt=options.preempt,
        share=options.share,
        steps_each=options.script,
    ):
        totals.add(found)
        if found.violation:
            print(_violation(found), file=sys.stderr, flush=True)
        now_s = time.monotonic()
        if now_s - shown_s >= _PROGRESS_S:
            shown_s = now_s
            print(_progress(totals, options.steps, now_s - started_s), file=sys.stderr)
        if len(totals.violations) >= options.most:
            break
    print(_table(totals, time.monotonic() - started_s, options.coverage), file=out)
    return 1 if totals.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--steps", type=_positive, default=200_000, help="how many (%(default)s)")
    add("--seed", type=int, default=1, help="of the first script (%(default)s)")
    add(
        "--preempt",
        type=_probability,
        default=0.003,
        metavar="P",
        help="how often a thread is stopped before a bytecode (%(default)s)",
    )
    add(
        "--share",
        type=_probability,
        default=0.1,
        metavar="P",
        help="in which part of the scripts (%(default)s); it takes ten times as long",
    )
    add("--script", type=_positive, default=80, help="steps of a script (%(default)s)")
    add(
        "--most",
        type=_positive,
        default=10,
        help="after so many violations it ends (%(default)s)",
    )
    add("--coverage", action="store_true", help="also say what came to pass how often")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {value}")
    return value


def _probability(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0 or math.isnan(value):
        raise argparse.ArgumentTypeError(f"expected 0 to 1, got {value}")
    return value


def _progress(totals: Totals, steps: int, took_s: float) -> str:
    return (
        f"{totals.steps:>8} of {steps} steps, {totals.scripts} scripts, "
        f"{took_s:.0f} s, {len(totals.violations)} violations"
    )


def _violation(found: Found) -> str:
    return f"VIOLATION\n{found.violation}\n  see it again: {found.replay}\n"


def _table(totals: Totals, took_s: float, coverage: bool) -> str:
    rows = [
        ("steps", f"{totals.steps}"),
        ("scripts", f"{totals.scripts}"),
        ("of them preempted", f"{totals.preempted}"),
        ("seconds", f"{took_s:.1f}"),
        ("switches", f"{totals.switches}"),
        ("simulated seconds", f"{totals.simulated_s:.0f}"),
        ("violations", f"{len(totals.violations)}"),
    ]
    lines = [f"{name:<20}{value:>12}" for name, value in rows]
    lines += [
        f"  {found.violation.splitlines()[0]}\n    {found.replay}"
        for found in totals.violations
    ]
    if coverage:
        lines.append("")
        lines += [f"{what:<40}{n:>8}" for what, n in sorted(totals.covered.items())]
    return "\n".join(lines)
