"""How soon a stop is heard behind 10,000 queued messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from typing import Final

from bench.pairing import Scale
from bench.report import Line
from bench.systems import PATIENCE_S, post, running_system
from bench.vocabulary import HaltSteps, Occupy, Stepper, TakeStep
from hal.kernel import Delivery, How, System

BUDGET_S: Final = 0.005
CASES: Final = (
    ("behind handlers of 1 ms", None),
    ("while a job waits", False),
    ("while a job computes in Python", True),
)
"""What is going on, and which job: none, one that waits, one that computes."""


def measure(scale: Scale) -> Iterator[Line]:
    """Yield the time from the send to the beginning of the stop's handler."""
    queued = scale.pick(10_000, 200)
    for what, computing in CASES:
        found = [_stop_once(queued, computing) for _ in range(2 * scale.rounds)]
        heard_s = [heard for heard, _ in found]
        ended_s = [ended for _, ended in found]
        yield Line(
            "stop",
            f"{queued:,} queued, {what}",
            median(heard_s) / BUDGET_S,
            "5 ms",
            at_most=1.0,
            stated=f"median {median(heard_s) * 1e3:.2f} ms, "
            f"max {max(heard_s) * 1e3:.2f} ms; "
            f"all cancelled after {median(ended_s) * 1e3:.0f} ms",
        )


def _stop_once(queued: int, computing: bool | None) -> tuple[float, float]:
    """Return seconds until the stop's handler began, and until all was cancelled."""
    with running_system() as (system, _):
        system.add(Stepper, "stepper")
        system.start()
        stepper = system.module("stepper")
        assert isinstance(stepper, Stepper)
        busy = [] if computing is None else [_occupy(system, stepper, computing)]
        waiting = [post(system, TakeStep(), "stepper") for _ in range(queued)]
        stepper.gate.set()
        while computing is None and stepper.steps < 5:
            time.sleep(0.001)
        started_s = time.perf_counter()
        halt = post(system, HaltSteps(), "stepper")
        halt.wait(PATIENCE_S)
        began_s = halt.result()
        assert isinstance(began_s, float)
        waiting[-1].wait(PATIENCE_S)
        ended_s = time.perf_counter()
        _check(waiting, stepper.steps)
        for delivery in busy:
            delivery.wait(PATIENCE_S)
    return began_s - started_s, ended_s - started_s


def _occupy(system: System, stepper: Stepper, computing: bool) -> Delivery:
    """Return the message whose job keeps the module busy, once that has begun."""
    delivery = post(system, Occupy(computing), "stepper")
    while not stepper.busy_with.startswith("in job"):
        time.sleep(0.001)
    return delivery


def _check(deliveries: list[Delivery], steps: int) -> None:
    """Refuse a result that was bought with work that was lost, or not cancelled."""
    ended = [delivery.tickets["stepper"].how for delivery in deliveries]
    done, cancelled = ended.count(How.DONE), ended.count(How.CANCELLED)
    if done != steps or not cancelled or done + cancelled != len(deliveries):
        raise RuntimeError(
            f"{steps} steps were taken; {done} of {len(deliveries)} messages are "
            f"done, {cancelled} cancelled"
        )
