"""What the watchdog costs, per message and per scan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from bench.pairing import Scale, paired
from bench.report import Line
from bench.systems import post, running_system
from bench.vocabulary import Stepper, TakeStep
from hal.base import ErrorRecord
from hal.kernel import System, Watchdog
from hal.kernel.activity import HandlerActivity
from hal.kernel.watchdog import TICK_S


def measure(scale: Scale) -> Iterator[Line]:
    """Yield the cost of watching one message, and of looking at all."""
    count = scale.pick(100_000, 500)
    opened = scale.pick(1_000, 50)
    with running_system() as (system, _):
        system.add(Stepper, "stepper")
        system.start()
        stepper = system.module("stepper")
        assert isinstance(stepper, Stepper)
        for _ in range(opened):
            post(system, TakeStep(), "stepper")
        # Not started: scanned by hand, beside the one that runs.
        watchdog = Watchdog(system.broker, system.trace, system.clock)
        yield from _per_message(scale, count, watchdog)
        yield from _per_scan(scale, watchdog, system)
        stepper.gate.set()


def _per_message(scale: Scale, count: int, watchdog: Watchdog) -> Iterator[Line]:
    queue: SimpleQueue[object] = SimpleQueue()

    def put_and_get() -> None:
        queue.put(None)
        queue.get()

    def watch() -> None:
        watchdog.watch(ready)
        watchdog.unwatch(ready)

    def make_and_watch() -> None:
        activity = _activity()
        watchdog.watch(activity)
        watchdog.unwatch(activity)

    ready = _activity()
    cases = (("watch and unwatch", watch), ("the same with its record", make_and_watch))
    for what, call in cases:
        found = paired(
            lambda call=call: _seconds(call, count),  # type: ignore[misc]
            lambda: _seconds(put_and_get, count),
            scale.rounds,
        )
        yield Line(
            "watchdog",
            f"{what}, per message",
            found.ratio,
            "SimpleQueue put + get",
            stated=f"{found.measured / count * 1e9:.0f} ns, "
            f"queue {found.baseline / count * 1e9:.0f} ns",
        )


def _per_scan(scale: Scale, watchdog: Watchdog, system: System) -> Iterator[Line]:
    activities = [_activity() for _ in range(200)]
    for activity in activities:
        watchdog.watch(activity)
    scans = scale.pick(200, 5)
    found = paired(
        lambda: _seconds(watchdog.scan, scans), lambda: scans * TICK_S, scale.rounds
    )
    yield Line(
        "watchdog",
        f"scan of 200 activities, {len(system.broker.open_deliveries()):,} open",
        found.ratio,
        "tick of 50 ms",
        stated=f"{found.measured / scans * 1e6:.0f} us",
    )


def _activity() -> HandlerActivity:
    return HandlerActivity(
        "stepper",
        "take step",
        None,
        started_s=0.0,
        patience_s=float("inf"),
        on_expire=_ignore,
    )


def _ignore(_activity: HandlerActivity, _error: ErrorRecord) -> None:
    pass


def _seconds(call: Callable[[], None], count: int) -> float:
    started_s = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - started_s
