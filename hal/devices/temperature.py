"""What thermometers and temperature controllers promise."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from hal.base import (
    DeviceError,
    DeviceTimeout,
    Float,
    LimitError,
    ParameterError,
    Value,
)
from hal.devices._motion import WaitingDevice


class TemperatureSensor(WaitingDevice):
    """Measures one temperature: of the room, the stage, the objective.

    Runs on: worker; `halt` any.
    """

    def temperature_c(self) -> float:
        """Return the temperature now, in degrees Celsius.

        Raises:
            DeviceError: It cannot be measured.
            StateError: Not open.
        """
        self._require_open()
        return self._do_temperature()

    @abstractmethod
    def _do_temperature(self) -> float:
        """Ask for the temperature, in degrees Celsius."""


class TemperatureController(TemperatureSensor):
    """Holds a temperature; `halt` and `safe_state` turn heating and cooling off.

    It is off when opened. Reaching a temperature takes minutes, so nothing waits for it
    unless asked to.

    Runs on: worker; `halt` any.
    """

    low_c = Float(
        4.0, unit="C", low=-273.0, high=2000.0, help="Lowest temperature to ask for."
    )
    high_c = Float(
        45.0, unit="C", low=-273.0, high=2000.0, help="Highest temperature to ask for."
    )
    tolerance_c = Float(
        0.2, unit="C", low=1e-3, high=50.0, help="How near counts as reached."
    )
    target_tolerance_c = Float(
        0.05, unit="C", low=0.0, high=5.0, help="Largest error of the target set."
    )
    switch_timeout_s = Float(
        1.0, unit="s", low=0.0, high=600.0, help="Longest time an order may take."
    )
    reach_timeout_s = Float(
        3600.0, unit="s", low=1.0, high=1e6, help="Longest time on the way to a target."
    )

    def set_target(self, target_c: float | None) -> None:
        """Begin to hold a temperature, or none; return when the order is confirmed.

        Args:
            target_c: Degrees Celsius; None turns heating and cooling off.

        Raises:
            LimitError: Not from `low_c` to `high_c`; nothing was changed.
            DeviceError: The instrument says another target after `switch_timeout_s`.
            Halted: Ended by `halt`; it is off.
            StateError: Not open.
        """
        self._require_open()
        if target_c is not None and not self.low_c <= target_c <= self.high_c:
            raise LimitError(
                f"target_c={target_c:g}: expected {self.low_c:g} to {self.high_c:g} C",
                target_c=target_c,
                low_c=self.low_c,
                high_c=self.high_c,
            )
        self._begin()
        self._do_set_target(target_c)
        if target_c is not None:
            self._halt_again()
        if not self._poll(lambda: self._has_target(target_c), self.switch_timeout_s):
            raise DeviceError(
                f"{type(self).__name__}: target is {_words(self._do_target())}, "
                f"expected {_words(target_c)}"
            )

    def target_c(self) -> float | None:
        """Return the temperature it holds, in degrees Celsius; None when it is off.

        Raises:
            StateError: Not open.
        """
        self._require_open()
        return self._do_target()

    def is_reached(self) -> bool:
        """Return whether the temperature is within `tolerance_c` of the target.

        Raises:
            StateError: Not open.
        """
        target_c = self.target_c()
        if target_c is None:
            return False
        return abs(self._do_temperature() - target_c) <= self.tolerance_c

    def wait_until_reached(self, timeout_s: float) -> None:
        """Return when the target is reached for the first time.

        Args:
            timeout_s: How long to wait; after it, it goes on heating or cooling.

        Raises:
            DeviceTimeout: Not reached, or there is no target.
            Halted: Ended by `halt`; it is off.
            StateError: Not open.
        """
        self._begin()
        if not self._poll(self.is_reached, timeout_s):
            raise DeviceTimeout(
                f"{type(self).__name__}: at {self._do_temperature():.2f} C after "
                f"{timeout_s:g} s, target is {_words(self._do_target())}",
                timeout_s=timeout_s,
            )

    def time_to_reach_s(self, start_c: float, target_c: float) -> float:
        """Return how long it takes until a target is reached. See `times_are_exact`.

        Args:
            start_c: Temperature at the beginning.
            target_c: As in `set_target`.
        """
        return self.reach_timeout_s

    def safe_state(self) -> None:
        """Turn heating and cooling off, and make sure that they are.

        Raises:
            DeviceError: The instrument says that it still holds a temperature.
        """
        self.halt()
        if self._open:
            self.set_target(None)

    def check_together(self, values: Mapping[str, Value]) -> None:
        low_c, high_c = values["low_c"], values["high_c"]
        if float(low_c) > float(high_c):
            raise ParameterError(f"low_c={low_c} is above high_c={high_c}")

    def _has_target(self, target_c: float | None) -> bool:
        at_c = self._do_target()
        if at_c is None or target_c is None:
            return at_c is target_c
        return abs(at_c - target_c) <= self.target_tolerance_c

    @abstractmethod
    def _do_set_target(self, target_c: float | None) -> None:
        """Order a temperature within the limits, or None for off."""

    @abstractmethod
    def _do_target(self) -> float | None:
        """Ask for the target; None when off."""

    @abstractmethod
    def _do_halt(self) -> None:
        """Turn heating and cooling off, now; harmless when off and when not open.

        Runs on: any, also during another hook, whose locks it does not take.
        """


def _words(target_c: float | None) -> str:
    return "off" if target_c is None else f"{target_c:g} C"
