import pytest

from hal.base import DeviceError, Halted, ParameterError
from hal.testing.contracts._halting import halt_during
from modules.simulation import SimTemperatureController


class BrokenHeater(SimTemperatureController):
    """Does nothing of what it is told, on demand."""

    ignores = False

    def _do_set_target(self, target_c: float | None) -> None:
        if not self.ignores:
            super()._do_set_target(target_c)

    def _do_halt(self) -> None:
        if not self.ignores:
            super()._do_halt()


@pytest.fixture
def heater() -> BrokenHeater:
    heater = BrokenHeater(switch_timeout_s=0.03)
    heater.open()
    return heater


def test_a_target_that_is_not_taken_is_an_error(heater: BrokenHeater) -> None:
    heater.ignores = True

    with pytest.raises(DeviceError, match="target is off, expected 37 C"):
        heater.set_target(37.0)


def test_heating_that_stays_on_is_an_error_also_in_safe_state_and_close(
    heater: BrokenHeater,
) -> None:
    heater.set_target(37.0)
    heater.ignores = True

    for off in (lambda: heater.set_target(None), heater.safe_state, heater.close):
        with pytest.raises(DeviceError, match="target is 37 C, expected off"):
            off()

    assert not heater.is_open


def test_a_target_within_tolerance_is_taken(heater: BrokenHeater) -> None:
    heater.set_target(36.96)
    heater.ignores = True

    heater.set_target(37.0)
    with pytest.raises(DeviceError, match=r"target is 36\.96 C, expected 37\.1 C"):
        heater.set_target(37.1)


def test_halt_that_overtakes_the_order_turns_it_off_all_the_same(
    heater: BrokenHeater,
) -> None:
    ordered = heater._do_set_target

    def halted_before(target_c: float | None) -> None:
        heater.halt()
        ordered(target_c)

    heater._do_set_target = halted_before

    with pytest.raises(Halted):
        heater.set_target(37.0)

    assert heater.target_c() is None


def test_halt_ends_an_order_that_takes_long(heater: BrokenHeater) -> None:
    heater.set_parameters({"switch_timeout_s": 60.0})
    heater.ignores = True

    halt_during(heater, lambda: heater.set_target(37.0), after_s=0.05, within_s=0.5)


def test_limits_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"low_c=40\.0 is above high_c=30\.0"):
        SimTemperatureController(low_c=40.0, high_c=30.0)
