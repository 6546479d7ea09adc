"""The shutter module."""

from __future__ import annotations

from typing import Any, ClassVar

from hal.devices import Shutter
from hal.kernel import DeviceModule, handles
from hal.messages import (
    GetShutterAbility,
    SetShutter,
    ShutterAbility,
    ShutterChanged,
)


class ShutterModule(DeviceModule[Shutter]):
    """Owns one shutter and speaks for it."""

    role = "shutter"
    driver_kind: ClassVar[type[Any]] = Shutter

    @handles(SetShutter)
    def on_set(self, msg: SetShutter) -> None:
        """Open or close; completes when it is."""
        shutter = self.device

        def apply() -> bool:
            shutter.set_shutter(msg.is_open)
            return shutter.is_shutter_open()

        deadline_s = shutter.switch_timeout_s + self.deadline_s
        self.run_job(apply, deadline_s=deadline_s, then=self._changed)

    @handles(GetShutterAbility)
    def on_get_ability(self, msg: GetShutterAbility) -> None:
        """Tell whether it is open, and how long changes take."""
        shutter = self.device

        def look() -> ShutterAbility:
            is_exact = shutter.times_are_exact
            return ShutterAbility(
                is_open=shutter.is_shutter_open(),
                open_s=shutter.time_to_switch_s(True) if is_exact else None,
                close_s=shutter.time_to_switch_s(False) if is_exact else None,
            )

        self.run_job(look)

    def _changed(self, is_open: bool) -> bool:
        self.send(ShutterChanged(self.name, is_open))
        return is_open
