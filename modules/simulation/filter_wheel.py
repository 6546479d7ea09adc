"""A simulated filter wheel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from hal.base import Float, Text, Value
from hal.devices import FilterWheel
from modules.simulation._inhabitant import Inhabitant
from modules.simulation._leg import Leg
from modules.simulation.world import EVERYTHING_NM, FILTER_WHEEL


class SimFilterWheel(Inhabitant, FilterWheel):
    """Turns from slot to slot, the shorter way round; a halt leaves it where it is.

    It stands at slot 1 at first, and keeps its position while it is closed. Filters
    named as "525/50" pass that band, all others everything; between two slots no light
    passes.

    Runs on: worker; `halt` any.
    """

    kind: ClassVar[str] = FILTER_WHEEL
    is_simulated: ClassVar[bool] = True
    times_are_exact: ClassVar[bool] = True

    slot_time_s = Float(
        0.05, unit="s", low=1e-6, high=60.0, help="Time from one slot to the next."
    )
    before = Text(
        "",
        help="Names of the cameras it stands before, separated by blanks; empty for "
        "all of its world.",
    )

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        # Turned so far: slot 1 is at 1, and again after each full turn.
        self._leg = Leg.resting(1.0)
        self._shown: Leg | None = None

    def commit(self, accepted: Mapping[str, Value]) -> dict[str, Value]:
        now = super().commit(accepted)
        self._show_all()
        return now

    def time_to_move_s(self, start: int | str, end: int | str) -> float:
        way = abs(self._slot_of(end) - self._slot_of(start))
        steps = min(way, len(self.names) - way)
        return steps * self.slot_time_s + self.settle_s

    def _do_open(self) -> None:
        super()._do_open()
        here = self._here
        if here is not None:
            slot = int(here["slot"])
            if slot != self._do_slot():
                self._leg = Leg.resting(float(slot))
            self._show_all()

    def _do_start_move(self, slot: int) -> None:
        now_s = self.clock.monotonic_s()
        (at,) = self._leg.at(now_s)
        slots = len(self.names)
        # The turn in which the slot is nearest; forward where both ways are equal.
        turn = math.floor((at - slot) / slots + 0.5)
        end = float(slot + turn * slots)
        self._leg = self._leg.towards(end, now_s=now_s, speed=1 / self.slot_time_s)
        self._show()

    def _do_is_moving(self) -> bool:
        is_moving = not self._leg.is_over(self.clock.monotonic_s())
        if not is_moving and self._leg is not self._shown:
            self._show()
        return is_moving

    def _do_slot(self) -> int:
        (at,) = self._leg.at(self.clock.monotonic_s())
        return self._slot_at(at)

    def _do_halt(self) -> None:
        self._leg = Leg.resting(*self._leg.at(self.clock.monotonic_s()))
        self._show()

    def _show_all(self) -> None:
        if self._known_place is not None:
            self._known_place.note = tuple(self.before.split())
            self._show()

    def _show(self) -> None:
        """Tell the world what passes; a halt on another thread may do so meanwhile."""
        while self._known_place is not None:
            leg = self._leg
            is_over = leg.is_over(self.clock.monotonic_s())
            if is_over and leg.end[0].is_integer():
                slot = self._slot_at(leg.end[0])
                low_nm, high_nm = self.pass_band_nm(slot) or (0.0, EVERYTHING_NM)
                self._publish(slot=slot, low_nm=low_nm, high_nm=high_nm)
            else:
                self._publish(low_nm=0.0, high_nm=0.0)
            self._shown = leg if is_over else None
            if self._leg is leg:
                return

    def _slot_at(self, turned: float) -> int:
        return (round(turned) - 1) % len(self.names) + 1
