"""A simulated laser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from hal.base import Bool, DeviceError, Float, SafeStateCall, Value
from hal.devices import LightSource
from modules.simulation._inhabitant import Inhabitant
from modules.simulation._relax import Relaxing
from modules.simulation.world import LIGHT_SOURCE


@dataclass(frozen=True)
class _Orders:
    """What it was told last, and what held before; replaced, never changed."""

    is_on: bool = False
    power_mw: float = 0.0
    given_s: float = 0.0
    was_on: bool = False
    was_mw: float = 0.0


class SimLightSource(Inhabitant, LightSource):
    """A laser with power, switching time, warm-up and interlock; off when opened.

    `power_mw` is the power set. What really comes out, which is less while it warms
    up, is `emitted_mw`; a world sees what it was when somebody last asked for power or
    light.

    Runs on: worker; `halt` any.
    """

    kind: ClassVar[str] = LIGHT_SOURCE
    is_simulated: ClassVar[bool] = True
    times_are_exact: ClassVar[bool] = True

    bandwidth_nm = Float(
        0.0,
        unit="nm",
        low=0.0,
        high=1000.0,
        help="Width of its spectrum at half of its height; 0 for a line.",
    )
    switch_s = Float(
        0.0, unit="s", low=0.0, high=60.0, help="Time until a change takes effect."
    )
    warm_up_s = Float(
        0.0,
        unit="s",
        low=0.0,
        high=1e5,
        help="Time constant of warming up while on, and of cooling down after.",
    )
    interlock_open = Bool(
        False, live=True, help="Whether its interlock is open, so that no light comes."
    )
    lit_at_start_mw = Float(
        0.0,
        unit="mW",
        low=0.0,
        high="max_power_mw",
        help="Power it has when opened, as a lamp with a switch of its own; 0 for off.",
    )

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._orders = _Orders()
        self._warmth = Relaxing(0.0, 0.0)

    def emitted_mw(self) -> float:
        """Return the power that comes out now.

        Runs on: any.
        """
        return self._emitted_mw(self._orders, self.clock.monotonic_s())

    def commit(self, accepted: Mapping[str, Value]) -> dict[str, Value]:
        now = super().commit(accepted)
        self._show()
        return now

    def outside_safe_state(self) -> SafeStateCall | None:
        """Return how others turn it off in its world, which outlives its process."""
        if not self.world or self._world_state is None:
            return None
        return SafeStateCall(
            "modules.simulation.switch_off:switch_off",
            {"state": str(self._world_state), "name": self._world_name},
        )

    def time_to_switch_s(self) -> float:
        return self.switch_s

    def _do_open(self) -> None:
        super()._do_open()
        self._orders = _Orders(power_mw=self._orders.power_mw)
        if self._here is not None:
            self._show()
        if self.lit_at_start_mw and not self.interlock_open:
            self._do_set_power(self.lit_at_start_mw)
            self._do_set_on(True)

    def _do_set_power(self, power_mw: float) -> None:
        self._order(power_mw=power_mw)
        self._show()

    def _do_power_mw(self) -> float:
        return self._show().power_mw

    def _do_set_on(self, on: bool) -> None:
        if on and self.interlock_open:
            raise DeviceError(
                f"{type(self).__name__}: its interlock is open; the light stays off"
            )
        self._order(is_on=on)
        self._warm(on, self.clock.monotonic_s() + self.switch_s)
        self._show()

    def _do_is_on(self) -> bool:
        return self._show().is_on

    def _do_halt(self) -> None:
        now_s = self.clock.monotonic_s()
        now = self._in_effect(self._orders, now_s)
        self._orders = replace(now, is_on=False, was_on=False)
        self._warm(False, now_s)
        self._show()

    def _do_apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        if changed.get("interlock_open"):
            self._do_halt()
        return super()._do_apply(changed)

    def _order(
        self, *, is_on: bool | None = None, power_mw: float | None = None
    ) -> None:
        now_s = self.clock.monotonic_s()
        now = self._in_effect(self._orders, now_s)
        self._orders = _Orders(
            is_on=now.is_on if is_on is None else is_on,
            power_mw=now.power_mw if power_mw is None else power_mw,
            given_s=now_s,
            was_on=now.is_on,
            was_mw=now.power_mw,
        )

    def _in_effect(self, orders: _Orders, now_s: float) -> _Orders:
        if now_s - orders.given_s >= self.switch_s:
            return orders
        return replace(orders, is_on=orders.was_on, power_mw=orders.was_mw)

    def _emitted_mw(self, orders: _Orders, now_s: float) -> float:
        now = self._in_effect(orders, now_s)
        return now.power_mw * self._warmth.at(now_s) if now.is_on else 0.0

    def _warm(self, on: bool, from_s: float) -> None:
        self._warmth = self._warmth.towards(
            float(on), now_s=from_s, tau_s=self.warm_up_s
        )

    def _show(self) -> _Orders:
        """Return what is in effect; the world hears of it."""
        while True:
            orders, now_s = self._orders, self.clock.monotonic_s()
            now = self._in_effect(orders, now_s)
            if self._known_place is None:
                return now
            self._publish(
                wavelength_nm=self.wavelength_nm,
                bandwidth_nm=self.bandwidth_nm,
                power_mw=self._emitted_mw(orders, now_s) if now.is_on else now.power_mw,
                is_on=now.is_on,
            )
            # Otherwise a halt on another thread came between: it must be told last.
            if self._orders is orders:
                return now
