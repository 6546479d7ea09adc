"""Draw the simulated sample, and a strip of a film of it.

    python tools/show_sample.py                       sample.png and film.png
    python tools/show_sample.py --sample molecules --seed 5 --output pictures
    python tools/show_sample.py --speed               frames a second on this machine

The sample is drawn in colour, a laser for each channel, as a microscopist would put it
together; the film strip shows what the camera delivers. Both take some seconds and need
no hardware.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# As a script it finds the folder of its own; the project is above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sample.pictures import draw_film, draw_sample
from sample.speed import report_speed

SAMPLES = ("cells", "molecules", "beads")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", choices=SAMPLES, default="cells")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=512, help="pixels along a side")
    parser.add_argument("--frames", type=int, default=6, help="of the film strip")
    parser.add_argument("--output", type=Path, default=Path(), help="where to")
    parser.add_argument("--speed", action="store_true", help="measure instead")
    arguments = parser.parse_args(argv)
    for name in ("size", "frames"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name}: expected a whole number from 1 on")
    if arguments.seed < 0:
        parser.error("--seed: expected a whole number from 0 on")
    if arguments.speed:
        for line in report_speed():
            print(line, flush=True)
        return 0
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
        chosen = arguments.sample, arguments.seed, arguments.size
        for path in (
            draw_sample(arguments.output / "sample.png", *chosen),
            draw_film(arguments.output / "film.png", *chosen, arguments.frames),
        ):
            print(path)
    except OSError as exc:
        print(f"show_sample: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
