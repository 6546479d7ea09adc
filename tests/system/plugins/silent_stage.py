"""A stage that fails in the middle of a run."""

from __future__ import annotations

from hal.base import DeviceTimeout, Int
from modules.simulation.xy_stage import SimXYStage


class SilentStage(SimXYStage):
    """Does not answer its n-th order."""

    silent_at = Int(3, help="Number of the order.")
    orders = 0

    def _do_start_move(self, x_um: float, y_um: float) -> None:
        self.orders += 1
        if self.orders == self.silent_at:
            raise DeviceTimeout("the stage's controller said nothing for 1 s")
        super()._do_start_move(x_um, y_um)
