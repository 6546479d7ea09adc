"""The command line of `tools/soak_kernel.py`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import msgspec

from soak.run import Broken, Sample, Soak

_HELP = """\
examples:
  soak_kernel.py --minutes 60            an hour, a sample every half minute
  soak_kernel.py --minutes 1 --sample-s 5 --json

Growth is counted from a fifth of the time on: caches and the memory of the C library
are filled by then.
"""
_HEADS = ("after s", "messages", "restarts", "threads", "files", "MB", "objects")


def main(argv: Sequence[str] | None = None) -> int:
    """Soak and print; return 1 if a guarantee broke or something grows."""
    arguments = _parser().parse_args(argv)
    soak, samples = Soak(arguments.seed, arguments.pause_s), []
    _row(_HEADS)
    try:
        for sample in soak.run(arguments.minutes * 60.0, arguments.sample_s):
            samples.append(sample)
            _row(msgspec.structs.astuple(sample))
    except Broken as exc:
        print(f"broken after {soak.messages:,} messages: {exc}", file=sys.stderr)
        return 1
    problems = growth(samples)
    if arguments.json:
        report = {"samples": samples, "outcomes": soak.outcomes, "problems": problems}
        print(msgspec.json.encode(report).decode())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def growth(samples: Sequence[Sample]) -> list[str]:
    """Return what is more at the end than it was once warm, for people."""
    if len(samples) < 5:
        return []
    warm, end = samples[len(samples) // 5], samples[-1]
    problems = []
    # A worker thread more or less is the moment: it starts with the first job.
    for what, before, after, more in (
        ("threads", warm.threads, end.threads, 8),
        ("open files", warm.files, end.files, 1),
        ("MB", warm.rss_mb, end.rss_mb, 8.0),
        ("objects", warm.objects, end.objects, warm.objects * 0.02),
    ):
        if after > before + more:
            problems.append(f"{what} grew from {before} to {after}")
    return problems


def _row(cells: Sequence[object]) -> None:
    print("".join(f"{cell!s:>12}" for cell in cells), file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="soak_kernel.py",
        description="Let modules talk, hang and die, and see what grows.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long")
    parser.add_argument("--sample-s", type=float, default=30.0, help="how often")
    parser.add_argument(
        "--pause-s", type=float, default=0.0, help="after each hundred messages"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the traffic")
    parser.add_argument("--json", action="store_true", help="also one line of JSON")
    return parser
