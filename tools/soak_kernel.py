"""Lets modules talk, hang and die for hours: `python tools/soak_kernel.py --help`."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # The checkout this file lies in is soaked, whatever else is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from soak.cli import main

    sys.exit(main())
