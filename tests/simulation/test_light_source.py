import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import DeviceError, LimitError, ParameterError
from hal.testing import FakeClock
from hal.testing.contracts import LightSourceContract
from modules.simulation import SimLed, SimLightSource
from tests.simulation.clocks import WindingClock


class TestSimLightSource(LightSourceContract):
    def make_device(self) -> SimLightSource:
        return SimLightSource(wavelength_nm=561.0, max_power_mw=50.0)


class TestSlowSimLightSource(LightSourceContract):
    def make_device(self) -> SimLightSource:
        return SimLightSource(max_power_mw=50.0, switch_s=0.03, warm_up_s=60.0)


class TestSimLed(LightSourceContract):
    def make_device(self) -> SimLed:
        return SimLed(wavelength_nm=470.0, max_power_mw=50.0)


def light(**values: float) -> tuple[SimLightSource, FakeClock]:
    light = SimLightSource(max_power_mw=100.0, **values)
    light.clock = clock = WindingClock()
    light.open()
    return light, clock


def test_it_warms_up_with_its_time_constant() -> None:
    laser, clock = light(warm_up_s=10.0)
    laser.set_power(80.0)
    assert laser.emitted_mw() == 0.0

    laser.set_on(True)

    assert laser.power_mw() == 80.0
    for seconds in (0.0, 1.0, 9.0, 20.0):
        clock.advance(seconds)
        after_s = clock.monotonic_s()
        expected_mw = 80.0 * (1 - math.exp(-after_s / 10.0))
        assert laser.emitted_mw() == pytest.approx(expected_mw)
    clock.advance(1e4)
    assert laser.emitted_mw() == 80.0


def test_what_has_not_cooled_down_is_warm_sooner() -> None:
    laser, clock = light(warm_up_s=10.0)
    laser.set_power(100.0)
    laser.set_on(True)
    clock.advance(1e4)
    laser.set_on(False)
    assert laser.emitted_mw() == 0.0
    clock.advance(10.0 * math.log(2))

    laser.set_on(True)

    assert laser.emitted_mw() == pytest.approx(50.0)


@given(st.floats(0.0, 1e4), st.lists(st.tuples(st.booleans(), st.floats(0.0, 1e3))))
def test_it_never_emits_more_than_its_power_set(
    tau_s: float, steps: list[tuple[bool, float]]
) -> None:
    laser, clock = light(warm_up_s=tau_s)
    laser.set_power(100.0)
    for is_on, seconds in steps:
        laser.set_on(is_on)
        clock.advance(seconds)
        assert 0.0 <= laser.emitted_mw() <= (100.0 if is_on else 0.0)


def test_a_change_takes_effect_after_its_time() -> None:
    laser, clock = light(switch_s=1.0)
    laser.set_power(5.0)
    laser._do_set_on(True)

    clock.advance(0.9)
    assert not laser.is_on()
    assert laser.emitted_mw() == 0.0
    clock.advance(0.2)
    assert laser.is_on()
    assert laser.emitted_mw() == 5.0

    laser._do_set_power(9.0)
    clock.advance(0.9)
    assert laser.emitted_mw() == laser.power_mw() == 5.0
    clock.advance(0.2)
    assert laser.emitted_mw() == laser.power_mw() == 9.0


def test_halt_does_not_wait() -> None:
    laser, clock = light(switch_s=1.0)
    laser.set_power(5.0)
    laser.set_on(True)

    laser.halt()

    assert not laser.is_on()
    assert laser.emitted_mw() == 0.0
    clock.advance(10.0)
    assert not laser.is_on()


def test_halt_ends_an_order_that_has_not_taken_effect() -> None:
    laser, clock = light(switch_s=1.0)
    laser._do_set_on(True)

    laser.halt()

    clock.advance(10.0)
    assert not laser.is_on()


def test_halt_is_not_undone_by_an_order_on_its_way() -> None:
    laser, clock = light(switch_s=1.0)
    laser.set_on(True)
    laser._do_set_power(9.0)

    laser.halt()

    assert not laser.is_on()
    clock.advance(10.0)
    assert not laser.is_on()


def test_an_open_interlock_keeps_it_dark() -> None:
    laser, _ = light()
    laser.set_power(5.0)
    laser.set_on(True)

    laser.interlock_open = True

    assert not laser.is_on()
    with pytest.raises(DeviceError, match="interlock is open; the light stays off"):
        laser.set_on(True)
    assert laser.emitted_mw() == 0.0
    laser.set_on(False)

    laser.interlock_open = False
    assert not laser.is_on()  # only who asks for light gets it
    laser.set_on(True)
    assert laser.emitted_mw() == 5.0


def test_a_lamp_with_a_switch_of_its_own_is_lit_when_opened() -> None:
    lamp = SimLightSource(max_power_mw=20.0, lit_at_start_mw=15.0)
    lamp.open()

    assert lamp.is_on()
    assert lamp.power_mw() == lamp.emitted_mw() == 15.0
    lamp.close()
    lamp.open()
    assert lamp.is_on()

    dark = SimLightSource(lit_at_start_mw=15.0, interlock_open=True)
    dark.open()
    assert not dark.is_on()


def test_no_more_than_the_highest_power() -> None:
    laser, _ = light()

    with pytest.raises(LimitError, match="expected 0 to 100 mW"):
        laser.set_power(100.1)
    with pytest.raises(ParameterError, match="lit_at_start_mw"):
        SimLightSource(max_power_mw=10.0, lit_at_start_mw=11.0)


def test_the_spectrum_of_an_led_has_its_width_at_half_of_its_height() -> None:
    led = SimLed(wavelength_nm=500.0, bandwidth_nm=40.0)

    assert led.spectrum(500.0) == 1.0
    assert led.spectrum(480.0) == led.spectrum(520.0) == pytest.approx(0.5)
    assert led.spectrum(600.0) < 0.001
