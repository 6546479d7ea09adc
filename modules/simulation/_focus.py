"""What the simulated focus sensors have in common: where the focus is, and noise."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from hal.base import Clock, Float, SystemClock
from modules.simulation._unsteady import Numbered
from modules.simulation.world import FOCUS_SENSOR


class SimFocusSensor(Numbered):
    """Sees the distance from the focus of its world, or one that a test sets.

    Readings of one seed are the same in every session: the noise of a reading depends
    on its number.

    Runs on: worker; `halt` any.
    """

    kind: ClassVar[str] = FOCUS_SENSOR
    is_simulated: ClassVar[bool] = True
    times_are_exact: ClassVar[bool] = True

    z_um = Float(
        0.0,
        unit="um",
        low=-1e5,
        high=1e5,
        live=True,
        help="How far the focus is above the sample, without a world.",
    )
    zero_um = Float(
        0.0,
        unit="um",
        low=-1e3,
        high=1e3,
        live=True,
        help="Distance from the sample at which it reads 0.",
    )
    full_sum = Float(
        1000.0, low=0.0, high=1e9, live=True, help="Sum of the signal in focus."
    )
    noise_um = Float(
        0.0, unit="um", low=0.0, high=1e3, help="Standard deviation of an offset."
    )
    integration_s = Float(
        0.001, unit="s", low=0.0, high=60.0, help="Time a reading takes."
    )

    clock: Clock = SystemClock()
    """Where time comes from; tests put a `FakeClock` on the instance."""

    def time_to_read_s(self) -> float:
        return self.integration_s

    def _do_read(self, timeout_s: float) -> tuple[float | None, float] | None:
        if self.clock.wait(self._halt, min(self.integration_s, timeout_s)):
            return None  # halted
        if self.integration_s > timeout_s:
            return None
        throw = self._next_throw()
        offset_um, part = self._signal(self._away_um() - self.zero_um)
        # Without light there is nothing that noise could be added to.
        if part and offset_um is not None:
            offset_um += self.noise_um * throw
        signal_sum = self.full_sum * part
        self._publish(
            offset_um=0.0 if offset_um is None else offset_um,
            quality=part,
            readings=self._readings,
        )
        return offset_um, signal_sum

    def _away_um(self) -> float:
        world = self._world_or_none
        return self.z_um if world is None else world.defocus_um()

    @abstractmethod
    def _signal(self, away_um: float) -> tuple[float | None, float]:
        """Return the offset it reads `away_um` above focus, and the part of its sum."""
