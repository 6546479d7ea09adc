"""What the microscope is able to, as preflight asks: a snapshot told by the modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hal.acquisition import CameraAbility, ChannelAbility, ChannelName
from hal.base import ParameterSpec
from hal.devices import find_slot
from hal.messages import (
    ChannelDescription,
    LightAbility,
    ShutterAbility,
    StageAbility,
    WheelAbility,
    ZAbility,
)


@dataclass(frozen=True, kw_only=True)
class RigAbilities:
    """The modules of HAL as `Abilities`.

    The stage and the focus drive are the first of the file. A wheel that the channel
    before does not name is taken to stand where it stood when it was asked.

    Runs on: any.
    """

    devices: Mapping[str, bool]
    cameras: Mapping[str, CameraAbility]
    """Those of the run; one that did not answer is here too, and does not work."""
    camera: str = ""
    stage: str = ""
    focus_drive: str = ""
    descriptions: Mapping[ChannelName, ChannelDescription] = field(default_factory=dict)
    """What the channels are made of."""
    stage_ability: StageAbility | None = None
    z_ability: ZAbility | None = None
    wheels: Mapping[str, WheelAbility] = field(default_factory=dict)
    lights: Mapping[str, LightAbility] = field(default_factory=dict)
    shutters: Mapping[str, ShutterAbility] = field(default_factory=dict)
    specs: Mapping[str, Mapping[str, ParameterSpec]] = field(default_factory=dict)
    """Parameters by module and name."""
    free_bytes: int | None = None
    copies: int = 1

    focus_devices: tuple[str, ...] = ()
    """Modules that focus by themselves."""
    analyses: tuple[str, ...] = ()
    projectors: tuple[str, ...] = ()

    @cached_property
    def channels(self) -> Mapping[ChannelName, ChannelAbility]:
        """Channels that are configured."""
        return {
            name: ChannelAbility(
                devices=described.devices,
                camera=described.camera,
                power_mw=described.power_mw,
                lit_area_cm2=described.lit_area_cm2,
                problem=self._problem(described),
            )
            for name, described in self.descriptions.items()
        }

    def xy_um(self) -> tuple[float, float] | None:
        """Return where the stage is; None without one that works."""
        at = self.stage_ability
        return None if at is None else (at.x_um, at.y_um)

    def z_um(self) -> float | None:
        """Return where the focus drive is; None without one that works."""
        return None if self.z_ability is None else self.z_ability.z_um

    def xy_limits_um(self) -> tuple[float, float, float, float] | None:
        """Return low x, high x, low y, high y; None as `xy_um`."""
        of = self.stage_ability
        if of is None:
            return None
        return of.x_low_um, of.x_high_um, of.y_low_um, of.y_high_um

    def z_limits_um(self) -> tuple[float, float] | None:
        """Return low and high z; None as `z_um`."""
        of = self.z_ability
        return None if of is None else (of.z_low_um, of.z_high_um)

    def parameters(self, device: str) -> Mapping[str, ParameterSpec] | None:
        """Return what may be set on a device; None if there is no such device."""
        return self.specs.get(device)

    def time_to_move_xy_s(
        self, start_um: tuple[float, float], end_um: tuple[float, float]
    ) -> float | None:
        """Return how long a move takes, settling included."""
        timing = None if self.stage_ability is None else self.stage_ability.timing
        if timing is None:
            return None
        return timing.time_s(end_um[0] - start_um[0], end_um[1] - start_um[1])

    def time_to_move_z_s(self, start_um: float, end_um: float) -> float | None:
        """Return how long a move takes, settling included."""
        timing = None if self.z_ability is None else self.z_ability.timing
        return None if timing is None else timing.time_s(end_um - start_um)

    def time_to_change_channel_s(
        self, start: ChannelName | None, end: ChannelName
    ) -> float | None:
        """Return how long it takes until filters and powers are those of a channel."""
        after = self.descriptions.get(end)
        if after is None:
            return None
        before = None if start is None else self.descriptions.get(start)
        turn_s, power_s = self._turn_s(before, after), self._power_s(before, after)
        return None if turn_s is None or power_s is None else turn_s + power_s

    def time_to_light_s(self, channel: ChannelName | None) -> float | None:
        """Return how long it takes to let light through, or to stop it; their mean."""
        described = None if channel is None else self.descriptions.get(channel)
        if described is None:
            return 0.0  # without a channel nobody switches anything
        total_s = 0.0
        if described.light:
            light = self.lights.get(described.light)
            if light is None or light.switch_s is None:
                return None
            total_s += light.switch_s
        if described.shutter:
            shutter = self.shutters.get(described.shutter)
            if shutter is None or shutter.open_s is None or shutter.close_s is None:
                return None
            total_s += (shutter.open_s + shutter.close_s) / 2
        return total_s

    def time_to_focus_s(self, device: str) -> float | None:
        """Return None: how long a search takes depends on where it begins."""
        return None

    def _turn_s(
        self, before: ChannelDescription | None, after: ChannelDescription
    ) -> float | None:
        if not after.filter_wheel:
            return 0.0
        wheel = self.wheels.get(after.filter_wheel)
        if wheel is None:
            return None
        start, end = wheel.slot, find_slot(wheel.filters, after.filter)
        if before is not None and before.filter_wheel == after.filter_wheel:
            start = find_slot(wheel.filters, before.filter) or start
        if end is None or start == end:
            return 0.0
        return None if wheel.move_s is None else wheel.move_s[start - 1][end - 1]

    def _power_s(
        self, before: ChannelDescription | None, after: ChannelDescription
    ) -> float | None:
        """Return how long setting the power takes; it stays set, also while off."""
        if after.power_mw is None:
            return 0.0
        light = self.lights.get(after.light)
        if light is None:
            return None
        if before is None:
            is_set = light.power_mw == after.power_mw
        else:
            is_set = before.light != after.light or before.power_mw == after.power_mw
        return 0.0 if is_set else light.switch_s

    def _problem(self, channel: ChannelDescription) -> str:
        """Return why a channel cannot be used, as far as its devices answered."""
        wheel = self.wheels.get(channel.filter_wheel)
        if wheel is not None and find_slot(wheel.filters, channel.filter) is None:
            return (
                f"its filter '{channel.filter}' is not in {channel.filter_wheel}: "
                f"expected one of {', '.join(wheel.filters)}"
            )
        light = self.lights.get(channel.light)
        if light is not None and (channel.power_mw or 0.0) > light.max_power_mw:
            return (
                f"its power_mw={channel.power_mw:g}: expected at most "
                f"{light.max_power_mw:g} mW of {channel.light}"
            )
        return ""
