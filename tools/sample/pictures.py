"""The sample in colours, and a film side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from sample.png import contrast, write_png
from sample.scope import scope_of

CHANNELS: Final = (
    (405.0, 20.0, (0.25, 0.45, 1.0)),
    (488.0, 20.0, (0.2, 1.0, 0.35)),
    (561.0, 20.0, (1.0, 0.35, 0.15)),
    (640.0, 100.0, (1.0, 0.2, 1.0)),
)
"""Laser, its power in mW, and the colour (red, green, blue) it is shown in."""
_GAP_PX: Final = 4


def draw_sample(path: Path, sample: str, seed: int, size: int) -> Path:
    """Draw all channels of the sample on top of each other; return the path."""
    with scope_of(sample, seed, width_px=size, height_px=size, exposure_s=0.1) as scope:
        picture = np.zeros((size, size, 3))
        for wavelength_nm, power_mw, colour in CHANNELS:
            scope.light(wavelength_nm, power_mw)
            image = scope.film(1)[0]
            darkest, middle, high = np.percentile(image, [5.0, 50.0, 99.7])
            # Most of a picture is background, whose noise is to stay dark.
            low = middle + 2 * (middle - darkest)
            grey = contrast(image, low, max(high, low + 60.0))
            picture += grey[:, :, None] * np.array(colour)
    write_png(path, np.clip(picture, 0, 255).astype(np.uint8))
    return path


def draw_film(path: Path, sample: str, seed: int, size: int, frames: int) -> Path:
    """Draw frames of a film side by side, all in the same contrast."""
    light = (640.0, 100.0) if sample == "molecules" else (488.0, 50.0)
    with scope_of(sample, seed, width_px=size, height_px=size, exposure_s=0.2) as scope:
        scope.light(*light)
        # What bleaches takes a while: every third frame is shown.
        film = scope.film(3 * frames - 2)[::3]
    low, high = np.percentile(film, [1.0, 99.9])
    gap = np.full((size, _GAP_PX), 255, np.uint8)
    parts = [part for frame in film for part in (contrast(frame, low, high), gap)]
    write_png(path, np.concatenate(parts[:-1], axis=1))
    return path
