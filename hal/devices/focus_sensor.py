"""What a sensor that sees how far the sample is out of focus promises."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, NamedTuple

from hal.base import DeviceTimeout, Float
from hal.devices._motion import WaitingDevice


class FocusSignal(NamedTuple):
    """One reading of a focus sensor."""

    offset_um: float | None
    """How far the focus is above where it should be, micrometres; moving z down by
    this much brings it back. None where there is too little light to tell."""
    signal_sum: float
    """All the light it sees, from 0 on, in the sensor's own unit."""
    is_good: bool
    """Whether a lock may follow it: enough light, and within range."""


class FocusSensor(WaitingDevice):
    """Measures where the focus is, usually by infrared light from the cover slip.

    Two principles are common. On a quadrant photodiode the reflection wanders from one
    half to the other; it is quick, and saturates a few micrometres out. On a camera two
    reflections move apart; it is slower and sees further.

    Runs on: worker; `halt` any.
    """

    principle: ClassVar[str] = ""
    """How it measures, for people: "quadrant photodiode", "two spots on a camera"."""

    min_sum = Float(
        0.0, low=0.0, high=1e12, live=True, help="Least light for a good reading."
    )
    range_um = Float(
        5.0,
        unit="um",
        low=1e-3,
        high=1e4,
        live=True,
        help="Largest offset, up or down, of a good reading.",
    )
    read_timeout_s = Float(
        1.0, unit="s", low=1e-3, high=60.0, help="Longest time a reading may take."
    )

    def read(self) -> FocusSignal:
        """Measure once, and return what was seen.

        Raises:
            DeviceTimeout: No reading within `read_timeout_s`.
            Halted: Ended by `halt`.
            StateError: Not open.
        """
        self._begin()
        measured = self._do_read(self.read_timeout_s)
        self._check_halt()
        if measured is None:
            raise DeviceTimeout(
                f"{type(self).__name__}: no reading in {self.read_timeout_s:g} s",
                timeout_s=self.read_timeout_s,
            )
        offset_um, signal_sum = measured
        if offset_um is not None and not math.isfinite(offset_um):
            offset_um = None  # a division by no light
        is_good = (
            offset_um is not None
            and signal_sum >= self.min_sum
            and abs(offset_um) <= self.range_um
        )
        return FocusSignal(offset_um, signal_sum, is_good)

    def time_to_read_s(self) -> float:
        """Return how long `read` takes. See `times_are_exact`."""
        return self.read_timeout_s

    @abstractmethod
    def _do_read(self, timeout_s: float) -> tuple[float | None, float] | None:
        """Measure: offset in micrometres, sum; None if there is none in `timeout_s`.

        Ends soon after `halt`, with anything.
        """
