"""The command line of `tools/bench_isolation.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench import across, rebirth
from bench.command import Part, run

PARTS: Final[dict[str, Part]] = {
    "round_trip": across.measure,
    "start": rebirth.measure_start,
    "kill": rebirth.measure_kill,
}

_HELP = """\
examples:
  bench_isolation.py                    everything: about a minute
  bench_isolation.py --only kill        one part; may be repeated
  bench_isolation.py --json             one line of JSON
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 0 whatever was missed, 2 for bad arguments."""
    about = "Measure modules in processes of their own against their budgets."
    return run("isolation", about, PARTS, _HELP, argv)
