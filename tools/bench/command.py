"""What the command lines of all benchmarks have in common."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from bench.pairing import Scale
from bench.report import Line, json_line, table

Part = Callable[[Scale], Iterator[Line]]

_RATIOS: Final = """
Ratios are medians of several rounds; each round lies between two measurements of what
it is compared with. A quiet machine and --rounds 9 make them steadier.
"""


def run(
    bench: str,
    about_it: str,
    parts: Mapping[str, Part],
    epilog: str,
    argv: Sequence[str] | None,
    *,
    more: argparse.ArgumentParser | None = None,
) -> int:
    """Measure and print; return 0 whatever was missed, 2 for bad arguments.

    Args:
        bench: Name of the benchmark.
        about_it: For the help.
        parts: What can be measured, by name.
        epilog: Examples, for the help.
        argv: What was typed; what Python was started with if None.
        more: Further arguments, which the parts know of already.
    """
    parser = _parser(bench, about_it, parts, epilog, more)
    arguments = parser.parse_args(argv)
    scale = Scale(arguments.rounds or (1 if arguments.quick else 5), arguments.quick)
    # As `hal.app` sets it: with the default of 5 ms, a waiting thread is mostly
    # measured waiting for the interpreter.
    sys.setswitchinterval(0.0005)
    lines: list[Line] = []
    for name, measure in parts.items():
        if arguments.only and name not in arguments.only:
            continue
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        lines += measure(scale)
    about: dict[str, object] = {
        "bench": bench,
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


def _parser(
    bench: str,
    about_it: str,
    parts: Mapping[str, Part],
    epilog: str,
    more: argparse.ArgumentParser | None,
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"bench_{bench}.py",
        description=about_it,
        epilog=epilog + _RATIOS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[] if more is None else [more],
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument(
        "--quick", action="store_true", help="only see that it runs; seconds"
    )
    parser.add_argument(
        "--only", action="append", choices=list(parts), help="measure this part"
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
