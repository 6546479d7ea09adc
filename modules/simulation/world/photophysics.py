"""How emitters age: stains fade, single molecules blink and end.

Everything happens along the dose (photons a molecule would have emitted by now), never
along time. A molecule is on, off, or bleached; from "on" it leaves at a constant rate
per photon into the dark state or for ever, which makes all times exponential (van de
Linde & Sauer, Chem. Soc. Rev. 43:1076, 2014). Many molecules together fade with a
single exponential (Song et al., Biophys. J. 68:2588, 1995).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from modules.simulation.world.dyes import DYES, Dye
from modules.simulation.world.sample import Emitters
from modules.simulation.world.world import World

Floats = npt.NDArray[np.float64]

_BLINKS: Final = 64
"""After so many blinks, if it lasts, a molecule does all of them again."""


def faded(dye: Dye, bleaching: float, dose: Floats | float) -> Floats:
    """Return the part of a stain's molecules that is not bleached at that dose."""
    return np.asarray(np.exp(-np.asarray(dose) * bleaching / dye.bleaches_after))


def emitted(dye: Dye, bleaching: float, gain: float) -> float:
    """Return the photons per molecule left while the dose grows by `gain`.

    The integral of `faded`: who bleaches during the exposure gives only a part.
    """
    decay = bleaching / dye.bleaches_after
    if decay * gain < 1e-12:
        return gain
    return -math.expm1(-decay * gain) / decay


class Blinking:
    """The whole life of each of some molecules, as a function of the dose."""

    def __init__(self, world: World, molecules: Emitters) -> None:
        """Draw all lives; each depends on the seed and on the molecule alone."""
        count = len(molecules)
        self._begin = np.zeros((count, _BLINKS))
        self._on = np.zeros((count, _BLINKS))
        self._most = np.full(count, np.inf)
        bleaching = world.settings.bleaching
        for row, (number, index) in enumerate(
            zip(molecules.number.tolist(), molecules.dye.tolist(), strict=True)
        ):
            chance, dye = world.random("blinking", number), DYES[index]
            self._begin[row], self._on[row] = _blinks(chance, dye)
            # Only what is on absorbs, and so bleaches.
            photons = chance.exponential(dye.bleaches_after)
            if bleaching > 0.0:
                self._most[row] = photons / bleaching
        self._round = self._begin[:, -1] + self._on[:, -1]
        self._in_round = self._on.sum(axis=1)

    def emitted(self, dose: Floats, gain: Floats) -> Floats:
        """Return the photons each emits while its dose grows from `dose` by `gain`."""
        return np.maximum(self._until(dose + gain) - self._until(dose), 0.0)

    def _until(self, dose: Floats) -> Floats:
        """Return the photons each has emitted by then."""
        rounds = np.floor(dose / self._round)
        rest = (dose - rounds * self._round)[:, None]
        parts = np.minimum(np.maximum(rest - self._begin, 0.0), self._on)
        photons = parts.sum(axis=1) + rounds * self._in_round
        return np.asarray(np.minimum(photons, self._most))


def _blinks(chance: np.random.Generator, dye: Dye) -> tuple[Floats, Floats]:
    """Return at which doses a molecule comes on, and for how long."""
    on = chance.exponential(dye.on_photons, _BLINKS)
    off = chance.exponential(dye.off_photons, _BLINKS)
    # In equilibrium to begin with: off at first, unless it happens to be on.
    if chance.random() < dye.on_photons / (dye.on_photons + dye.off_photons):
        off[0] = 0.0
    return np.cumsum(off) + np.cumsum(on) - on, on
