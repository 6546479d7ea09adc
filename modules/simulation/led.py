"""A simulated light-emitting diode."""

from __future__ import annotations

import math

from hal.base import Float
from modules.simulation.light_source import SimLightSource


class SimLed(SimLightSource):
    """An LED: as the laser, but of many wavelengths around its centre.

    Runs on: worker; `halt` any.
    """

    bandwidth_nm = Float(
        25.0,
        unit="nm",
        low=0.1,
        high=1000.0,
        help="Width of its spectrum at half of its height.",
    )

    def spectrum(self, wavelength_nm: float) -> float:
        """Return how bright it is at a wavelength, as a part of its brightest.

        A Gaussian, as the peak of an LED nearly is.
        """
        away = (wavelength_nm - self.wavelength_nm) / self.bandwidth_nm
        return math.exp(-4 * math.log(2) * away**2)
