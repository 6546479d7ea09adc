import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import DeviceTimeout
from hal.testing import FakeClock
from hal.testing.contracts import (
    TemperatureControllerContract,
    TemperatureSensorContract,
)
from modules.simulation import SimTemperatureController, SimTemperatureSensor
from tests.simulation.clocks import WindingClock


class TestSimTemperatureSensor(TemperatureSensorContract):
    def make_device(self) -> SimTemperatureSensor:
        return SimTemperatureSensor(noise_c=0.1)


class TestSimTemperatureController(TemperatureControllerContract):
    halt_within_s = 0.5

    def make_device(self) -> SimTemperatureController:
        return SimTemperatureController(time_constant_s=30.0, noise_c=0.02)


def heater(**values: float) -> tuple[SimTemperatureController, FakeClock]:
    heater = SimTemperatureController(ambient_c=20.0, **values)
    heater.clock = clock = WindingClock()
    heater.open()
    return heater, clock


def test_it_approaches_its_target_and_then_the_room() -> None:
    device, clock = heater(time_constant_s=100.0)
    assert device.temperature_c() == 20.0
    device.set_target(40.0)

    for after_s in (10.0, 100.0, 400.0):
        clock.advance(after_s - clock.monotonic_s())
        expected_c = 40.0 - 20.0 * math.exp(-after_s / 100.0)
        assert device.temperature_c() == pytest.approx(expected_c)

    clock.advance(1e5)
    assert device.temperature_c() == 40.0
    device.set_target(None)
    clock.advance(100.0)
    assert device.temperature_c() == pytest.approx(20.0 + 20.0 / math.e)


@given(st.lists(st.tuples(st.floats(4.0, 45.0), st.floats(0.0, 500.0)), max_size=8))
def test_it_stays_between_where_it_was_and_where_it_goes(
    steps: list[tuple[float, float]],
) -> None:
    device, clock = heater(time_constant_s=60.0)
    for target_c, seconds in steps:
        before_c = device.temperature_c()
        device.set_target(target_c)
        clock.advance(seconds)
        low_c, high_c = sorted((before_c, target_c))
        assert low_c - 1e-9 <= device.temperature_c() <= high_c + 1e-9


def test_it_is_reached_when_it_is_near() -> None:
    device, clock = heater(time_constant_s=10.0, tolerance_c=0.5)
    device.set_target(37.0)
    assert not device.is_reached()

    device.wait_until_reached(1000.0)

    assert device.is_reached()
    assert abs(device.temperature_c() - 37.0) <= 0.5
    assert clock.monotonic_s() == pytest.approx(10 * math.log(17 / 0.5), abs=0.03)


def test_a_target_not_reached_in_time_says_how_far_it_came() -> None:
    device, _ = heater(time_constant_s=1000.0)
    device.set_target(37.0)

    with pytest.raises(DeviceTimeout, match=r"at 20\.17 C after 10 s, target is 37 C"):
        device.wait_until_reached(10.0)

    assert device.target_c() == 37.0


def test_it_follows_the_room_when_it_is_off() -> None:
    device, clock = heater(time_constant_s=10.0)

    device.ambient_c = 30.0

    clock.advance(1e4)
    assert device.temperature_c() == 30.0
    device.set_target(25.0)
    device.ambient_c = 10.0
    clock.advance(1e4)
    assert device.temperature_c() == 25.0


def test_equal_seeds_make_equal_noise_whenever_it_is_read() -> None:
    def readings(pause_s: float, seed: int) -> list[float]:
        device = SimTemperatureSensor(noise_c=0.5, seed=seed)
        device.clock = clock = FakeClock()
        device.open()
        found = []
        for _ in range(50):
            clock.advance(pause_s)
            found.append(device.temperature_c())
        return found

    assert readings(0.0, seed=6) == readings(3.3, seed=6)
    assert readings(0.0, seed=6) != readings(0.0, seed=7)
    assert sum(readings(0.0, seed=6)) / 50 == pytest.approx(22.0, abs=0.3)
