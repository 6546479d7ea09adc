"""Measure runs of plans against their budgets: `bench_runs.py --help`."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # The checkout this file lies in is measured, whatever else is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from bench.runs_cli import main

    sys.exit(main())
