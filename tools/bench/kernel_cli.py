"""The command line of `tools/bench_kernel.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench import (
    broadcast,
    hangs,
    memory,
    round_trip,
    start_up,
    stop,
    watching,
)
from bench.command import Part, run

PARTS: Final[dict[str, Part]] = {
    # First, while the process is small and has nothing to give back.
    "memory": memory.measure,
    "broadcast": broadcast.measure,
    "round_trip": round_trip.measure,
    "stop": stop.measure,
    "watchdog": watching.measure,
    "hang": hangs.measure,
    "start_up": start_up.measure,
}

_HELP = """\
examples:
  bench_kernel.py                      everything: a few minutes
  bench_kernel.py --only broadcast     one part; may be repeated
  bench_kernel.py --json               one line of JSON
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 0 whatever was missed, 2 for bad arguments."""
    about = "Measure the kernel against its budgets."
    return run("kernel", about, PARTS, _HELP, argv)
