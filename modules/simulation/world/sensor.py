"""From light to numbers: what an sCMOS sensor makes of the photons on it.

Electrons are Poisson distributed about quantum efficiency x photons, and reading adds
Gaussian noise that differs from pixel to pixel, as do offsets (Huang et al., Nat.
Methods 10:653, 2013). In electrons the variance is `read_noise_e**2 + mean`; in counts,
with a gain of g electrons per count and for rounding, it is the photon transfer line
(Janesick, Photon Transfer, SPIE 2007, ch. 5)::

    variance = mean_above_offset / g + (read_noise_e / g)**2 + 1 / 12

Shot and read noise are drawn together: one normal deviate z per pixel becomes
`mean + a z + c (z**2 - 1)` with a and c such that mean, variance and third moment are
those of the sum (Cornish & Fisher, Rev. Inst. Int. Stat. 5:307, 1938). Single electrons
are not told apart, which read noise forbids anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world.view import Image, View
from modules.simulation.world.world import World

_OFFSET_SPREAD: Final = 0.7
"""Standard deviation of offsets from pixel to pixel, counts."""
_NOISE_SPREAD: Final = 0.1
"""The same for the read noise, as a part of it."""
_BAND_PX: Final = 64


@dataclass(frozen=True)
class SensorSettings:
    """Numbers from a camera's data sheet."""

    quantum_efficiency: float
    offset: float
    """Counts without light."""
    electrons_per_count: float
    read_noise_e: float
    full_well_e: float
    bits: int


class Sensor:
    """The pixels of one camera, for one region of them.

    Runs on: any, one thread at a time.
    """

    def __init__(
        self, world: World, camera: str, view: View, settings: SensorSettings
    ) -> None:
        self._world = world
        # By its name, which is the same in every run.
        self._purpose = f"noise of {camera}"
        self._settings = settings
        offset = _pattern(world, f"pixel offsets of {camera}", view) * _OFFSET_SPREAD
        noise = 1.0 + _pattern(world, f"pixel noise of {camera}", view) * _NOISE_SPREAD
        variance = np.square(np.float32(settings.read_noise_e) * noise.clip(0.5))
        # Binned pixels are read one by one and added up.
        self._variance = view.binned(variance)
        pixels = view.binning**2
        self._offset = view.binned(offset + np.float32(settings.offset))
        self._full_e = np.float32(settings.full_well_e * pixels)
        self._highest = np.float32(2**settings.bits - 1)

    def read(self, photons: Image, number: int, out: npt.NDArray[Any]) -> None:
        """Fill `out` with the counts for this light.

        Args:
            photons: On each binned pixel; not needed afterwards.
            number: Of the exposure; another one has other noise.
            out: Of the same shape.
        """
        settings = self._settings
        z = self._world.random(self._purpose, number).standard_normal(
            photons.shape, np.float32
        )
        mean = photons
        mean *= np.float32(settings.quantum_efficiency)
        total = mean + self._variance
        bend = mean / (6 * total)
        total -= 2 * bend * bend
        np.sqrt(total, out=total)
        total *= z
        z *= z
        z -= 1
        z *= bend
        total += z
        total += mean
        np.minimum(total, self._full_e, out=total)
        total *= np.float32(1 / settings.electrons_per_count)
        total += self._offset
        np.rint(total, out=total)
        np.clip(total, 0, self._highest, out=total)
        out[...] = total


def _pattern(world: World, purpose: str, view: View) -> Image:
    """Return deviates that belong to the pixels of the region, unbinned."""
    x_px, y_px = view.roi[:2]
    # Band by band from the top of the sensor, so that a pixel is the same in every
    # region, and a small region of a large sensor is quick.
    first, last = y_px // _BAND_PX, (y_px + view.height - 1) // _BAND_PX
    bands = [
        world.random(purpose, band).standard_normal(
            (_BAND_PX, view.sensor[0]), np.float32
        )[:, x_px : x_px + view.width]
        for band in range(first, last + 1)
    ]
    top = y_px - first * _BAND_PX
    return np.concatenate(bands)[top : top + view.height]
