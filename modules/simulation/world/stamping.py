"""Points into pixels, near the focus: each adds its stamp, weighted with its light."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world.psf import LEVELS_UM, Level, PointSpread
from modules.simulation.world.view import Image

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FEW: Final = 0.2
"""If a smaller part of the points gives light, only those are handled."""
_AT_ONCE: Final = 2**20
"""Stamp pixels handled together; more would not fit the processor's cache."""


@dataclass(frozen=True)
class Points:
    """Places in units of pixels, the corner of the first pixel being (0, 0)."""

    x: Floats
    y: Floats
    dz_um: Floats
    """Distance from the focus, never negative."""


@dataclass(frozen=True)
class _Batch:
    """Stamps of one level, ready to be weighted."""

    who: Ints
    """Index of the point each stamp is for."""
    targets: Ints
    """Pixels of the padded image they add to, of the shape (stamps, size * size)."""
    values: npt.NDArray[np.float32]


class _ByPixel:
    """All stamps, in the order of the pixels they add to: quick when most are lit."""

    def __init__(self, batches: list[_Batch]) -> None:
        targets = np.concatenate([batch.targets.ravel() for batch in batches])
        who = [np.repeat(b.who, b.targets.shape[1]) for b in batches]
        values = np.concatenate([batch.values.ravel() for batch in batches])
        order = np.argsort(targets, kind="stable")
        self._pixels, self._starts = np.unique(targets[order], return_index=True)
        self._who = np.concatenate(who)[order]
        self._values = values[order]

    def add(self, total: Floats, light: Floats) -> None:
        """Add the light of all points to an image."""
        if len(self._pixels):
            parts = light.astype(np.float32)[self._who] * self._values
            total[self._pixels] = np.add.reduceat(parts, self._starts)


class Stamps:
    """The images of some points that stay in place, to be added up frame by frame.

    Runs on: any, one thread at a time.

    Args:
        spread: Where the stamps come from.
        points: All within `NEAR_UM` of the focus.
        shape: Rows and columns of the image.
        exactly: Interpolate between stamps, so that points are where they are to a
            nanometre; otherwise the nearest stamp stands for them, which is six times
            quicker and good to a sixteenth of a pixel.
        keep: Whether they are used more than once.
    """

    def __init__(
        self,
        spread: PointSpread,
        points: Points,
        shape: tuple[int, int],
        *,
        exactly: bool,
        keep: bool = True,
    ) -> None:
        self._spread = spread
        self._points = points
        self._shape = shape
        self._exactly = exactly
        self._parts = list(self._levels())
        self._pad = max((spread.level(n).size for n, _ in self._parts), default=0)
        self._kept = list(self._batches()) if keep else None
        self._by_pixel: _ByPixel | None = None

    def image(self, light: Floats) -> Image:
        """Return the image of the points, each with its light."""
        height, width = self._shape
        pad = self._pad
        rows, columns = height + 2 * pad, width + 2 * pad
        total = np.zeros(rows * columns)
        if self._kept is None:
            for batch in self._batches():
                _add(total, [_lit(batch, light)])
        elif np.count_nonzero(light) < _FEW * len(light):
            _add(total, [_lit(batch, light) for batch in self._kept])
        else:
            if self._by_pixel is None:
                self._by_pixel = _ByPixel(self._kept)
            self._by_pixel.add(total, light)
        padded = total.reshape(rows, columns)
        return padded[pad : pad + height, pad : pad + width].astype(np.float32)

    def _levels(self) -> Iterator[tuple[int, Ints]]:
        """Yield each level whose stamps are needed, and for which points."""
        dz_um = self._points.dz_um
        number = np.clip(np.searchsorted(LEVELS_UM, dz_um), 1, len(LEVELS_UM) - 1)
        if not self._exactly:
            number -= dz_um < (LEVELS_UM[number] + LEVELS_UM[number - 1]) / 2
        for level in np.unique(number).tolist():
            yield level, np.flatnonzero(number == level)

    def _batches(self) -> Iterator[_Batch]:
        for number, who in self._parts:
            # From top to bottom: neighbours in memory are added together.
            who = who[np.argsort(self._points.y[who], kind="stable")]
            step = max(1, _AT_ONCE // self._spread.level(number).size ** 2)
            for first in range(0, len(who), step):
                yield self._batch(number, who[first : first + step])

    def _batch(self, number: int, who: Ints) -> _Batch:
        level = self._spread.level(number)
        x, y = self._points.x[who], self._points.y[who]
        column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        half = level.size // 2
        height, width = self._shape
        seen = (column >= -half) & (column < width + half)
        seen &= (row >= -half) & (row < height + half)
        who, column, row = who[seen], column[seen], row[seen]
        across, down = x[seen] - column, y[seen] - row
        values = self._values(level, across, down)
        if self._exactly:
            # Between two levels, of which the sharper has the smaller stamps.
            inner = self._spread.level(number - 1)
            gap_um = LEVELS_UM[number] - LEVELS_UM[number - 1]
            part = (self._points.dz_um[who] - LEVELS_UM[number - 1]) / gap_um
            values *= part[:, None].astype(np.float32)
            sharper = self._values(inner, across, down)
            sharper *= 1 - part[:, None].astype(np.float32)
            edge = (level.size - inner.size) // 2
            middle = slice(edge, edge + inner.size)
            values.reshape(-1, level.size, level.size)[:, middle, middle] += (
                sharper.reshape(-1, inner.size, inner.size)
            )
        padded_width = width + 2 * self._pad
        along = np.arange(level.size) - half
        inside = (along[:, None] * padded_width + along[None, :]).ravel()
        corner = (row + self._pad) * padded_width + column + self._pad
        return _Batch(who, corner[:, None] + inside[None, :], values)

    def _values(
        self, level: Level, across: Floats, down: Floats
    ) -> npt.NDArray[np.float32]:
        """Return a stamp per point, for its place inside its pixel."""
        stamps = level.stamps
        across, down = across * level.phases, down * level.phases
        if not self._exactly:
            nearest = np.rint(down).astype(int), np.rint(across).astype(int)
            return np.asarray(stamps[nearest])
        left = np.minimum(across.astype(int), level.phases - 1)
        top = np.minimum(down.astype(int), level.phases - 1)
        right_part = (across - left).astype(np.float32)[:, None]
        lower_part = (down - top).astype(np.float32)[:, None]
        upper = (
            stamps[top, left] * (1 - right_part) + stamps[top, left + 1] * right_part
        )
        lower = stamps[top + 1, left] * (1 - right_part)
        lower += stamps[top + 1, left + 1] * right_part
        return np.asarray(upper * (1 - lower_part) + lower * lower_part)


def _lit(batch: _Batch, light: Floats) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Return where the light of a batch's points goes, and how much."""
    weights = light[batch.who].astype(np.float32)
    lit = np.flatnonzero(weights)
    if len(lit) == len(weights):
        return batch.targets.ravel(), (batch.values * weights[:, None]).ravel()
    values = batch.values[lit] * weights[lit, None]
    return batch.targets[lit].ravel(), values.ravel()


def _add(total: Floats, parts: list[tuple[Ints, npt.NDArray[np.float32]]]) -> None:
    """Add light to the part of an image that it falls on."""
    targets = np.concatenate([part[0] for part in parts] or [np.zeros(0, np.int64)])
    if len(targets) == 0:
        return
    values = np.concatenate([part[1] for part in parts])
    # Only the rows concerned, which are few for a batch.
    first = int(targets.min())
    targets -= first
    sums = np.bincount(targets, values)
    total[first : first + len(sums)] += sums
