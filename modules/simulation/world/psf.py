"""The image of a point: a stack of stamps, one per distance from the focus.

Scalar diffraction at a circular pupil (Born & Wolf, Principles of Optics, 7th ed.,
section 8.8), with the exact defocus phase of a high aperture, which is the model of
Gibson & Lanni (J. Opt. Soc. Am. A 9:154, 1992) without aberrations::

    h(r, z) = | integral_0^1 J0(k NA r p) exp(i k z sqrt(n^2 - NA^2 p^2)) p dp |^2

It is symmetrical in z. The polarisation of light, which widens the image by some per
cent at the highest apertures, is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEVELS_UM: Final = np.concatenate(
    [np.arange(0.0, 0.6, 0.05), np.arange(0.6, 0.95, 0.1)]
).round(2)
"""Distances from the focus that are calculated; in between it is interpolated."""
NEAR_UM: Final = float(LEVELS_UM[-1])
"""Diffraction is calculated up to this distance; beyond, rays are good enough."""
_PUPIL: Final = 96
"""Steps over the radius of the pupil."""
_RIM_AIRY: Final = 2.6
"""How far a stamp reaches beyond the cone of rays, in radii of the Airy disc."""


@dataclass(frozen=True)
class Level:
    """All stamps of one distance from the focus."""

    stamps: npt.NDArray[np.float32]
    """Of the shape (phases + 1, phases + 1, size * size); each adds up to 1.

    The first index is the place of the point inside its pixel in y, the second in x.
    """
    size: int
    """Pixels along a side; odd, with the point's pixel in the middle."""
    phases: int
    """Steps from one edge of a pixel to the other."""


class PointSpread:
    """The images of points of one colour, for one objective and pixel size.

    Levels are calculated when they are first needed, some milliseconds each.

    Runs on: any, one thread at a time.
    """

    def __init__(
        self,
        wavelength_nm: float,
        numerical_aperture: float,
        immersion_index: float,
        pixel_um: float,
    ) -> None:
        self._k_um = 2 * math.pi / (wavelength_nm * 1e-3)
        # More than the medium allows does not pass through it.
        self._na = min(numerical_aperture, 0.98 * immersion_index)
        self._index = immersion_index
        self._pixel_um = pixel_um
        self._levels: dict[int, Level] = {}
        self.airy_um = 0.61 * wavelength_nm * 1e-3 / self._na
        """Radius of the Airy disc."""
        self.slope = math.tan(math.asin(self._na / immersion_index))
        """Radius of the cone of rays per distance from the focus."""

    def level(self, number: int) -> Level:
        """Return the stamps at `LEVELS_UM[number]` from the focus."""
        if number not in self._levels:
            self._levels[number] = self._calculated(float(LEVELS_UM[number]))
        return self._levels[number]

    def intensity(self, r_um: Floats, z_um: float) -> Floats:
        """Return the light per um2 at distance `r_um` from the axis, of 1 in all."""
        step = 1.0 / _PUPIL
        pupil = (np.arange(_PUPIL) + 0.5) * step
        depth = np.sqrt(self._index**2 - (self._na * pupil) ** 2)
        phase = self._k_um * z_um * depth
        wave = np.stack([np.cos(phase), np.sin(phase)], axis=1) * pupil[:, None] * step
        bessel = bessel_j0(self._k_um * self._na * r_um[:, None] * pupil[None, :])
        # By Parseval's theorem the integral of |U|^2 over the plane is this, for all z.
        # Not by `@`, whose last digit depends on how many processors there are.
        field = np.einsum("rp,pc->rc", bessel, wave)
        light: Floats = (field**2).sum(axis=1) * (self._k_um * self._na) ** 2
        return light / math.pi

    def _calculated(self, z_um: float) -> Level:
        pixel_um = self._pixel_um
        reach_um = self.slope * z_um + _RIM_AIRY * self.airy_um
        half = math.ceil(reach_um / pixel_um) + 1
        size = 2 * half + 1
        # Where the image is wide, fewer places inside a pixel tell as much.
        phases = 8 if size < 25 else 4 if size < 51 else 2
        # Pixels are integrated over at least so many points along each axis.
        points = phases * max(1, math.ceil(pixel_um / (phases * self.airy_um / 6)))
        fine = points // phases
        pitch_um = pixel_um / points
        # Fine points lie around the centre of the middle pixel, and one pixel beyond.
        count = (size + 1) * points
        axis = (np.arange(count) + 0.5 - count / 2) * pitch_um
        step_um = self.airy_um / 16
        radii = np.arange(0.0, axis[-1] * math.sqrt(2.0) + 2 * step_um, step_um)
        profile = self.intensity(radii, z_um)
        distance = np.hypot(axis[:, None], axis[None, :])
        plane = np.interp(distance, radii, profile).astype(np.float32)
        stamps = np.empty((phases + 1, phases + 1, size * size), np.float32)
        for row in range(phases + 1):
            rows = _summed(plane, points, (phases - row) * fine, size, 0)
            for column in range(phases + 1):
                stamp = _summed(rows, points, (phases - column) * fine, size, 1)
                stamps[row, column] = (stamp / stamp.sum()).ravel()
        return Level(stamps, size, phases)


def _summed(
    plane: npt.NDArray[np.float32], points: int, start: int, size: int, axis: int
) -> npt.NDArray[np.float32]:
    """Return sums over `size` pixels of `points` points each, from `start` on."""
    part = np.moveaxis(plane, axis, 0)[start : start + size * points]
    sums: npt.NDArray[np.float32] = part.reshape(size, points, -1).sum(axis=1)
    return np.moveaxis(sums, 0, axis)


_SMALL: Final = (1.0, -2.2499997, 1.2656208, -0.3163866, 0.0444479, -0.0039444, 2.1e-4)
_AMPLITUDE: Final = (
    *(0.79788456, -0.00000077, -0.00552740, -0.00009512),
    *(0.00137237, -0.00072805, 0.00014476),
)
_PHASE: Final = (
    *(-0.78539816, -0.04166397, -0.00003954, 0.00262573),
    *(-0.00054125, -0.00029333, 0.00013558),
)


def bessel_j0(v: Floats) -> Floats:
    """Return the Bessel function J0 of numbers from 0 on, to 5e-8 or better.

    Polynomials 9.4.1 and 9.4.3 of Abramowitz & Stegun, Handbook of Mathematical
    Functions.
    """
    small = np.polynomial.polynomial.polyval((np.minimum(v, 3.0) / 3) ** 2, _SMALL)
    large = np.maximum(v, 3.0)
    amplitude = np.polynomial.polynomial.polyval(3 / large, _AMPLITUDE)
    phase = large + np.polynomial.polynomial.polyval(3 / large, _PHASE)
    found: Floats = np.where(v < 3.0, small, amplitude * np.cos(phase) / np.sqrt(large))
    return found
