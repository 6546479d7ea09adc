"""Spots in an image: where they are and how bright."""

from __future__ import annotations

import importlib.util
import math
from typing import Any, Final

import msgspec
import numpy as np

from hal.base import StartError
from hal.frames import Pixels

Floats = np.ndarray[Any, np.dtype[np.float64]]
PACKAGES: Final = ("skimage", "scipy")
"""What finds and follows spots; imported where it is used."""


class Spots(msgspec.Struct, frozen=True):
    """Spots of one frame; arrays of the same length, the brightest first."""

    x_px: Floats
    """Columns; the centre of the first pixel is 0."""
    y_px: Floats
    brightness: Floats
    """Sum of a Gaussian of this width, in counts above the background around it."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.x_px)


def require_packages() -> None:
    """Refuse to begin without what finds spots.

    Raises:
        StartError: A package is not installed.
    """
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise StartError(
                f"analysis.spots needs {package}: pip install 'halscope[analysis]'"
            )


def find_spots(image: Pixels, sigma_px: float, threshold: float) -> Spots:
    """Return all spots of about one width.

    Each is a maximum of the image convolved with a Laplacian of a Gaussian, which
    answers best to spots of that width and not at all to a slope of the background.

    Args:
        image: `(height, width)`.
        sigma_px: Standard deviation of a spot.
        threshold: Least brightness, in standard deviations of what the noise gives.
    """
    from scipy.ndimage import gaussian_laplace
    from skimage.feature import peak_local_max

    # Of a Gaussian spot of amplitude A, -sigma^2 LoG is A / 2 in its middle.
    answer = (
        -2.0
        * sigma_px**2
        * gaussian_laplace(image.astype(np.float64), sigma_px, mode="nearest")
    )
    # The spots are few: the median of all deviations is that of the noise.
    noise = 1.4826 * float(np.median(np.abs(answer - np.median(answer))))
    peaks: np.ndarray[Any, Any] = peak_local_max(
        answer,
        min_distance=max(1, round(sigma_px)),
        threshold_abs=max(threshold * noise, 1e-9),
        exclude_border=max(1, math.ceil(sigma_px)),
    )
    row, column = peaks[:, 0], peaks[:, 1]
    amplitude = answer[row, column]
    order = np.argsort(-amplitude, kind="stable")
    row, column, amplitude = row[order], column[order], amplitude[order]
    return Spots(
        column + _vertex(answer, row, column, 0, 1),
        row + _vertex(answer, row, column, 1, 0),
        amplitude * 2.0 * math.pi * sigma_px**2,
    )


def _vertex(
    answer: Floats,
    row: np.ndarray[Any, Any],
    column: np.ndarray[Any, Any],
    down: int,
    right: int,
) -> Floats:
    """Return how far beside the pixel the maximum is: that of a parabola."""
    middle = answer[row, column]
    before = answer[row - down, column - right]
    after = answer[row + down, column + right]
    bend = before - 2.0 * middle + after
    shift = np.zeros(len(row))
    np.divide(before - after, 2.0 * bend, out=shift, where=bend < 0.0)
    return np.clip(shift, -0.5, 0.5)
