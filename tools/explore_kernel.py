"""Look for kernel bugs with random scripts: `python tools/explore_kernel.py --help`."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # The checkout this file lies in is explored, whatever else is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from exploring.command import main

    sys.exit(main())
