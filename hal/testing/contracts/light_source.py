"""What light sources promise, as tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest

from hal.base import LimitError
from hal.devices import LightSource
from hal.testing.contracts.device import DeviceContract


class LightSourceContract(DeviceContract[LightSource]):
    """Tests of a light source; they turn it on, at `power_mw`."""

    power_mw: float = 1.0
    """A power that harms nobody."""

    def operations(self, device: LightSource) -> Mapping[str, Callable[[], object]]:
        return {
            "set_power": lambda: device.set_power(self.power_mw),
            "power_mw": device.power_mw,
            "set_on": lambda: device.set_on(False),
            "is_on": device.is_on,
        }

    def test_is_dark_when_opened(self, device: LightSource) -> None:
        assert not device.is_on()

    def test_turns_on_and_off(self, device: LightSource) -> None:
        device.set_power(self.power_mw)

        for on in (True, True, False, False, True):
            device.set_on(on)
            assert device.is_on() == on

    def test_power_is_read_back(self, device: LightSource) -> None:
        for power_mw in (self.power_mw, self.power_mw / 2, 0.0, self.power_mw):
            device.set_power(power_mw)

            error_mw = device.power_tolerance_mw
            assert device.power_mw() == pytest.approx(power_mw, abs=error_mw)

    def test_power_set_while_dark_gives_no_light(self, device: LightSource) -> None:
        device.set_on(False)
        device.set_power(self.power_mw)

        assert not device.is_on()

    def test_power_beyond_limits_is_refused(self, device: LightSource) -> None:
        device.set_power(self.power_mw)
        before_mw = device.power_mw()
        wrong = (device.max_power_mw + 1.0, -1.0, math.nan, math.inf, -math.inf)

        for power_mw in wrong:
            with pytest.raises(LimitError):
                device.set_power(power_mw)

            assert device.power_mw() == before_mw

    def test_limit_of_power_can_be_lowered(self, device: LightSource) -> None:
        device.set_power(self.power_mw / 2)
        device.set_parameters({"max_power_mw": self.power_mw / 2})

        with pytest.raises(LimitError):
            device.set_power(self.power_mw)

    def test_halt_and_safe_state_turn_it_off(self, device: LightSource) -> None:
        device.set_power(self.power_mw)

        for end in (device.halt, device.safe_state):
            device.set_on(True)
            end()
            assert not device.is_on()

    def test_tells_how_long_a_change_takes(self, closed: LightSource) -> None:
        assert 0.0 <= closed.time_to_switch_s() <= closed.switch_timeout_s

    def test_close_turns_it_off(self, device: LightSource) -> None:
        device.set_power(self.power_mw)
        device.set_on(True)

        device.close()
        device.open()

        assert not device.is_on()
