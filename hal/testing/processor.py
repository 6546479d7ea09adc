"""Where simulated threads run."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def stay_on_one_processor() -> None:
    """Keep this thread, and those it will start, on one processor.

    Of simulated threads one runs at a time, and to wake one on another processor takes
    four times as long (measured: 25 and 6 us).

    Runs on: any.
    """
    if sys.platform == "linux":
        usable = sorted(os.sched_getaffinity(0))
        # Processes that test at the same time should not all choose the same one.
        with suppress(OSError):
            os.sched_setaffinity(0, {usable[os.getpid() % len(usable)]})
