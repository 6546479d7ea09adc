"""Points into pixels, far from the focus: each becomes a disc, as rays would have it.

The image of a point is then the pupil's, of the radius of the cone of rays (Born &
Wolf, Principles of Optics, section 8.8, the geometrical limit). Discs are many pixels
wide, so they are drawn on a coarser grid.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world.stamping import Points
from modules.simulation.world.view import Image

Floats = npt.NDArray[np.float64]

_CELLS: Final = 8
"""Grid cells in the radius of a disc."""
_RATIO: Final = 1.2
"""Radii that differ by less are drawn as one."""


class Discs:
    """The images of some points far from the focus, to be added up frame by frame.

    Runs on: any, one thread at a time.

    Args:
        points: Their places, in pixels.
        radius_px: The radius of each disc, in pixels.
        shape: Rows and columns of the image.
    """

    def __init__(
        self, points: Points, radius_px: Floats, shape: tuple[int, int]
    ) -> None:
        self._shape = shape
        order = np.floor(np.log(np.maximum(radius_px, 1.0)) / math.log(_RATIO))
        self._layers = [
            (chosen, _Layer(points, chosen, float(radius_px[chosen].mean()), shape))
            for chosen in (np.flatnonzero(order == n) for n in np.unique(order))
        ]

    def image(self, light: Floats) -> Image:
        """Return the image of the points, each with its light."""
        total = np.zeros(self._shape, np.float32)
        for chosen, layer in self._layers:
            part = light[chosen]
            if part.any():
                total += layer.image(part)
        return total


class _Layer:
    """Discs of one radius."""

    def __init__(
        self,
        points: Points,
        chosen: npt.NDArray[np.int64],
        radius_px: float,
        shape: tuple[int, int],
    ) -> None:
        height, width = shape
        cell_px = max(1.0, radius_px / _CELLS)
        radius = radius_px / cell_px
        # Twice the radius around the image: discs reach in, and do not wrap around.
        margin = 2 * math.ceil(radius) + 2
        rows = math.ceil(height / cell_px) + 2 * margin
        columns = math.ceil(width / cell_px) + 2 * margin
        self._size = rows, columns
        x = points.x[chosen] / cell_px + margin - 0.5
        y = points.y[chosen] / cell_px + margin - 0.5
        column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        self._seen = (column >= 0) & (column < columns - 1)
        self._seen &= (row >= 0) & (row < rows - 1)
        column, row = column[self._seen], row[self._seen]
        right, lower = x[self._seen] - column, y[self._seen] - row
        self._corners = [
            (row * columns + column, (1 - lower) * (1 - right)),
            (row * columns + column + 1, (1 - lower) * right),
            ((row + 1) * columns + column, lower * (1 - right)),
            ((row + 1) * columns + column + 1, lower * right),
        ]
        self._kernel = np.fft.rfft2(_disc(radius, self._size)) / cell_px**2
        self._rows = _interpolation(height, cell_px, margin)
        self._columns = _interpolation(width, cell_px, margin)

    def image(self, light: Floats) -> Image:
        """Return the sum of the discs."""
        light = light[self._seen]
        grid = np.zeros(self._size[0] * self._size[1])
        for target, part in self._corners:
            grid += np.bincount(target, part * light, grid.size)
        spectrum = np.fft.rfft2(grid.reshape(self._size)) * self._kernel
        discs = np.fft.irfft2(spectrum, self._size)
        # What is left of rounding is no light.
        discs[discs < 1e-9 * discs.max()] = 0.0
        first, second, part = self._rows
        discs = discs[first] * (1 - part)[:, None] + discs[second] * part[:, None]
        first, second, part = self._columns
        fine = discs[:, first] * (1 - part) + discs[:, second] * part
        return fine.astype(np.float32)


def _disc(radius: float, size: tuple[int, int]) -> Floats:
    """Return a disc about the first cell, wrapped around, that adds up to 1."""
    rows, columns = (np.fft.fftfreq(n, 1 / n) for n in size)
    distance = np.hypot(rows[:, None], columns[None, :])
    disc = np.clip(radius + 0.5 - distance, 0.0, 1.0)
    return np.asarray(disc / disc.sum())


def _interpolation(
    count: int, cell_px: float, margin: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Return between which cells each pixel lies, and how far it is from the first."""
    place = (np.arange(count) + 0.5) / cell_px + margin - 0.5
    first = np.floor(place).astype(np.int64)
    return first, first + 1, place - first
