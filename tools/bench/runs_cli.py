"""The command line of `tools/bench_runs.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench import plan_runs
from bench.command import Part, run

PARTS: Final[dict[str, Part]] = {
    "micromanager": plan_runs.measure,
    "simulated": plan_runs.measure_rate,
}

_HELP = """\
examples:
  bench_runs.py                         everything: about two minutes
  bench_runs.py --only simulated        one part; may be repeated
  bench_runs.py --json                  one line of JSON

The same plans are run by HAL, by pymmcore-plus's MDARunner and, frame by frame, by
snapImage and getImage, on Micro-Manager's DemoCamera with 64x64 pixels and 1 ms. HAL
writes all frames to a file in memory and accounts for each; the others keep none.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 0 whatever was missed, 2 for bad arguments."""
    about = "Measure runs that follow a plan against their budgets."
    return run("runs", about, PARTS, _HELP, argv)
