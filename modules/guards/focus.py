"""A guard of the focus."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Float
from hal.kernel import handles
from hal.messages import FocusMeasured
from modules.guards.guard import SensorGuard


class FocusGuard(SensorGuard):
    """Pauses runs while a focus sensor does not see the focus where it should be.

    A stack leaves the focus on purpose: `largest_offset_um` is for what is more than
    half of it, or `after_s` for what lasts longer.

    Runs on: actor.
    """

    sensor_role: ClassVar[str] = "focus"

    largest_offset_um = Float(
        1.0,
        unit="um",
        low=0.0,
        high=1e4,
        live=True,
        help="So far out of focus is good, up or down.",
    )

    @handles(FocusMeasured)
    def on_measured(self, msg: FocusMeasured) -> None:
        """See whether it is a good reading, and near enough."""
        if self.is_meant(msg.sensor):
            self.see(self._wrong(msg))

    def _wrong(self, msg: FocusMeasured) -> str:
        if msg.offset_um is None:
            return f"{msg.sensor} lost the focus: no light to see it by"
        if abs(msg.offset_um) > self.largest_offset_um:
            return (
                f"{msg.sensor} is {msg.offset_um:.2f} um out of focus, expected "
                f"{self.largest_offset_um:g} um at the most"
            )
        if not msg.is_good:
            return (
                f"{msg.sensor} lost the focus: its readings are no good (sum "
                f"{msg.signal_sum:g})"
            )
        return ""
