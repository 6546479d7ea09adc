"""Making a device safe past the process that drove it, which is gone."""

from __future__ import annotations

import os
import sys

import msgspec

from hal.base import SafeStateCall
from hal.kernel import sentinel_process


def make_safe_from_outside(call: SafeStateCall, timeout_s: float) -> str:
    """Make a device safe in a new Python; return `applied`, or what was in the way.

    Blocks for `timeout_s` at most; what has not ended by then is ended.

    Runs on: any.
    """
    process = sentinel_process.start_call(
        sys.executable,
        msgspec.to_builtins(call),
        [os.path.abspath(place) for place in sys.path],
    )
    if process is None:
        return "not started"
    return sentinel_process.outcome_of(process, timeout_s)
