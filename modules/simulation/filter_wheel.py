"""A simulated filter wheel."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Float, Value
from hal.devices import FilterWheel
from modules.simulation._leg import Leg


class SimFilterWheel(FilterWheel):
    """Turns from slot to slot; a halt leaves it where it is.

    It stands at slot 1 at first, and keeps its position while it is closed.

    Runs on: worker; `halt` any.
    """

    is_simulated: ClassVar[bool] = True

    slot_time_s = Float(
        0.05, unit="s", low=1e-6, high=60.0, help="Time from one slot to the next."
    )

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._leg = Leg.resting(1.0)

    def _do_start_move(self, slot: int) -> None:
        now_s = self.clock.monotonic_s()
        speed = 1 / self.slot_time_s
        self._leg = self._leg.towards(float(slot), now_s=now_s, speed=speed)

    def _do_is_moving(self) -> bool:
        return not self._leg.is_over(self.clock.monotonic_s())

    def _do_slot(self) -> int:
        (slot,) = self._leg.at(self.clock.monotonic_s())
        return round(slot)

    def _do_halt(self) -> None:
        self._leg = Leg.resting(*self._leg.at(self.clock.monotonic_s()))
