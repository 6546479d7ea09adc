"""The command line of `tools/bench_kernel.py`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
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
from bench.pairing import Scale
from bench.report import Line, json_line, table

PARTS: Final[dict[str, Callable[[Scale], Iterator[Line]]]] = {
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

Ratios are medians of several rounds; each round lies between two measurements of what
it is compared with. A quiet machine and --rounds 9 make them steadier.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 0 whatever was missed, 2 for bad arguments."""
    arguments = _parser().parse_args(argv)
    scale = Scale(arguments.rounds or (1 if arguments.quick else 5), arguments.quick)
    # As `hal.app` sets it: with the default of 5 ms, a waiting thread is mostly
    # measured waiting for the interpreter.
    sys.setswitchinterval(0.0005)
    lines: list[Line] = []
    for name in PARTS:
        if arguments.only and name not in arguments.only:
            continue
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        lines += PARTS[name](scale)
    about: dict[str, object] = {
        "bench": "kernel",
        "quick": scale.quick,
        "rounds": scale.rounds,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": _load(),
    }
    if arguments.json:
        print(json_line(lines, **about))
    else:
        print(", ".join(f"{name} {value}" for name, value in about.items()))
        print(table(lines))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench_kernel.py",
        description="Measure the kernel against its budgets.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument(
        "--quick", action="store_true", help="only see that it runs; seconds"
    )
    parser.add_argument(
        "--only", action="append", choices=list(PARTS), help="measure this part"
    )
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="how often; 5 by default"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, not {number}")
    return number


def _load() -> float | None:
    """Return how many processes want the processors; None where nobody counts."""
    if sys.platform == "win32":
        return None
    return round(os.getloadavg()[0], 2)
