"""The command line of `tools/mutate_kernel.py`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from mutation.breaks import BREAKS
from mutation.runner import CannotBreak, Verdict, check, run

_HELP = """\
examples:
  mutate_kernel.py                     every break once
  mutate_kernel.py --runs 3 --jobs 2   as a release is checked
  mutate_kernel.py --only token --json only breaks with that word in their names
  mutate_kernel.py --list              what would be broken, and nothing else
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Break, test, print; return 1 if a break was not noticed, 2 if one cannot be."""
    arguments = _parser().parse_args(argv)
    chosen = [b for b in BREAKS if not arguments.only or arguments.only in b.name]
    try:
        check(chosen)
        if arguments.list:
            for change in chosen:
                print(f"{change.name}  ({change.file})")
            return 0
        missed = 0
        verdicts = []
        for number in range(arguments.runs):
            for verdict in run(chosen, arguments.jobs):
                missed += not verdict.caught
                verdicts.append({"run": number + 1, **_plain(verdict)})
                mark = "caught" if verdict.caught else "MISSED"
                print(
                    f"{number + 1}  {mark}  {verdict.took_s:5.1f} s  "
                    f"{verdict.broken.name}  [{verdict.by}]",
                    file=sys.stderr,
                    flush=True,
                )
    except CannotBreak as exc:
        print(exc, file=sys.stderr)
        return 2
    tried = len(verdicts)
    if arguments.json:
        print(json.dumps({"breaks": len(chosen), "verdicts": verdicts}))
    else:
        print(
            f"{len(chosen)} breaks, {arguments.runs} runs: {tried - missed} of {tried} "
            "caught"
        )
    return 1 if missed else 0


def _plain(verdict: Verdict) -> dict[str, object]:
    return {
        "name": verdict.broken.name,
        "caught": verdict.caught,
        "by": verdict.by,
        "took_s": round(verdict.took_s, 1),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mutate_kernel.py",
        description="Break the kernel in named ways, and see that tests fail.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=1, help="how often; 1 by default")
    parser.add_argument("--jobs", type=int, default=2, help="copies at work at a time")
    parser.add_argument("--only", metavar="WORD", help="breaks whose name has this")
    parser.add_argument("--list", action="store_true", help="only list them")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    return parser
