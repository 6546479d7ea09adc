"""A simulated quadrant photodiode that sees the focus."""

from __future__ import annotations

import math
from typing import ClassVar

from hal.base import Float
from hal.devices import FocusSensor
from modules.simulation._focus import SimFocusSensor


class SimFocusQuadrant(SimFocusSensor, FocusSensor):
    """A quadrant photodiode: exact near focus, saturated a few micrometres out.

    The spot has a Gaussian profile of radius w (to 1/e^2), and focus moves it by s.
    Then the difference of both halves over their sum is erf(sqrt(2) s / w)
    (Manojlovic, Quadrant photodetector sensitivity, Applied Optics 50, 2011), and the
    driver scales it to be right near focus. Less light comes back out of focus.

    Runs on: worker; `halt` any.
    """

    principle: ClassVar[str] = "quadrant photodiode"

    range_um = Float(
        2.0,
        unit="um",
        low=1e-3,
        high=1e4,
        live=True,
        help="Largest offset, up or down, of a good reading; at most half of spot_um.",
    )
    spot_um = Float(
        4.0,
        unit="um",
        low=1e-3,
        high=1e4,
        help="Change of focus that moves the spot by its own radius.",
    )
    fade_um = Float(
        20.0,
        unit="um",
        low=1e-3,
        high=1e5,
        help="Distance from focus at which 1/e^2 of the light comes back.",
    )

    def _signal(self, away_um: float) -> tuple[float | None, float]:
        difference = math.erf(math.sqrt(2) * away_um / self.spot_um)
        per_um = 2 * math.sqrt(2 / math.pi) / self.spot_um
        part = math.exp(-2 * (away_um / self.fade_um) ** 2)
        return (difference / per_um if part else None), part
