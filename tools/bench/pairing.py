"""How much is measured, and ratios that a noisy machine cannot spoil."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """How much to measure."""

    rounds: int = 5
    quick: bool = False
    """Only enough to see that everything runs; the numbers mean nothing."""

    def pick(self, full: T, quick: T) -> T:
        """Return `full`, or `quick` for a quick run."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Paired:
    """Medians over all rounds."""

    ratio: float
    """Of each measurement to the mean of the baselines just before and after it."""
    measured: float
    baseline: float


def paired(
    measure: Callable[[], float], baseline: Callable[[], float], rounds: int
) -> Paired:
    """Measure in turn with the baseline, so that both see the same noise."""
    gc.collect()  # what earlier parts left is not to be collected within this one
    baselines = [baseline()]
    measured: list[float] = []
    for _ in range(rounds):
        measured.append(measure())
        baselines.append(baseline())
    ratios = [
        value / ((baselines[i] + baselines[i + 1]) / 2)
        for i, value in enumerate(measured)
    ]
    return Paired(median(ratios), median(measured), median(baselines))


def rate(burst: Callable[[int], None], count: int, min_s: float) -> float:
    """Return items per second of `burst(count)`, repeated for at least `min_s`."""
    done = 0
    started_s = time.perf_counter()
    while True:
        burst(count)
        done += count
        took_s = time.perf_counter() - started_s
        if took_s >= min_s:
            return done / took_s
