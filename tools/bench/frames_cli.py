"""The command line of `tools/bench_frames.py`."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench import films, paced, rings
from bench.command import Part, run

_SHM: Final = Path("/dev/shm")

_HELP = """\
examples:
  bench_frames.py                        everything: about five minutes, and 2 GB of
                                         memory
  bench_frames.py --only memory          one part; may be repeated
  bench_frames.py --disk /data           where films to disk go
  bench_frames.py --json                 one line of JSON

A film's time is that from the start of exposure to the last frame stored. The camera of
these films costs next to nothing: it marks frames that lie in the ring already, as if
the hardware had put them there, so that storing them is what takes the time. What they
are compared with is a loop of os.write of the same frames into as many files, by as
many threads; nothing is synced to the device in either case.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 0 whatever was missed, 2 for bad arguments."""
    places = argparse.ArgumentParser(add_help=False)
    places.add_argument(
        "--memory",
        type=Path,
        default=_SHM if _SHM.is_dir() else Path(tempfile.gettempdir()),
        metavar="DIR",
        help="folder that lies in memory; by default %(default)s",
    )
    places.add_argument(
        "--disk",
        type=Path,
        default=Path(tempfile.gettempdir()),
        metavar="DIR",
        help="folder that lies on a disk; by default %(default)s",
    )
    found, _ = places.parse_known_args(argv)
    parts: dict[str, Part] = {
        "memory": partial(films.measure, "memory", found.memory),
        "disk": partial(films.measure, "disk", found.disk),
        "paced": partial(paced.measure, found.memory),
        "ring": rings.measure_copy,
        "latency": rings.measure_latency,
    }
    about = "Measure cameras, rings and films against their budgets."
    return run("frames", about, parts, _HELP, argv, more=places)
