"""A simulated focus drive."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Float
from hal.devices import MoveTiming, ZStage
from modules.simulation._axes import Point
from modules.simulation._stage import SimStage
from modules.simulation.world import Z_STAGE


class SimZStage(SimStage, ZStage):
    """Moves as a real focus drive does; a halt leaves it where it is.

    It stands at its home at first and keeps its position while it is closed. Without
    further parameters it moves at constant speed and has no faults.

    Runs on: worker; `halt` any.
    """

    kind: ClassVar[str] = Z_STAGE
    _axis_names: ClassVar[tuple[str, ...]] = ("z",)

    travel_um = Float(10_000.0, unit="um", low=1.0, high=1e6, help="Length of travel.")
    speed_um_s = Float(
        1_000.0, unit="um/s", low=1e-3, high=1e9, help="Highest speed of a move."
    )
    home_um = Float(
        0.0,
        unit="um",
        low="z_min_um",
        high="z_max_um",
        help="Where it stands at first.",
    )

    def move_timing(self) -> MoveTiming:
        return self._timing(self.settle_s)

    def time_to_move_s(self, start_um: float, end_um: float) -> float:
        return super().time_to_move_s(start_um, *self._reachable((end_um,)))

    def _set_travel(self, half_um: float) -> None:
        self.z_min_um = -half_um
        self.z_max_um = half_um

    def _home(self) -> Point:
        return (self.home_um,)

    def _do_start_move(self, z_um: float) -> None:
        self._go_to(z_um)

    def _do_position(self) -> float:
        (z_um,) = self._reading()
        return z_um
