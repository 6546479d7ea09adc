"""How many frames a second the simulated camera makes of its world, on one core.

Time is what the processor spends on it, so that other programs do not count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np

from sample.scope import scope_of

CASES: Final = (
    ("molecules", 512, True, "1,000 molecules"),
    ("cells", 512, False, "a cell, 6,000 points"),
    ("molecules", 2048, True, "17,000 molecules"),
    ("cells", 2048, False, "16 cells, 110,000 points"),
)
"""Sample, pixels along a side, whether all molecules are on, and what is in view."""
_TRIES: Final = 5


def report_speed(seconds: float = 1.5) -> Iterator[str]:
    """Yield a line for each case: the median rate, and the time of the first frame."""
    for sample, size, is_bright, what in CASES:
        rates, first_s = measured(sample, size, is_bright, seconds)
        yield (
            f"{size} x {size} px, {what}: {np.median(rates):.0f} fps "
            f"(from {min(rates):.0f} to {max(rates):.0f}); first frame after "
            f"{first_s:.2f} s"
        )


def measured(
    sample: str, size: int, is_bright: bool, seconds: float
) -> tuple[list[float], float]:
    """Return rates in frames per second, and how long the first frame took."""
    with scope_of(
        sample, 1, bleaching=0.0, width_px=size, height_px=size, exposure_s=0.01
    ) as scope:
        # The brightest makes every molecule blink during each exposure.
        scope.light(640.0, 5e6 if is_bright else 1.0)
        begun_s = time.process_time()
        scope.film(1)
        first_s = time.process_time() - begun_s
        rates = []
        for _ in range(_TRIES):
            frames = 0
            begun_s = time.process_time()
            while time.process_time() - begun_s < seconds / _TRIES:
                scope.film(1)
                frames += 1
            rates.append(frames / (time.process_time() - begun_s))
    return rates, first_s
