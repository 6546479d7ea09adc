"""What devices say that they take is what they take."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.devices import (
    FilterWheel,
    LightSource,
    MoveTiming,
    Shutter,
    TemperatureController,
    XYStage,
    ZStage,
)
from modules.simulation import (
    SimFilterWheel,
    SimFocusQuadrant,
    SimLightSource,
    SimShutter,
    SimTemperatureController,
    SimXYStage,
    SimZStage,
)
from tests.simulation.clocks import WindingClock

POLL_S = 0.02
"""How much later an arrival is noticed, at most."""

places = st.floats(-400.0, 400.0)
speeds = st.floats(500.0, 1e5)
accelerations = st.one_of(st.just(0.0), st.floats(2000.0, 1e7))


class UntoldXYStage(SimXYStage):
    """A stage that does not know how fast it is."""

    move_timing = XYStage.move_timing  # type: ignore[assignment]


class UntoldZStage(SimZStage):
    """A focus drive that does not know how fast it is."""

    move_timing = ZStage.move_timing  # type: ignore[assignment]


def assert_took(clock: WindingClock, begun_s: float, said_s: float) -> None:
    took_s = clock.monotonic_s() - begun_s
    assert said_s - 1e-9 <= took_s <= said_s + POLL_S + 1e-9


@settings(max_examples=60)
@given(places, places, places, places, speeds, accelerations, st.floats(0.0, 2.0))
def test_an_xy_move_takes_what_it_says(
    x0: float, y0: float, x1: float, y1: float, v: float, a: float, settle_s: float
) -> None:
    stage = SimXYStage(
        speed_um_s=v, acceleration_um_s2=a, settle_s=settle_s, move_timeout_s=600.0
    )
    stage.clock = clock = WindingClock()
    stage.open()
    stage.move_and_settle(x0, y0)
    begun_s = clock.monotonic_s()

    stage.move_and_settle(x1, y1)

    assert_took(clock, begun_s, stage.time_to_move_s((x0, y0), (x1, y1)))


@settings(max_examples=60)
@given(places, places, speeds, accelerations, st.sampled_from([0.0, 0.05]))
def test_a_z_move_takes_what_it_says(
    z0: float, z1: float, v: float, a: float, encoder: float
) -> None:
    stage = SimZStage(
        speed_um_s=v, acceleration_um_s2=a, encoder_um=encoder, move_timeout_s=600.0
    )
    stage.clock = clock = WindingClock()
    stage.open()
    stage.move_and_settle(z0)
    begun_s, at = clock.monotonic_s(), stage.position_um()

    stage.move_and_settle(z1)

    assert_took(clock, begun_s, stage.time_to_move_s(at, z1))


@given(places, places, places, speeds, accelerations, st.floats(0.0, 2.0))
def test_what_a_stage_says_as_data_is_what_it_takes(
    x0: float, x1: float, y1: float, v: float, a: float, settle_s: float
) -> None:
    values = {"speed_um_s": v, "acceleration_um_s2": a, "settle_s": settle_s}
    xy, z = SimXYStage(**values), SimZStage(**values)
    read = msgspec.msgpack.Decoder(MoveTiming).decode
    timing = read(msgspec.msgpack.encode(xy.move_timing()))

    assert timing.time_s(x1 - x0, y1) == xy.time_to_move_s((x0, 0.0), (x1, y1))
    assert z.move_timing() == timing
    assert timing.time_s(x1 - x0) == z.time_to_move_s(x0, x1)


@given(
    slots=st.integers(2, 12),
    start=st.integers(1, 12),
    end=st.integers(1, 12),
    slot_s=st.floats(1e-3, 1.0),
)
def test_a_filter_wheel_takes_what_it_says(
    slots: int, start: int, end: int, slot_s: float
) -> None:
    start, end = min(start, slots), min(end, slots)
    names = ",".join(f"f{slot}" for slot in range(1, slots + 1))
    wheel = SimFilterWheel(filters=names, slot_time_s=slot_s, settle_s=0.1)
    wheel.clock = clock = WindingClock()
    wheel.open()
    wheel.move_to(start)
    begun_s = clock.monotonic_s()

    wheel.move_to(end)

    said_s = wheel.time_to_move_s(f"f{start}", end)
    assert_took(clock, begun_s, said_s)
    assert said_s <= slots // 2 * slot_s + 0.1 + 1e-9


@pytest.mark.parametrize("is_open", [True, False])
def test_a_shutter_takes_what_it_says(is_open: bool) -> None:
    shutter = SimShutter(open_s=0.31, close_s=0.17)
    shutter.clock = clock = WindingClock()
    shutter.open()
    shutter.set_shutter(not is_open)
    begun_s = clock.monotonic_s()

    shutter.set_shutter(is_open)

    assert shutter.time_to_switch_s(is_open) == (0.31 if is_open else 0.17)
    assert_took(clock, begun_s, shutter.time_to_switch_s(is_open))


def test_a_light_source_takes_what_it_says() -> None:
    light = SimLightSource(switch_s=0.25)
    light.clock = clock = WindingClock()
    light.open()

    for change in (lambda: light.set_power(5.0), lambda: light.set_on(True)):
        begun_s = clock.monotonic_s()
        change()
        assert_took(clock, begun_s, light.time_to_switch_s())


def test_a_focus_sensor_takes_what_it_says() -> None:
    sensor = SimFocusQuadrant(integration_s=0.3)
    sensor.clock = clock = WindingClock()
    sensor.open()

    sensor.read()

    assert clock.monotonic_s() == pytest.approx(sensor.time_to_read_s())


@given(st.floats(4.0, 45.0), st.floats(0.0, 2.0), st.floats(0.01, 1.0))
def test_a_temperature_takes_what_it_says(
    target_c: float, tau_s: float, tolerance_c: float
) -> None:
    heater = SimTemperatureController(time_constant_s=tau_s, tolerance_c=tolerance_c)
    heater.clock = clock = WindingClock()
    heater.open()
    said_s = heater.time_to_reach_s(heater.temperature_c(), target_c)

    heater.set_target(target_c)
    heater.wait_until_reached(1e5)

    took_s = clock.monotonic_s()
    assert said_s - 1e-6 * tau_s <= took_s <= said_s + POLL_S + 1e-6 * tau_s


def test_a_driver_that_cannot_tell_says_the_longest_it_may_take() -> None:
    stage = UntoldXYStage(move_timeout_s=7.0, settle_s=0.5)
    z_stage = UntoldZStage(move_timeout_s=7.0, settle_s=0.5)
    wheel = SimFilterWheel(filters="a,b", move_timeout_s=7.0, settle_s=0.5)
    light, shutter = SimLightSource(switch_timeout_s=2.0), SimShutter()
    heater = SimTemperatureController(reach_timeout_s=900.0)

    assert stage.time_to_move_s((0.0, 0.0), (1.0, 1.0)) == 7.5
    assert z_stage.time_to_move_s(0.0, 1.0) == 7.5
    assert FilterWheel.time_to_move_s(wheel, 1, "b") == 7.5
    assert LightSource.time_to_switch_s(light) == 2.0
    assert Shutter.time_to_switch_s(shutter, True) == shutter.switch_timeout_s
    assert TemperatureController.time_to_reach_s(heater, 20.0, 37.0) == 900.0
