"""What the drivers show their world, and what they find there when they come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hal.testing import FakeClock
from modules.simulation import (
    SimFilterWheel,
    SimFocusQuadrant,
    SimLed,
    SimLightSource,
    SimShutter,
    SimTemperatureController,
    SimXYStage,
    SimZStage,
)
from modules.simulation.world import EVERYTHING_NM, World
from tests.simulation.clocks import WindingClock
from tests.simulation.inhabited import inhabit, shown


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return World.create(tmp_path / "w.state", seed=3).path


def test_a_light_source_shows_its_colour_and_power(state: Path) -> None:
    laser = inhabit(
        SimLightSource(world="w", wavelength_nm=561.0, max_power_mw=50.0), state, "l"
    )
    led = inhabit(SimLed(world="w", wavelength_nm=470.0), state, "led")
    assert shown(state, "l")["is_on"] == 0.0

    laser.set_power(20.0)
    laser.set_on(True)

    assert shown(state, "l") == {
        "wavelength_nm": 561.0,
        "bandwidth_nm": 0.0,
        "power_mw": 20.0,
        "is_on": 1.0,
    }
    assert shown(state, "led")["bandwidth_nm"] == led.bandwidth_nm == 25.0


@pytest.mark.parametrize("end", ["halt", "safe_state", "close"])
def test_whatever_makes_safe_is_seen_by_all(state: Path, end: str) -> None:
    laser = inhabit(SimLightSource(world="w", switch_s=0.5), state, "laser")
    shutter = inhabit(SimShutter(world="w", open_s=0.1, close_s=0.1), state, "shutter")
    laser.set_power(20.0)
    laser.set_on(True)
    shutter.set_shutter(True)
    assert shown(state, "laser")["is_on"] == shown(state, "shutter")["is_open"] == 1.0

    getattr(laser, end)()
    getattr(shutter, end)()

    assert shown(state, "laser")["is_on"] == shown(state, "shutter")["is_open"] == 0.0


def test_light_that_was_left_on_by_a_crash_is_off_when_opened(state: Path) -> None:
    laser = inhabit(SimLightSource(world="w"), state, "laser")
    shutter = inhabit(SimShutter(world="w"), state, "shutter")
    laser.set_power(20.0)
    laser.set_on(True)
    shutter.set_shutter(True)

    inhabit(SimLightSource(world="w"), state, "laser")
    inhabit(SimShutter(world="w"), state, "shutter")

    assert shown(state, "laser")["is_on"] == shown(state, "shutter")["is_open"] == 0.0


def test_a_lamp_that_is_lit_when_opened_lights_the_world(state: Path) -> None:
    inhabit(SimLightSource(world="w", lit_at_start_mw=5.0), state, "lamp")

    seen = shown(state, "lamp")
    assert (seen["power_mw"], seen["is_on"]) == (5.0, 1.0)


def test_warming_up_is_seen_when_somebody_looks(state: Path) -> None:
    clock = WindingClock()
    laser = inhabit(SimLightSource(world="w", warm_up_s=10.0), state, "laser", clock)
    laser.set_power(100.0)
    laser.set_on(True)
    assert shown(state, "laser")["power_mw"] == 0.0

    clock.advance(1e4)
    laser.is_on()

    assert shown(state, "laser")["power_mw"] == 100.0


def test_an_open_interlock_is_dark_for_all(state: Path) -> None:
    laser = inhabit(SimLightSource(world="w"), state, "laser")
    laser.set_power(20.0)
    laser.set_on(True)

    laser.interlock_open = True

    assert shown(state, "laser")["is_on"] == 0.0


def test_a_shutter_and_a_wheel_say_what_they_stand_before(state: Path) -> None:
    inhabit(SimShutter(world="w", before="laser_488 laser_640"), state, "shutter")
    inhabit(SimFilterWheel(world="w", filters="a,b", before="camera2"), state, "wheel")

    devices = World.open(state).devices()
    assert devices["shutter"].note == ("laser_488", "laser_640")
    assert devices["wheel"].note == ("camera2",)


def test_a_wheel_shows_its_band_and_nothing_between_two(state: Path) -> None:
    clock = FakeClock()
    wheel = SimFilterWheel(world="w", filters="empty,525/50,605/70", slot_time_s=1.0)
    inhabit(wheel, state, "wheel", clock)
    assert shown(state, "wheel") == {"slot": 1, "low_nm": 0, "high_nm": EVERYTHING_NM}

    wheel._do_start_move(2)
    assert (shown(state, "wheel")["low_nm"], shown(state, "wheel")["high_nm"]) == (0, 0)
    clock.advance(1.0)
    assert not wheel.is_moving()
    assert shown(state, "wheel") == {"slot": 2, "low_nm": 500.0, "high_nm": 550.0}

    wheel._do_start_move(3)
    clock.advance(0.4)
    wheel.halt()
    assert (shown(state, "wheel")["low_nm"], shown(state, "wheel")["high_nm"]) == (0, 0)
    assert wheel.slot() == 2


def test_a_wheel_that_comes_back_stands_where_it_stood(state: Path) -> None:
    filters = "empty,525/50,605/70"
    wheel = inhabit(SimFilterWheel(world="w", filters=filters), state, "wheel")
    wheel.move_to("605/70")
    wheel.close()

    again = inhabit(SimFilterWheel(world="w", filters=filters), state, "wheel")

    assert again.slot() == 3
    fewer = inhabit(SimFilterWheel(world="w", filters="a,b"), state, "wheel")
    assert fewer.slot() == 1


def test_a_focus_sensor_follows_the_stages_of_its_world(state: Path) -> None:
    z_stage = inhabit(SimZStage(world="w"), state, "z")
    sensor = inhabit(SimFocusQuadrant(world="w", z_um=3.0), state, "qpd")
    assert sensor.read().offset_um == 0.0

    z_stage.move_and_settle(0.1)
    above = sensor.read().offset_um
    z_stage.move_and_settle(-0.1)

    assert above == pytest.approx(0.1, rel=0.01)
    assert sensor.read().offset_um == -above
    assert shown(state, "qpd")["offset_um"] == -above


def test_a_focus_sensor_sees_backlash_that_the_encoder_does_not(state: Path) -> None:
    z_stage = inhabit(SimZStage(world="w", backlash_um=0.2), state, "z")
    sensor = inhabit(SimFocusQuadrant(world="w"), state, "qpd")
    z_stage.move_and_settle(1.0)
    z_stage.move_and_settle(0.0)

    assert z_stage.position_um() == 0.0
    assert sensor.read().offset_um == pytest.approx(0.2, rel=0.01)


def test_noise_goes_on_after_a_restart(state: Path) -> None:
    def readings(count: int) -> list[float | None]:
        sensor = inhabit(SimFocusQuadrant(world="w", noise_um=0.1), state, "qpd")
        return [sensor.read().offset_um for _ in range(count)]

    found = readings(2) + readings(3)

    assert len(set(found)) == 5
    whole = World.create(state.with_name("whole"), seed=3).path
    sensor = inhabit(SimFocusQuadrant(world="w", noise_um=0.1), whole, "qpd")
    assert [sensor.read().offset_um for _ in range(5)] == found


def test_a_temperature_is_shown_when_it_is_read(state: Path) -> None:
    clock = WindingClock()
    heater = SimTemperatureController(world="w", time_constant_s=1.0)
    inhabit(heater, state, "heater", clock).set_target(37.0)
    clock.advance(1e4)
    heater.temperature_c()

    assert shown(state, "heater")["temperature_c"] == 37.0


def test_halt_before_the_first_open_touches_no_world(state: Path) -> None:
    for device in (
        SimXYStage(world="w"),
        SimLightSource(world="w"),
        SimShutter(world="w"),
        SimFilterWheel(world="w", filters="a,b"),
        SimTemperatureController(world="w"),
    ):
        device.halt()
        device.abandon()

    assert World.open(state).devices() == {}


def test_a_change_of_parameters_is_seen_by_all(state: Path) -> None:
    laser = inhabit(SimLightSource(world="w"), state, "laser")
    wheel = inhabit(SimFilterWheel(world="w", filters="a,b"), state, "wheel")
    shutter = inhabit(SimShutter(world="w"), state, "shutter")

    laser.wavelength_nm = 405.0
    wheel.filters = "447/60,525/50"
    wheel.before = "camera1"
    shutter.before = "laser"

    assert shown(state, "laser")["wavelength_nm"] == 405.0
    assert shown(state, "wheel")["low_nm"] == 417.0
    devices = World.open(state).devices()
    assert (devices["wheel"].note, devices["shutter"].note) == (
        ("camera1",),
        ("laser",),
    )


def halted_while_it_tells(device: Any, orders: str, *arguments: Any) -> None:
    """Give an order; a halt comes when the world has been told, but of the last."""
    tell = device._publish

    def tell_late(**numbers: float) -> None:
        device._publish = tell
        device.halt()
        tell(**numbers)

    device._publish = tell_late
    getattr(device, orders)(*arguments)


def test_a_halt_is_what_the_world_hears_last(state: Path) -> None:
    clock = FakeClock()
    laser = inhabit(SimLightSource(world="w"), state, "laser", clock)
    laser.set_power(5.0)
    halted_while_it_tells(laser, "_do_set_on", True)
    assert shown(state, "laser")["is_on"] == 0.0

    shutter = inhabit(SimShutter(world="w"), state, "shutter", clock)
    shutter._do_set_shutter(True)
    halted_while_it_tells(shutter, "_do_is_shutter_open")
    assert shown(state, "shutter")["is_open"] == 0.0


def test_a_wheel_that_leaves_while_the_world_is_told_is_opaque(state: Path) -> None:
    wheel = SimFilterWheel(world="w", filters="a,b,c,d", slot_time_s=1.0)
    inhabit(wheel, state, "wheel", FakeClock())
    tell = wheel._publish

    def leave_and_tell(**numbers: float) -> None:
        wheel._publish = tell
        wheel._do_start_move(2)
        tell(**numbers)

    wheel._publish = leave_and_tell
    wheel._do_halt()

    assert shown(state, "wheel")["high_nm"] == 0.0
