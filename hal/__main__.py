"""`python -m hal CONFIG [options]`: the same as `hal.py` and the script `hal`."""

from __future__ import annotations

import sys

from hal.cli import main

# Guarded, because a spawned child process imports this file again.
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
