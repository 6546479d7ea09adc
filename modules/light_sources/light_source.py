"""The light source module."""

from __future__ import annotations

from typing import Any, ClassVar

from hal.devices import LightSource
from hal.kernel import DeviceModule, handles
from hal.messages import GetLight, LightChanged, LightState, SetLight


class LightSourceModule(DeviceModule[LightSource]):
    """Owns one laser, LED or lamp and speaks for it."""

    role = "light"
    driver_kind: ClassVar[type[Any]] = LightSource

    @handles(SetLight)
    def on_set(self, msg: SetLight) -> None:
        """Set power before switching on, and off before lowering it."""
        light = self.device

        def apply() -> LightState:
            if msg.is_on is False:
                light.set_on(False)
            if msg.power_mw is not None:
                light.set_power(msg.power_mw)
            if msg.is_on:
                light.set_on(True)
            return LightState(light.power_mw(), light.is_on())

        deadline_s = 3 * light.switch_timeout_s + self.deadline_s
        self.run_job(apply, deadline_s=deadline_s, then=self._changed)

    @handles(GetLight)
    def on_get(self, msg: GetLight) -> None:
        """Ask the light source what it does."""
        light = self.device
        self.run_job(lambda: LightState(light.power_mw(), light.is_on()))

    def _changed(self, state: LightState) -> LightState:
        self.send(LightChanged(self.name, state.power_mw, state.is_on))
        return state
