"""A simulated XY stage."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Float
from hal.devices import MoveTiming, XYStage
from modules.simulation._axes import Point
from modules.simulation._stage import SimStage
from modules.simulation.world import XY_STAGE


class SimXYStage(SimStage, XYStage):
    """Moves straight, as a real stage does; a halt leaves it where it is.

    It stands at its home at first and keeps its position while it is closed. Without
    further parameters it moves at constant speed and has no faults.

    Runs on: worker; `halt` any.
    """

    kind: ClassVar[str] = XY_STAGE
    _axis_names: ClassVar[tuple[str, ...]] = ("x", "y")

    home_x_um = Float(
        0.0, unit="um", low="x_min_um", high="x_max_um", help="x it stands at first."
    )
    home_y_um = Float(
        0.0, unit="um", low="y_min_um", high="y_max_um", help="y it stands at first."
    )

    def move_timing(self) -> MoveTiming:
        return self._timing(self.settle_s)

    def time_to_move_s(
        self, start_um: tuple[float, float], end_um: tuple[float, float]
    ) -> float:
        x_um, y_um = self._reachable(end_um)
        return super().time_to_move_s(start_um, (x_um, y_um))

    def _set_travel(self, half_um: float) -> None:
        self.x_min_um = self.y_min_um = -half_um
        self.x_max_um = self.y_max_um = half_um

    def _home(self) -> Point:
        return self.home_x_um, self.home_y_um

    def _do_start_move(self, x_um: float, y_um: float) -> None:
        self._go_to(x_um, y_um)

    def _do_position(self) -> tuple[float, float]:
        x_um, y_um = self._reading()
        return x_um, y_um
