"""The light source module."""

from __future__ import annotations

from typing import Any, ClassVar

from hal.devices import LightSource
from hal.kernel import DeviceModule, handles
from hal.messages import (
    GetLight,
    GetLightAbility,
    LightAbility,
    LightChanged,
    LightState,
    SetLight,
)


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

    @handles(GetLightAbility)
    def on_get_ability(self, msg: GetLightAbility) -> None:
        """Tell how bright it may be, what it does, and how long changes take."""
        light = self.device

        def look() -> LightAbility:
            return LightAbility(
                max_power_mw=light.max_power_mw,
                power_mw=light.power_mw(),
                is_on=light.is_on(),
                switch_s=light.time_to_switch_s() if light.times_are_exact else None,
            )

        self.run_job(look)

    def _changed(self, state: LightState) -> LightState:
        self.send(LightChanged(self.name, state.power_mw, state.is_on))
        return state
