"""The shutter module."""

from __future__ import annotations

from typing import Any, ClassVar

from hal.devices import Shutter
from hal.kernel import DeviceModule, handles
from hal.messages import SetShutter, ShutterChanged


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

    def _changed(self, is_open: bool) -> bool:
        self.send(ShutterChanged(self.name, is_open))
        return is_open
