"""One event to many modules, against as many threads with a bare SimpleQueue each."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from queue import SimpleQueue
from typing import Final

from bench.pairing import Scale, paired, rate
from bench.report import Line
from bench.systems import TraceCount, finish, post, running_system
from bench.vocabulary import Listener, PooledListener, Ticked

SUBSCRIBERS: Final = (1, 5, 20, 60, 200)
BUDGET_AT: Final = 60
PINNED: Final = 0.15
POOL: Final = 0.2
_RAW_BURST: Final = 2_000
"""Enough for the raw threads to reach their limit, however many they are."""


class RawFanOut:
    """What threads and queues alone can do: no types, no tickets, no trace."""

    def __init__(self, readers: int) -> None:
        self._queues: list[SimpleQueue[int]] = [SimpleQueue() for _ in range(readers)]
        self._ended: SimpleQueue[None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read, args=(queue,), daemon=True)
            for queue in self._queues
        ]
        for thread in self._threads:
            thread.start()

    def burst(self, count: int) -> None:
        """Send `count` items to every reader; return when all have all of them."""
        for left in range(count - 1, -1, -1):
            for queue in self._queues:
                queue.put(left)
        for _ in self._queues:
            self._ended.get()

    def close(self) -> None:
        """End the threads."""
        for queue in self._queues:
            queue.put(-1)
        for thread in self._threads:
            thread.join()

    def _read(self, queue: SimpleQueue[int]) -> None:
        while (left := queue.get()) >= 0:
            if left == 0:
                self._ended.put(None)


def measure(scale: Scale) -> Iterator[Line]:
    """Yield the rate of every number of subscribers."""
    for subscribers in SUBSCRIBERS:
        yield from _measure(scale, subscribers, Listener, "pinned", PINNED)
        yield from _measure(scale, subscribers, PooledListener, "pool", POOL)


def _measure(
    scale: Scale,
    subscribers: int,
    listener: type[Listener],
    threads: str,
    budget: float,
) -> Iterator[Line]:
    # As many deliveries in each burst, so that no number of subscribers takes ages.
    count = scale.pick(max(100, min(2_000, 40_000 // subscribers)), 10)
    min_s = scale.pick(0.25, 0.0)
    sent = 0
    raw = RawFanOut(subscribers)
    with running_system() as (system, folder):
        for number in range(subscribers):
            system.add(listener, f"listener{number}")
        system.start()

        def burst(count: int) -> None:
            nonlocal sent
            sent += count
            finish([post(system, Ticked(n)) for n in range(count)], subscribers)

        def sustained() -> float:
            before = sent
            started_s = time.perf_counter()
            rate(burst, count, scale.pick(1.0, 0.0))
            lines.wait_for(sent)
            return (sent - before) / (time.perf_counter() - started_s)

        lines = TraceCount(folder, Ticked)
        raw_rate = partial(rate, raw.burst, scale.pick(_RAW_BURST, 10), min_s)
        burst(scale.pick(200, 1))
        found = paired(partial(rate, burst, count, min_s), raw_rate, scale.rounds)
        lines.wait_for(sent)
        lasting = paired(sustained, raw_rate, max(1, scale.rounds // 2))
        alone = paired(
            partial(rate, burst, 1, min_s),
            partial(rate, raw.burst, 1, min_s),
            scale.rounds,
        )
        lines.wait_for(sent)
        written = lines.count
    raw.close()
    is_bound = subscribers == BUDGET_AT
    yield Line(
        "broadcast",
        f"to {subscribers}, {threads}",
        found.ratio,
        "raw fan-out",
        at_least=budget if is_bound else None,
        stated=f"{found.measured:,.0f} messages/s, raw {found.baseline:,.0f}; "
        f"{1e6 / found.measured / subscribers:.1f} us per receiver",
    )
    yield Line(
        "broadcast",
        f"to {subscribers}, sustained with rendering, {threads}",
        lasting.ratio,
        "raw fan-out",
        stated=f"{lasting.measured:,.0f} messages/s; "
        f"{written:,} of {sent:,} lines in the trace",
    )
    yield Line(
        "broadcast",
        f"to {subscribers}, one at a time, {threads}",
        alone.ratio,
        "raw fan-out",
        stated=f"{1e6 / alone.measured:,.0f} us until all have handled it, "
        f"raw {1e6 / alone.baseline:,.0f} us",
    )
