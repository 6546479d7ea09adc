import pytest

from hal.base import DeviceError, Halted, LimitError
from hal.testing.contracts._halting import halt_during
from modules.simulation import SimLightSource


class BrokenLight(SimLightSource):
    """Does nothing of what it is told, on demand."""

    ignores = False

    def _do_set_power(self, power_mw: float) -> None:
        if not self.ignores:
            super()._do_set_power(power_mw)

    def _do_set_on(self, on: bool) -> None:
        if not self.ignores:
            super()._do_set_on(on)

    def _do_halt(self) -> None:
        if not self.ignores:
            super()._do_halt()


@pytest.fixture
def light() -> BrokenLight:
    light = BrokenLight(switch_timeout_s=0.03)
    light.open()
    return light


def test_light_that_stays_dark_is_an_error(light: BrokenLight) -> None:
    light.ignores = True

    with pytest.raises(DeviceError, match="light is off, expected on"):
        light.set_on(True)


def test_light_that_stays_on_is_an_error_also_in_safe_state_and_close(
    light: BrokenLight,
) -> None:
    light.set_on(True)
    light.ignores = True

    for off in (lambda: light.set_on(False), light.safe_state, light.close):
        with pytest.raises(DeviceError, match="light is on, expected off"):
            off()

    assert not light.is_open


def test_power_that_is_not_taken_is_an_error(light: BrokenLight) -> None:
    light.set_power(3.0)
    light.ignores = True

    with pytest.raises(DeviceError, match="power is 3 mW, expected 5") as wrong:
        light.set_power(5.0)

    assert wrong.value.data["power_mw"] == 3.0


def test_power_read_back_within_tolerance_is_taken(light: BrokenLight) -> None:
    light.set_power(4.95)
    light.ignores = True

    light.set_power(5.0)


def test_power_beyond_the_limit_says_the_limit(light: BrokenLight) -> None:
    with pytest.raises(LimitError, match="power_mw=101: expected 0 to 100 mW"):
        light.set_power(101.0)


def test_halt_that_overtakes_the_order_turns_it_off_all_the_same(
    light: BrokenLight,
) -> None:
    ordered = light._do_set_on

    def halted_before(on: bool) -> None:
        light.halt()
        ordered(on)

    light._do_set_on = halted_before

    with pytest.raises(Halted):
        light.set_on(True)

    assert not light.is_on()


def test_halt_ends_a_change_that_takes_long(light: BrokenLight) -> None:
    light.set_parameters({"switch_timeout_s": 60.0})
    light.ignores = True

    halt_during(light, lambda: light.set_on(True), after_s=0.05, within_s=0.5)
    halt_during(light, lambda: light.set_power(7.0), after_s=0.05, within_s=0.5)
