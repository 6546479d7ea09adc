"""A guard of a temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hal.base import Float, ParameterError, Value
from hal.kernel import handles
from hal.messages import TemperatureMeasured
from modules.guards.guard import SensorGuard


class TemperatureGuard(SensorGuard):
    """Pauses runs while a temperature is out of its range.

    Runs on: actor.
    """

    sensor_role: ClassVar[str] = "temperature"

    low_c = Float(
        -273.0,
        unit="C",
        low=-273.0,
        high=2000.0,
        live=True,
        help="Lowest that is good.",
    )
    high_c = Float(
        2000.0,
        unit="C",
        low=-273.0,
        high=2000.0,
        live=True,
        help="Highest that is good.",
    )

    @handles(TemperatureMeasured)
    def on_measured(self, msg: TemperatureMeasured) -> None:
        """Compare it with the limits."""
        if not self.is_meant(msg.sensor):
            return
        is_good = self.low_c <= msg.temperature_c <= self.high_c
        self.see(
            ""
            if is_good
            else f"{msg.sensor} is at {msg.temperature_c:.2f} C, expected "
            f"{self.low_c:g} to {self.high_c:g} C"
        )

    def check_together(self, values: Mapping[str, Value]) -> None:
        low_c, high_c = values["low_c"], values["high_c"]
        if float(low_c) > float(high_c):
            raise ParameterError(f"low_c={low_c} is above high_c={high_c}")
