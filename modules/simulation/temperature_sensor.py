"""A simulated thermometer."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Float
from hal.devices import TemperatureSensor
from modules.simulation._unsteady import Numbered
from modules.simulation.world import TEMPERATURE


class SimTemperatureSensor(Numbered, TemperatureSensor):
    """A thermometer in a room; the noise of a reading depends on its number.

    Runs on: worker; `halt` any.
    """

    kind: ClassVar[str] = TEMPERATURE
    is_simulated: ClassVar[bool] = True
    times_are_exact: ClassVar[bool] = True

    ambient_c = Float(
        22.0,
        unit="C",
        low=-273.0,
        high=2000.0,
        live=True,
        help="Temperature of the room.",
    )
    noise_c = Float(
        0.0, unit="C", low=0.0, high=100.0, help="Standard deviation of a reading."
    )

    def true_c(self) -> float:
        """Return the temperature without noise.

        Runs on: any.
        """
        return self.ambient_c

    def _do_temperature(self) -> float:
        throw = self._next_throw()
        true_c = self.true_c()
        self._publish(temperature_c=true_c, readings=self._readings)
        return true_c + self.noise_c * throw
