"""A simulated camera that sees the focus as the distance of two spots."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Float, Int
from hal.devices import FocusSensor
from modules.simulation._focus import SimFocusSensor


class SimFocusSpots(SimFocusSensor, FocusSensor):
    """Two spots on a camera, which move apart as focus goes up; linear while both show.

    The offset is the distance of the two centres, less that in focus, over `px_per_um`.
    Out of focus the spots grow, so that fewer of their light is above the background.

    Runs on: worker; `halt` any.
    """

    principle: ClassVar[str] = "two spots on a camera"

    width_px = Int(640, unit="px", low=16, high=16_384, help="Columns of the camera.")
    apart_px = Float(
        200.0, unit="px", low=1.0, high=1e4, help="Distance of the spots in focus."
    )
    px_per_um = Float(
        10.0, unit="px/um", low=1e-3, high=1e4, help="How far they move apart."
    )
    depth_um = Float(
        20.0,
        unit="um",
        low=1e-3,
        high=1e5,
        help="Distance from focus at which the spots have twice their area.",
    )

    def _signal(self, away_um: float) -> tuple[float | None, float]:
        apart_px = self.apart_px + self.px_per_um * away_um
        # Two spots can be told apart, and lie on the camera, within these.
        if not 0.0 < apart_px < self.width_px:
            return None, 0.0
        part = 1 / (1 + (away_um / self.depth_um) ** 2)
        return (apart_px - self.apart_px) / self.px_per_um, part
