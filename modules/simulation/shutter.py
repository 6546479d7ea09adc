"""A simulated shutter."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Value
from hal.devices import Shutter


class SimShutter(Shutter):
    """Obeys at once; closed at first.

    Runs on: worker; `halt` any.
    """

    is_simulated: ClassVar[bool] = True

    def __init__(self, **values: Value) -> None:
        super().__init__(**values)
        self._lets_light_through = False

    def _do_set_shutter(self, is_open: bool) -> None:
        self._lets_light_through = is_open

    def _do_is_shutter_open(self) -> bool:
        return self._lets_light_through

    def _do_halt(self) -> None:
        self._lets_light_through = False
