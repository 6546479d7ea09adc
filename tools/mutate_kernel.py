"""Breaks the kernel on purpose: `python tools/mutate_kernel.py --help`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from mutation.cli import main

    sys.exit(main())
