"""What a laser, lamp or LED promises."""

from __future__ import annotations

from abc import abstractmethod

from hal.base import DeviceError, Float, LimitError
from hal.devices._motion import WaitingDevice


class LightSource(WaitingDevice):
    """One colour of light with adjustable power; `halt` and `safe_state` turn it off.

    Runs on: worker; `halt` any.
    """

    wavelength_nm = Float(
        488.0, unit="nm", low=100.0, high=20_000.0, help="Centre of its colour."
    )
    max_power_mw = Float(
        100.0, unit="mW", low=0.0, high=1e6, help="Highest power anybody may ask for."
    )
    power_tolerance_mw = Float(
        0.1, unit="mW", low=0.0, high=1e6, help="Largest error of the power set."
    )
    switch_timeout_s = Float(
        1.0, unit="s", low=0.0, high=600.0, help="Longest time a change may take."
    )

    def set_power(self, power_mw: float) -> None:
        """Set the power it has when on, and return when the instrument confirms it.

        Raises:
            LimitError: Not from 0 to `max_power_mw`; nothing was changed.
            DeviceError: The instrument says another power after `switch_timeout_s`.
            Halted: Ended by `halt`; the light is off.
            StateError: Not open.
        """
        self._require_open()
        if not 0.0 <= power_mw <= self.max_power_mw:  # NaN as well
            raise LimitError(
                f"power_mw={power_mw:g}: expected 0 to {self.max_power_mw:g} mW",
                power_mw=power_mw,
                max_power_mw=self.max_power_mw,
            )
        self._begin()
        self._do_set_power(power_mw)
        self._halt_again()
        if not self._poll(lambda: self._has_power(power_mw), self.switch_timeout_s):
            at_mw = self._do_power_mw()
            raise DeviceError(
                f"{type(self).__name__}: power is {at_mw:g} mW, "
                f"expected {power_mw:g} within {self.power_tolerance_mw:g} mW",
                power_mw=at_mw,
            )

    def power_mw(self) -> float:
        """Return the power set, as the instrument tells it, also while it is off.

        Raises:
            StateError: Not open.
        """
        self._require_open()
        return self._do_power_mw()

    def set_on(self, on: bool) -> None:
        """Turn the light on or off, and return when the instrument confirms it.

        Raises:
            DeviceError: The instrument says otherwise after `switch_timeout_s`.
            Halted: Ended by `halt`; the light is off.
            StateError: Not open.
        """
        self._begin()
        self._do_set_on(on)
        if on:
            self._halt_again()
        if not self._poll(lambda: self._do_is_on() == on, self.switch_timeout_s):
            raise DeviceError(
                f"{type(self).__name__}: light is {'off' if on else 'on'}, "
                f"expected {'on' if on else 'off'}"
            )

    def is_on(self) -> bool:
        """Return whether the instrument says that light comes out.

        Raises:
            StateError: Not open.
        """
        self._require_open()
        return self._do_is_on()

    def time_to_switch_s(self) -> float:
        """Return how long a change takes, of power or between on and off.

        Up to 20 ms more go by until it is noticed. See `times_are_exact`.
        """
        return self.switch_timeout_s

    def safe_state(self) -> None:
        """Turn the light off, and make sure that it is.

        Raises:
            DeviceError: The instrument says that it is on.
        """
        self.halt()
        if self._open:
            self.set_on(False)

    def _has_power(self, power_mw: float) -> bool:
        return abs(self._do_power_mw() - power_mw) <= self.power_tolerance_mw

    @abstractmethod
    def _do_set_power(self, power_mw: float) -> None:
        """Order the power; it is within limits."""

    @abstractmethod
    def _do_power_mw(self) -> float:
        """Ask for the power set."""

    @abstractmethod
    def _do_set_on(self, on: bool) -> None:
        """Order light or darkness."""

    @abstractmethod
    def _do_is_on(self) -> bool:
        """Ask whether light comes out."""

    @abstractmethod
    def _do_halt(self) -> None:
        """Turn the light off, now; harmless when it is off and when not open.

        Runs on: any, also during another hook, whose locks it does not take.
        """
