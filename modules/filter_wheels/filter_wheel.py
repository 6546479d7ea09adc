"""The filter wheel module."""

from __future__ import annotations

from typing import Any, ClassVar

from hal.devices import FilterWheel
from hal.kernel import DeviceModule, handles
from hal.messages import (
    FilterWheelMoved,
    GetWheelAbility,
    MoveFilterWheel,
    WheelAbility,
)


class FilterWheelModule(DeviceModule[FilterWheel]):
    """Owns one filter wheel and speaks for it; a move completes on arrival."""

    role = "filter_wheel"
    driver_kind: ClassVar[type[Any]] = FilterWheel

    @handles(MoveFilterWheel)
    def on_move(self, msg: MoveFilterWheel) -> None:
        """Bring a filter into the light; answers with its slot."""
        wheel = self.device

        def move() -> int:
            wheel.move_to(msg.filter)
            return wheel.slot()

        deadline_s = wheel.move_timeout_s + wheel.settle_s + self.deadline_s
        self.run_job(move, deadline_s=deadline_s, then=self._arrived)

    @handles(GetWheelAbility)
    def on_get_ability(self, msg: GetWheelAbility) -> None:
        """Tell what filters it has, which one is in the light, how long turns take."""
        wheel = self.device

        def look() -> WheelAbility:
            slots = range(1, len(wheel.names) + 1)
            move_s = None
            if wheel.times_are_exact:
                move_s = tuple(
                    tuple(wheel.time_to_move_s(start, end) for end in slots)
                    for start in slots
                )
            return WheelAbility(filters=wheel.names, slot=wheel.slot(), move_s=move_s)

        self.run_job(look)

    def _arrived(self, slot: int) -> int:
        self.send(FilterWheelMoved(self.name, slot, self._driver.names[slot - 1]))
        return slot
