"""What thermometers and temperature controllers promise, as tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import pytest

from hal.base import DeviceTimeout, LimitError
from hal.devices import TemperatureController, TemperatureSensor
from hal.testing.contracts._halting import halt_during
from hal.testing.contracts.device import DeviceContract

T = TypeVar("T", bound=TemperatureSensor)


class _TemperatureContract(DeviceContract[T]):
    """Tests of everything that has a thermometer."""

    lowest_c: float = -50.0
    """No lower temperature is to be expected."""
    highest_c: float = 100.0
    """No higher temperature is to be expected."""

    def operations(self, device: T) -> Mapping[str, Callable[[], object]]:
        return {"temperature_c": device.temperature_c}

    def test_temperature_is_a_plain_number(self, device: T) -> None:
        for _ in range(5):
            assert self.lowest_c <= device.temperature_c() <= self.highest_c


class TemperatureSensorContract(_TemperatureContract[TemperatureSensor]):
    """Tests of a thermometer."""


class TemperatureControllerContract(_TemperatureContract[TemperatureController]):
    """Tests of a temperature controller; they set targets for a moment."""

    targets_c: tuple[float, float] = (30.0, 37.0)
    """Two targets within its limits that harm nothing."""
    far_c: float = 40.0
    """A target that takes longer than `halt_after_s` to reach."""
    halt_after_s: float = 0.1
    """How long a test waits for a temperature before it halts."""

    def operations(
        self, device: TemperatureController
    ) -> Mapping[str, Callable[[], object]]:
        return {
            "temperature_c": device.temperature_c,
            "target_c": device.target_c,
            "is_reached": device.is_reached,
            "set_target": lambda: device.set_target(None),
        }

    def test_is_off_when_opened(self, device: TemperatureController) -> None:
        assert device.target_c() is None
        assert not device.is_reached()

    def test_takes_a_target_and_none(self, device: TemperatureController) -> None:
        for target_c in (*self.targets_c, None, self.targets_c[0]):
            device.set_target(target_c)

            error_c = device.target_tolerance_c
            if target_c is None:
                assert device.target_c() is None
            else:
                assert device.target_c() == pytest.approx(target_c, abs=error_c)

    def test_target_outside_its_limits_is_refused(
        self, device: TemperatureController
    ) -> None:
        device.set_target(self.targets_c[0])
        before_c = device.target_c()
        wrong = (device.low_c - 1.0, device.high_c + 1.0, math.nan, math.inf, -math.inf)

        for target_c in wrong:
            with pytest.raises(LimitError):
                device.set_target(target_c)

            assert device.target_c() == before_c

    def test_halt_and_safe_state_turn_it_off(
        self, device: TemperatureController
    ) -> None:
        for end in (device.halt, device.safe_state):
            device.set_target(self.targets_c[1])
            end()
            assert device.target_c() is None

    def test_close_turns_it_off(self, device: TemperatureController) -> None:
        device.set_target(self.targets_c[1])

        device.close()
        device.open()

        assert device.target_c() is None

    def test_halt_from_another_thread_ends_the_wait(
        self, device: TemperatureController
    ) -> None:
        device.set_target(self.far_c)

        halt_during(
            device,
            lambda: device.wait_until_reached(600.0),
            after_s=self.halt_after_s,
            within_s=self.halt_within_s,
        )

        assert device.target_c() is None

    def test_wait_without_a_target_ends_in_time(
        self, device: TemperatureController
    ) -> None:
        with pytest.raises(DeviceTimeout, match="target is off"):
            device.wait_until_reached(0.05)

    def test_tells_how_long_a_target_takes(self, closed: TemperatureController) -> None:
        from_c, to_c = self.targets_c

        assert 0.0 <= closed.time_to_reach_s(from_c, to_c) <= closed.reach_timeout_s
