"""A simulated focus drive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hal.base import Float, ParameterError, Value
from hal.devices import ZStage
from modules.simulation._leg import Leg


class SimZStage(ZStage):
    """Moves at constant speed; a halt leaves it where it is.

    It stands at 0 at first, in the middle of its travel, and keeps its position
    while it is closed.

    Runs on: worker; `halt` any.
    """

    is_simulated: ClassVar[bool] = True

    travel_um = Float(10_000.0, unit="um", low=1.0, high=1e6, help="Length of travel.")
    speed_um_s = Float(
        1_000.0, unit="um/s", low=1e-3, high=1e9, help="Speed of every move."
    )

    def __init__(self, **values: Value) -> None:
        travel = type(self).travel_um
        half_um = travel.check(self, values.get("travel_um", travel.default)) / 2
        self.z_min_um = -half_um
        self.z_max_um = half_um
        super().__init__(**values)
        self._leg = Leg.resting(0.0)

    def check_together(self, values: Mapping[str, Value]) -> None:
        super().check_together(values)
        if values["travel_um"] != 2 * self.z_max_um:
            raise ParameterError("travel_um is fixed when the stage is made")

    def _do_start_move(self, z_um: float) -> None:
        now_s = self.clock.monotonic_s()
        self._leg = self._leg.towards(z_um, now_s=now_s, speed=self.speed_um_s)

    def _do_is_moving(self) -> bool:
        return not self._leg.is_over(self.clock.monotonic_s())

    def _do_position(self) -> float:
        (z_um,) = self._leg.at(self.clock.monotonic_s())
        return z_um

    def _do_halt(self) -> None:
        self._leg = Leg.resting(*self._leg.at(self.clock.monotonic_s()))
