"""The dyes of the sample: what light they take, what light they give, how they end.

A dye's *dose* counts the photons that one molecule of it would have emitted so far, had
it been on all the time. It is what blinking and bleaching advance with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world import layout

_SQRT2: Final = math.sqrt(2.0)
_PLANCK_J_S: Final = 6.626_070_15e-34
_LIGHT_M_S: Final = 299_792_458.0
_STEPS: Final = 32


@dataclass(frozen=True)
class Dye:
    """One kind of fluorophore, or of light that comes from everywhere.

    Absorption cross-section and quantum yield are those of common dyes (extinction
    80,000 /M/cm; Lakowicz, Principles of Fluorescence Spectroscopy, 3rd ed., ch. 1).
    Bands are two half Gaussians: steep on one side, with a tail on the other.
    """

    name: str
    absorbs_nm: float
    emits_nm: float
    absorbs_width_nm: tuple[float, float] = (28.0, 12.0)
    """Standard deviations below and above the peak."""
    emits_width_nm: tuple[float, float] = (11.0, 28.0)
    cross_section_cm2: float = 3.06e-16
    quantum_yield: float = 0.7
    bleaches_after: float = math.inf
    """Photons a molecule emits on average before it is bleached."""
    on_photons: float = 0.0
    """Photons of one blink on average; 0 for a dye that does not blink."""
    off_photons: float = 0.0
    """Photons it would have emitted in one dark time on average."""

    def absorbed(self, wavelength_nm: float, bandwidth_nm: float) -> float:
        """Return how well it absorbs that light, 1 at the peak."""
        if bandwidth_nm <= 0.0:
            return self._absorption(wavelength_nm)
        # The mean over the band, by the midpoint rule.
        step_nm = bandwidth_nm / _STEPS
        low_nm = wavelength_nm - bandwidth_nm / 2 + step_nm / 2
        each = (self._absorption(low_nm + n * step_nm) for n in range(_STEPS))
        return math.fsum(each) / _STEPS

    def passed(self, low_nm: float, high_nm: float) -> float:
        """Return the part of its emission that lies in a pass band."""
        if high_nm <= low_nm:
            return 0.0
        return self._below(high_nm) - self._below(low_nm)

    def photons_per_mj(self, field_um: float) -> float:
        """Return the photons a molecule emits per mJ on a square field, at its peak."""
        field_cm2 = (field_um * 1e-4) ** 2
        photon_j = _PLANCK_J_S * _LIGHT_M_S / (self.absorbs_nm * 1e-9)
        excitations = 1e-3 / photon_j / field_cm2 * self.cross_section_cm2
        return excitations * self.quantum_yield

    def _absorption(self, nm: float) -> float:
        off_nm = nm - self.absorbs_nm
        width_nm = self.absorbs_width_nm[off_nm > 0.0]
        return math.exp(-0.5 * (off_nm / width_nm) ** 2)

    def _below(self, nm: float) -> float:
        """Return the part of its emission at shorter wavelengths."""
        blue, red = self.emits_width_nm
        off_nm = nm - self.emits_nm
        if off_nm < 0.0:
            return blue / (blue + red) * (1.0 + math.erf(off_nm / blue / _SQRT2))
        return (blue + red * math.erf(off_nm / red / _SQRT2)) / (blue + red)


DYES: Final = (
    Dye("nuclei", 395.0, 461.0, bleaches_after=3e5),
    Dye("filaments", 490.0, 520.0, bleaches_after=3e5),
    Dye("puncta", 555.0, 583.0, bleaches_after=3e5),
    Dye(
        "molecules",
        647.0,
        670.0,
        bleaches_after=2e5,
        on_photons=2e4,
        off_photons=4e5,
    ),
    # Beads hold many molecules of several kinds and outlive all experiments.
    Dye("beads", 500.0, 540.0, (120.0, 120.0), (40.0, 60.0)),
    # What comes from everywhere: its photons are per um2 instead of per molecule.
    Dye("haze", 450.0, 540.0, (200.0, 200.0), (40.0, 80.0)),
)
"""In the order of the doses in a state file; append only."""
NUCLEI, FILAMENTS, PUNCTA, MOLECULES, BEADS, HAZE = range(len(DYES))
assert len(DYES) <= layout.DYES


def emission(low_nm: float, high_nm: float) -> npt.NDArray[np.float64]:
    """Return which part of each dye's emission passes a filter."""
    return np.array([dye.passed(low_nm, high_nm) for dye in DYES])
