"""The autofocus module: brings the sample into focus by what a focus sensor says."""

from __future__ import annotations

from functools import partial
from typing import Final

from hal.base import DeviceError, Float, StateError, Text, UnsupportedError
from hal.kernel import Module, handles
from hal.messages import (
    FindFocus,
    FocusFound,
    FocusReading,
    GetFocus,
    MoveZBy,
    ZPosition,
)

_STEPS: Final = 8
"""So many moves are one try: a sensor sees far distances shorter than they are."""


class AutofocusModule(Module):
    """Moves the focus until the sensor says that it is where it should be."""

    role = "autofocus"

    sensor = Text("", help="Name of the focus sensor; empty for the only one.")
    z = Text("", help="Name of the z stage; empty for the only one.")
    tolerance_um = Float(
        0.05, unit="um", low=0.001, high=10.0, help="How far off is in focus."
    )
    range_um = Float(
        50.0, unit="um", low=0.1, high=1000.0, help="So far it moves at the most."
    )

    @handles(FindFocus)
    def on_find(self, msg: FindFocus) -> None:
        """Search on the worker."""
        if msg.motor_offset_um is not None:
            raise UnsupportedError(f"{self.name} has no offset motor")
        self.run_job(
            partial(self._find, msg.tries), deadline_s=msg.deadline_s, what="find focus"
        )

    def _find(self, tries: int) -> FocusFound:
        for _ in range(tries):
            try:
                return self._approach()
            except DeviceError as exc:
                self.log.warning("focus not found, trying again", why=exc.text)
        return self._approach()

    def _approach(self) -> FocusFound:
        moved_um = 0.0
        for _ in range(_STEPS):
            offset_um = self._offset_um()
            z_um = self._move_by(0.0 if self._is_near(offset_um) else -offset_um)
            if self._is_near(offset_um):
                return FocusFound(z_um, offset_um)
            moved_um -= offset_um
            if abs(moved_um) > self.range_um:
                self._move_by(-moved_um)
                raise DeviceError(
                    f"{self.name}: the focus is more than {self.range_um:g} um away, "
                    "which is as far as range_um allows"
                )
        raise DeviceError(
            f"{self.name}: still {self._offset_um():.3f} um out of focus after "
            f"{_STEPS} moves, expected {self.tolerance_um:g} um at the most"
        )

    def _is_near(self, offset_um: float) -> bool:
        return abs(offset_um) <= self.tolerance_um

    def _offset_um(self) -> float:
        reading = self.ask(GetFocus(), to=self._only(self.sensor, "focus"))
        assert isinstance(reading, FocusReading)
        if reading.offset_um is None or not reading.is_good:
            raise DeviceError(
                f"{self.name}: the focus sensor sees too little light to follow "
                f"(sum {reading.signal_sum:g})"
            )
        return reading.offset_um

    def _move_by(self, dz_um: float) -> float:
        at = self.ask(MoveZBy(dz_um), to=self._only(self.z, "z"))
        assert isinstance(at, ZPosition)
        return at.z_um

    def _only(self, name: str, role: str) -> str:
        """Return the module that is meant."""
        if name:
            return name
        names = self.context.names_of_role(role)
        if len(names) != 1:
            raise StateError(
                f"{self.name}: there are {len(names)} modules of role {role}, expected "
                "one, or its name as a parameter"
            )
        return names[0]
