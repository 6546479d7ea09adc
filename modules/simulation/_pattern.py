"""What the simulated camera sees: grainy background, drifting spots, a frame number.

Places are whole numbers from the raw output of a PCG64 generator, which numpy promises
never to change, so films of one seed are the same everywhere.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint16]

_GRAIN_PX: Final = 512
"""The grain repeats after this many pixels of the sensor."""
_SHIFT_PX: Final = 32
"""The grain jumps within this many pixels, as if it were new in every frame."""
_SPOTS: Final = 16
_SUBPIXEL: Final = 16
"""Steps per pixel in which spots are placed and move."""
_RADIUS_PX: Final = 9
_SIGMA_PX: Final = 2.5
_INDEX_PIXELS: Final = 4
_INDEX_BITS: Final = 16


class Pattern:
    """Draws frame after frame; a pixel depends on seed, index, region and binning only.

    At binning 1 a region shows what the whole sensor shows there. Binned pixels
    are means.

    Runs on: any, one thread at a time.
    """

    def __init__(
        self,
        seed: int,
        sensor: tuple[int, int],
        roi: tuple[int, int, int, int],
        binning: int,
    ) -> None:
        """Prepare all that frames have in common; takes some ms per megapixel.

        Args:
            seed: Any whole number from 0 on.
            sensor: Columns, rows.
            roi: First column, first row, columns, rows, unbinned.
            binning: Pixels combined along each axis.
        """
        raw = np.random.PCG64(seed).random_raw
        grain = np.asarray(raw(_GRAIN_PX**2 // 2), dtype="<u8").view(np.uint8)
        # The sum of four bytes looks like noise of a camera; here from 0 to 127.
        grain = grain.reshape(_GRAIN_PX, _GRAIN_PX, 4).sum(axis=2, dtype=np.uint16) >> 3
        self._grain = _grain(grain, roi, binning)
        self._slope = _slope(sensor[0], roi, binning)
        self._roi = roi
        self._binning = binning
        self._spots = [
            _Spot([int(number) for number in np.atleast_1d(raw(5))], sensor, binning)
            for _ in range(_SPOTS)
        ]

    def draw(self, index: int, out: npt.NDArray[Any]) -> None:
        """Fill `out`, of the shape (height, width) of the binned region."""
        height, width = out.shape
        # Any two odd factors do, as long as neighbours in time differ.
        row = index * 7 % _SHIFT_PX
        column = (index * 13 + index // _SHIFT_PX) % _SHIFT_PX
        grain = self._grain[row : row + height, column : column + width]
        np.add(grain, self._slope, out=out)
        x_px, y_px, _, _ = self._roi
        for spot in self._spots:
            spot.draw(index, out, x_px, y_px, self._binning)


def write_index(index: int, frame: npt.NDArray[Any]) -> None:
    """Write `index` into the first four pixels of `frame`, or as many as it has.

    In reading order, 16 bits each, lowest first.
    """
    for place in range(min(_INDEX_PIXELS, frame.size)):
        frame.flat[place] = index >> place * _INDEX_BITS & 0xFFFF


def index_in(frame: npt.NDArray[Any]) -> int:
    """Return the index that `write_index` wrote into `frame`."""
    count = min(_INDEX_PIXELS, frame.size)
    return sum(int(frame.flat[n]) << n * _INDEX_BITS for n in range(count))


class _Spot:
    """One spot, which crosses the sensor and comes in again on the other side."""

    def __init__(
        self, numbers: list[int], sensor: tuple[int, int], binning: int
    ) -> None:
        brightness = 500 + numbers[0] % 2000
        self._span = [(size + 2 * _RADIUS_PX) * _SUBPIXEL for size in sensor]
        self._start = [n % s for n, s in zip(numbers[1:3], self._span, strict=True)]
        # From -2 to 2 pixels a frame.
        self._speed = [n % (4 * _SUBPIXEL + 1) - 2 * _SUBPIXEL for n in numbers[3:5]]
        radius = math.ceil(_RADIUS_PX / binning)
        squares = (np.arange(-radius, radius + 1) * binning) ** 2
        distance = squares[:, None] + squares[None, :]
        stamp = brightness * np.exp(-distance / (2 * _SIGMA_PX**2))
        self._stamp: Pixels = stamp.astype(np.uint16)
        self._radius = radius

    def draw(
        self, index: int, out: npt.NDArray[Any], x_px: int, y_px: int, binning: int
    ) -> None:
        """Add this spot to the part of the sensor that begins at `x_px`, `y_px`."""
        x, y = (
            (start + speed * index) % span // _SUBPIXEL - _RADIUS_PX
            for start, speed, span in zip(
                self._start, self._speed, self._span, strict=True
            )
        )
        left = (x - x_px) // binning - self._radius
        top = (y - y_px) // binning - self._radius
        height, width = out.shape
        size = 2 * self._radius + 1
        from_x, to_x = max(0, -left), min(size, width - left)
        from_y, to_y = max(0, -top), min(size, height - top)
        if from_x < to_x and from_y < to_y:
            # Cannot overflow: 16 spots in one place stay below 40,000.
            part = self._stamp[from_y:to_y, from_x:to_x]
            out[top + from_y : top + to_y, left + from_x : left + to_x] += part


def _grain(grain: Pixels, roi: tuple[int, int, int, int], binning: int) -> Pixels:
    """Return grain of the region, `_SHIFT_PX` larger than the frames cut out of it."""
    x, y, width, height = roi
    columns = x + np.arange((width // binning + _SHIFT_PX) * binning)
    rows = y + np.arange((height // binning + _SHIFT_PX) * binning)
    full: Pixels = grain[np.ix_(rows % _GRAIN_PX, columns % _GRAIN_PX)]
    if binning == 1:
        return full
    blocks = full.reshape(len(rows) // binning, binning, len(columns) // binning, -1)
    mean: Pixels = (blocks.sum(axis=(1, 3)) // binning**2).astype(np.uint16)
    return mean


def _slope(sensor_px: int, roi: tuple[int, int, int, int], binning: int) -> Pixels:
    """Return what each column of a frame has without light: more on the right."""
    x, _, width, _ = roi
    columns = x + np.arange(width // binning) * binning + binning // 2
    return (100 + 400 * columns // sensor_px).astype(np.uint16)
