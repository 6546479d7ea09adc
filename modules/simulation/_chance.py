"""Chance that can be repeated: a number depends on what it is for, not on when.

The raw output of Philox (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3,
2011) is a function of key and counter, and numpy promises never to change it. What
numpy makes of it (its normal distribution, say) carries no such promise.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np

SEED_MAX: Final = 2**63 - 1
_TERMS: Final = 12


def spread(seed: int, purpose: str, number: int, count: int) -> tuple[float, ...]:
    """Return `count` numbers with mean 0 and standard deviation 1.

    The sum of 12 evenly spread numbers, less 6: nearly normal, never beyond 6, and
    made of exact sums, so that it is the same on every machine.

    Runs on: any.

    Args:
        seed: From 0 to `SEED_MAX`.
        purpose: Tells users of one seed apart, as "xy_stage".
        number: Which throw, as the number of a move; from 0 to `SEED_MAX`.
        count: How many numbers belong to it.
    """
    key = np.array([seed, zlib.crc32(purpose.encode())], dtype=np.uint64)
    # The lowest word of the counter goes up with each block that is drawn.
    counter = np.array([0, number, 0, 0], dtype=np.uint64)
    raw = np.random.Philox(key=key, counter=counter).random_raw(count * _TERMS)
    # 49 bits each: twelve of them add up to less than 2**53, without rounding.
    even = (np.asarray(raw, dtype=np.uint64) >> np.uint64(15)).astype(np.float64)
    sums = even.reshape(count, _TERMS).sum(axis=1) / 2.0**49
    return tuple(float(total) - _TERMS / 2 for total in sums)
