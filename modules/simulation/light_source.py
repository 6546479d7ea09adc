"""A simulated laser or lamp."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Value
from hal.devices import LightSource


class SimLightSource(LightSource):
    """Obeys at once; off, at no power, at first.

    Runs on: worker; `halt` any.
    """

    is_simulated: ClassVar[bool] = True

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._set_mw = 0.0
        self._on = False

    def _do_set_power(self, power_mw: float) -> None:
        self._set_mw = power_mw

    def _do_power_mw(self) -> float:
        return self._set_mw

    def _do_set_on(self, on: bool) -> None:
        self._on = on

    def _do_is_on(self) -> bool:
        return self._on

    def _do_halt(self) -> None:
        self._on = False
