import math

import pytest

from hal.base import DeviceTimeout, Halted
from hal.devices import FocusSensor, FocusSignal
from hal.testing.contracts import FocusSensorContract


class ScriptedSensor(FocusSensor):
    """Reads what the test says."""

    principle = "a script"
    reading: tuple[float | None, float] | None = (0.5, 100.0)
    is_halted_meanwhile = False

    def _do_read(self, timeout_s: float) -> tuple[float | None, float] | None:
        if self.is_halted_meanwhile:
            self.halt()
        return self.reading


class TestScriptedSensor(FocusSensorContract):
    def make_device(self) -> ScriptedSensor:
        return ScriptedSensor()


@pytest.fixture
def sensor() -> ScriptedSensor:
    sensor = ScriptedSensor(min_sum=10.0, range_um=2.0)
    sensor.open()
    return sensor


@pytest.mark.parametrize(
    ("offset_um", "signal_sum", "is_good"),
    [
        (0.5, 100.0, True),
        (-2.0, 10.0, True),
        (2.01, 100.0, False),
        (-2.01, 100.0, False),
        (0.5, 9.9, False),
        (None, 100.0, False),
    ],
)
def test_good_is_enough_light_within_range(
    sensor: ScriptedSensor, offset_um: float | None, signal_sum: float, is_good: bool
) -> None:
    sensor.reading = (offset_um, signal_sum)

    assert sensor.read() == FocusSignal(offset_um, signal_sum, is_good)


@pytest.mark.parametrize("offset_um", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_offset(
    sensor: ScriptedSensor, offset_um: float
) -> None:
    sensor.reading = (offset_um, 100.0)

    assert sensor.read() == FocusSignal(None, 100.0, False)


def test_no_reading_in_time_is_an_error(sensor: ScriptedSensor) -> None:
    sensor.reading = None

    with pytest.raises(DeviceTimeout, match="ScriptedSensor: no reading in 1 s"):
        sensor.read()


def test_a_halted_reading_is_not_a_late_one(sensor: ScriptedSensor) -> None:
    sensor.is_halted_meanwhile = True

    for sensor.reading in (None, (0.5, 100.0)):
        with pytest.raises(Halted):
            sensor.read()


def test_a_driver_that_cannot_tell_says_the_longest_it_may_take() -> None:
    assert ScriptedSensor(read_timeout_s=3.0).time_to_read_s() == 3.0
