"""The mean of frames, as a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hal.frames import Pixels


class Mean:
    """Sums frames up until their mean is asked for.

    Unsigned numbers of up to 16 bits are summed exactly, in 32 bits, where 65,537
    frames find room, and their mean is rounded, halves up. All else is summed in 64-bit
    floats, and the mean of whole numbers rounded, halves to even.

    Runs on: one thread at a time.
    """

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        """Take the memory for the sum of frames of that form."""
        self._is_exact = dtype.kind == "u" and dtype.itemsize <= 2
        self._sum: NDArray[Any] = np.zeros(
            shape, np.uint32 if self._is_exact else np.float64
        )
        self._round = not self._is_exact and dtype.kind in "iu"
        self.count = 0
        """Frames summed up."""

    def begin(self) -> None:
        """Forget what was summed up."""
        self.count = 0

    def add(self, pixels: Pixels) -> None:
        """Take one more frame."""
        if self.count == 0:
            np.copyto(self._sum, pixels)
        else:
            np.add(self._sum, pixels, out=self._sum)
        self.count += 1

    def into(self, out: Pixels) -> None:
        """Write the mean; the sum is used up and `begin` must follow."""
        if self._is_exact:
            self._sum += self.count // 2
            np.floor_divide(self._sum, self.count, out=self._sum)
        else:
            self._sum /= self.count
            if self._round:
                np.rint(self._sum, out=self._sum)
        np.copyto(out, self._sum, casting="unsafe")
