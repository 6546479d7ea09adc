"""What 200,000 messages leave behind in memory."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.pairing import Scale
from bench.report import Line
from bench.systems import TraceCount, finish, post, running_system
from bench.vocabulary import Listener, Ticked

BUDGET: Final = 1.05
_STATM: Final = Path("/proc/self/statm")
_SUBSCRIBERS: Final = 3


def measure(scale: Scale) -> Iterator[Line]:
    """Yield memory after all messages over memory after the first tenth of them."""
    count = scale.pick(200_000, 600)
    burst = scale.pick(1_000, 100)
    sent = 0
    with running_system() as (system, folder):
        for number in range(_SUBSCRIBERS):
            system.add(Listener, f"listener{number}")
        system.start()
        lines = TraceCount(folder, Ticked)

        def send(count: int) -> None:
            nonlocal sent
            for _ in range(count // burst):
                finish([post(system, Ticked(n)) for n in range(burst)], _SUBSCRIBERS)
                sent += burst
                # What waits for its line in the trace is no leak.
                lines.wait_for(sent)

        send(max(burst, count // 10))
        before = _memory()
        send(count)
        after = _memory()
    what = f"after {count:,} messages"
    growth = after[0] - before[0]
    yield Line(
        "memory",
        f"blocks {what}",
        after[0] / before[0],
        "blocks before",
        at_most=BUDGET,
        stated=f"{before[0]:,} blocks, {growth / count:+.4f} for each message",
    )
    if before[1]:
        yield Line(
            "memory",
            f"resident {what}",
            after[1] / before[1],
            "resident before",
            at_most=BUDGET,
            stated=f"{before[1] / 2**20:.1f} MB, then {after[1] / 2**20:.1f} MB",
        )


def _memory() -> tuple[int, int]:
    """Return Python's allocated blocks, and resident bytes (0 if unknown)."""
    gc.collect()
    resident = 0
    if sys.platform != "win32" and _STATM.exists():
        resident = int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return sys.getallocatedblocks(), resident
