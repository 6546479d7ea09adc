"""A simulated shutter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from hal.base import Float, Text, Value
from hal.devices import Shutter
from modules.simulation._inhabitant import Inhabitant
from modules.simulation._leg import Leg
from modules.simulation.world import SHUTTER


class SimShutter(Inhabitant, Shutter):
    """Opens and closes, at once or in a given time; closed when opened.

    Counts as open from the end of opening to the end of closing.

    Runs on: worker; `halt` any.
    """

    kind: ClassVar[str] = SHUTTER
    is_simulated: ClassVar[bool] = True
    times_are_exact: ClassVar[bool] = True

    open_s = Float(0.0, unit="s", low=0.0, high=60.0, help="Time it takes to open.")
    close_s = Float(0.0, unit="s", low=0.0, high=60.0, help="Time it takes to close.")
    before = Text(
        "",
        help="Names of the light sources it stands before, separated by blanks; empty "
        "for all of its world.",
    )

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        # Its blade: 0 closed, 1 open.
        self._leg = Leg.resting(0.0)

    def commit(self, accepted: Mapping[str, Value]) -> dict[str, Value]:
        now = super().commit(accepted)
        self._note()
        return now

    def time_to_switch_s(self, is_open: bool) -> float:
        return self.open_s if is_open else self.close_s

    def _do_open(self) -> None:
        super()._do_open()
        self._leg = Leg.resting(0.0)
        if self._here is not None:
            self._note()
            self._show(False)

    def _do_set_shutter(self, is_open: bool) -> None:
        self._go(is_open)

    def _go(self, is_open: bool) -> None:
        took_s = self.time_to_switch_s(is_open)
        self._leg = self._leg.towards(
            float(is_open),
            now_s=self.clock.monotonic_s(),
            speed=1 / took_s if took_s else math.inf,
        )

    def _do_is_shutter_open(self) -> bool:
        while True:
            leg = self._leg
            is_over = leg.is_over(self.clock.monotonic_s())
            is_open = is_over if leg.end == (1.0,) else not is_over
            self._show(is_open)
            # Otherwise a halt came between, and what it told must stand.
            if self._leg is leg:
                return is_open

    def _do_halt(self) -> None:
        self._go(False)
        # It may be a while until anybody asks whether it is closed.
        self._show(False)

    def _note(self) -> None:
        if self._known_place is not None:
            self._known_place.note = tuple(self.before.split())

    def _show(self, is_open: bool) -> None:
        if self._known_place is not None:
            self._publish(is_open=is_open)
