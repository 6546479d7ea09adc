"""What a shutter promises."""

from __future__ import annotations

from abc import abstractmethod

from hal.base import DeviceError, Float
from hal.devices._motion import WaitingDevice


class Shutter(WaitingDevice):
    """Lets light through or not; `halt` and `safe_state` close it.

    Runs on: worker; `halt` any.
    """

    switch_timeout_s = Float(
        1.0, unit="s", low=0.0, high=600.0, help="Longest time a change may take."
    )

    def set_shutter(self, is_open: bool) -> None:
        """Open or close it, and return when the instrument confirms it.

        Raises:
            DeviceError: The instrument says otherwise after `switch_timeout_s`.
            Halted: Ended by `halt`; the shutter is closed.
            StateError: Not open (the driver, that is).
        """
        self._begin()
        self._do_set_shutter(is_open)
        if is_open:
            self._halt_again()
        done = self._poll(
            lambda: self._do_is_shutter_open() == is_open, self.switch_timeout_s
        )
        if not done:
            raise DeviceError(
                f"{type(self).__name__}: shutter is "
                f"{'closed' if is_open else 'open'}, "
                f"expected {'open' if is_open else 'closed'}"
            )

    def is_shutter_open(self) -> bool:
        """Return whether the instrument says that light can pass.

        Raises:
            StateError: Not open (the driver, that is).
        """
        self._require_open()
        return self._do_is_shutter_open()

    def time_to_switch_s(self, is_open: bool) -> float:
        """Return how long `set_shutter(is_open)` takes when it is not so already.

        Up to 20 ms more go by until it is noticed. See `times_are_exact`.
        """
        return self.switch_timeout_s

    def safe_state(self) -> None:
        """Close the shutter, and make sure that it is closed.

        Raises:
            DeviceError: The instrument says that it is open.
        """
        self.halt()
        if self._open:
            self.set_shutter(False)

    @abstractmethod
    def _do_set_shutter(self, is_open: bool) -> None:
        """Order the shutter to open or close; return at once."""

    @abstractmethod
    def _do_is_shutter_open(self) -> bool:
        """Ask whether it is open."""

    @abstractmethod
    def _do_halt(self) -> None:
        """Close the shutter, now; harmless when it is closed and when not open.

        Runs on: any, also during another hook, whose locks it does not take.
        """
