"""Stages, light, shutters and filter wheels as their modules speak for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hal.base import (
    Cancelled,
    Carrier,
    DeviceError,
    DeviceTimeout,
    Halted,
    InvalidMessage,
    LimitError,
    ModuleState,
    StateError,
)
from hal.kernel import Request
from hal.messages import (
    FilterWheelMoved,
    GetLight,
    GetStagePosition,
    GetZPosition,
    HaltMotion,
    LightChanged,
    LightState,
    MoveFilterWheel,
    MoveStage,
    MoveStageBy,
    MoveZ,
    MoveZBy,
    SetLight,
    SetShutter,
    ShutterChanged,
    StageMoved,
    StagePosition,
    ZMoved,
    ZPosition,
)
from hal.testing import Part, part, running_hal, wait_until
from modules.filter_wheels.filter_wheel import FilterWheelModule
from modules.light_sources.light_source import LightSourceModule
from modules.light_sources.shutter import ShutterModule
from modules.simulation.filter_wheel import SimFilterWheel
from modules.simulation.light_source import SimLightSource
from modules.simulation.shutter import SimShutter
from modules.simulation.xy_stage import SimXYStage
from modules.simulation.z_stage import SimZStage
from modules.stages.xy_stage import XYStageModule
from modules.stages.z_stage import ZStageModule


def stage(**values: Any) -> Part:
    fast = {"speed_um_s": 1e6}
    return part("stage", XYStageModule, driver=SimXYStage(**(fast | values)))


def z_stage(**values: Any) -> Part:
    return part("z", ZStageModule, driver=SimZStage(**values))


def test_a_move_completes_on_arrival_and_is_told(carrier: Carrier | None) -> None:
    with running_hal(stage(), carrier=carrier) as hal:
        at = hal.ask(MoveStage(120.0, -30.0))

        assert at == StagePosition(120.0, -30.0)
        assert hal.probe.wait_for(StageMoved) == StageMoved("stage", 120.0, -30.0)
        assert hal.ask(MoveStageBy(-20.0, 30.0)) == StagePosition(100.0, 0.0)
        assert hal.ask(GetStagePosition()) == StagePosition(100.0, 0.0)


def test_a_move_takes_the_time_it_takes() -> None:
    with running_hal(stage(speed_um_s=1000.0)) as hal:
        delivery = hal.send(MoveStage(200.0, 0.0))

        assert not delivery.wait(0.1)
        assert delivery.wait(5.0)
        assert delivery.result() == StagePosition(200.0, 0.0)


@pytest.mark.parametrize(
    "message", [MoveStage(1e9, 0.0), MoveStageBy(0.0, -1e9), MoveStage(0.0, 50_001.0)]
)
def test_a_target_outside_the_limits_is_refused_and_nothing_moves(
    message: Request,
) -> None:
    with running_hal(stage()) as hal:
        with pytest.raises(LimitError, match="expected -50000 to 50000 um"):
            hal.ask(message)

        assert hal.ask(GetStagePosition()) == StagePosition(0.0, 0.0)
        assert hal.probe.heard(StageMoved) == ()


def test_a_target_that_is_no_number_is_not_even_a_message() -> None:
    with running_hal(stage()) as hal, pytest.raises(InvalidMessage, match="x_um"):
        hal.ask(MoveStage(float("nan"), 0.0))


def test_halt_overtakes_a_move_which_says_that_it_was_halted(
    carrier: Carrier | None,
) -> None:
    with running_hal(stage(speed_um_s=10.0), carrier=carrier) as hal:
        move = hal.send(MoveStage(1000.0, 0.0))
        module = hal.module("stage", XYStageModule)
        wait_until(lambda: "move stage" in module.busy_with)
        waiting = [hal.send(MoveStage(float(x), 0.0)) for x in range(5)]
        before_s = time.monotonic()

        hal.ask(HaltMotion(), to="stage")

        assert move.wait(0.5)
        assert time.monotonic() - before_s < 0.5
        with pytest.raises(Halted):
            move.result()
        # What waited behind it was asked for before the halt, and is off as well.
        for delivery in waiting:
            assert delivery.wait(10.0)
            with pytest.raises(Cancelled):
                delivery.result()
        assert hal.probe.heard(StageMoved) == ()


def test_a_stage_that_does_not_arrive_is_halted_and_says_so() -> None:
    with running_hal(stage(speed_um_s=0.1, move_timeout_s=0.1)) as hal:
        with pytest.raises(DeviceTimeout, match=r"still moving after 0\.1 s"):
            hal.ask(MoveStage(1000.0, 0.0))

        assert hal.probe.heard(StageMoved) == ()
        assert hal.module("stage", XYStageModule).state is ModuleState.STARTED


def test_settling_longer_than_the_deadline_of_the_module_is_no_hang() -> None:
    slow = stage(settle_s=0.6, move_timeout_s=0.1)._replace(deadline_s=0.2)
    with running_hal(slow) as hal:
        assert hal.ask(MoveStage(10.0, 0.0)) == StagePosition(10.0, 0.0)
        assert hal.module("stage", XYStageModule).state is ModuleState.STARTED


def test_z_moves_completes_is_told_and_has_limits() -> None:
    with running_hal(z_stage()) as hal:
        assert hal.ask(MoveZ(5.0)) == ZPosition(5.0)
        assert hal.ask(MoveZBy(-2.0)) == ZPosition(3.0)
        assert [event.z_um for event in hal.probe.heard(ZMoved)] == [5.0, 3.0]
        with pytest.raises(LimitError):
            hal.ask(MoveZ(1e9))
        assert hal.ask(GetZPosition()) == ZPosition(3.0)


def test_halt_stops_z() -> None:
    with running_hal(z_stage(speed_um_s=0.1)) as hal:
        move = hal.send(MoveZ(50.0))
        module = hal.module("z", ZStageModule)
        wait_until(lambda: "move z" in module.busy_with)

        hal.ask(HaltMotion(), to="z")

        assert move.wait(0.5)
        with pytest.raises(Halted):
            move.result()


class NotingLight(SimLightSource):
    """Notes the orders it gets."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.orders: list[object] = []

    def _do_set_power(self, power_mw: float) -> None:
        self.orders.append(power_mw)
        super()._do_set_power(power_mw)

    def _do_set_on(self, on: bool) -> None:
        self.orders.append("on" if on else "off")
        super()._do_set_on(on)


def light(driver: SimLightSource) -> Part:
    return part("laser", LightSourceModule, driver=driver)


def test_power_is_set_before_the_light_goes_on_and_after_it_went_off(
    carrier: Carrier | None,
) -> None:
    driver = NotingLight(max_power_mw=50.0)
    with running_hal(light(driver), carrier=carrier) as hal:
        on = hal.ask(SetLight(power_mw=20.0, is_on=True))
        off = hal.ask(SetLight(power_mw=5.0, is_on=False))

        assert driver.orders == [20.0, "on", "off", 5.0]
        assert (on, off) == (LightState(20.0, True), LightState(5.0, False))
        assert hal.ask(GetLight()) == LightState(5.0, False)
        told = [(e.light, e.power_mw, e.is_on) for e in hal.probe.heard(LightChanged)]
        assert told == [("laser", 20.0, True), ("laser", 5.0, False)]


def test_power_and_switch_can_be_set_alone() -> None:
    driver = NotingLight(max_power_mw=50.0)
    with running_hal(light(driver)) as hal:
        hal.ask(SetLight(power_mw=20.0))
        hal.ask(SetLight(is_on=True))

    assert driver.orders[:2] == [20.0, "on"]


def test_too_much_power_is_refused_and_the_light_stays_off() -> None:
    driver = NotingLight(max_power_mw=50.0)
    with running_hal(light(driver)) as hal:
        with pytest.raises(LimitError, match="expected 0 to 50 mW"):
            hal.ask(SetLight(power_mw=51.0, is_on=True))

        assert driver.orders == []
        with pytest.raises(InvalidMessage, match="power_mw"):
            hal.ask(SetLight(power_mw=-1.0))


class SlowLight(SimLightSource):
    """A lamp that takes its time to ignite."""

    switched_s = 0.0

    def _do_set_on(self, on: bool) -> None:
        self.switched_s = self.clock.monotonic_s()
        super()._do_set_on(on)

    def _do_is_on(self) -> bool:
        lit = self.clock.monotonic_s() - self.switched_s > 0.4
        return super()._do_is_on() and lit


def test_a_lamp_may_take_longer_than_the_deadline_of_its_module() -> None:
    lamp = light(SlowLight(switch_timeout_s=2.0))._replace(deadline_s=0.2)
    with running_hal(lamp) as hal:
        assert hal.ask(SetLight(is_on=True)) == LightState(0.0, True)


def test_a_shutter_opens_closes_and_tells(carrier: Carrier | None) -> None:
    shutter = part("shutter", ShutterModule, driver=SimShutter())
    with running_hal(shutter, carrier=carrier) as hal:
        assert hal.ask(SetShutter(True)) is True
        assert hal.ask(SetShutter(False)) is False
        told = [event.is_open for event in hal.probe.heard(ShutterChanged)]
        assert told == [True, False]


def test_a_filter_wheel_moves_to_slot_or_name(carrier: Carrier | None) -> None:
    wheel = part(
        "wheel", FilterWheelModule, driver=SimFilterWheel(filters="empty, 525, 600")
    )
    with running_hal(wheel, carrier=carrier) as hal:
        assert hal.ask(MoveFilterWheel("600")) == 3
        assert hal.ask(MoveFilterWheel(2)) == 2
        told = [(e.slot, e.name) for e in hal.probe.heard(FilterWheelMoved)]
        assert told == [(3, "600"), (2, "525")]
        with pytest.raises(LimitError, match=r"unknown filter '606'.*did you mean"):
            hal.ask(MoveFilterWheel("606"))
        with pytest.raises(LimitError, match="slot 4: expected 1 to 3"):
            hal.ask(MoveFilterWheel(4))


def test_everything_is_safe_when_hal_has_stopped() -> None:
    """R30, R89: light off, shutter closed, motion stopped, devices closed."""
    laser, shutter = SimLightSource(), SimShutter()
    xy = SimXYStage(speed_um_s=10.0)
    parts = (
        light(laser),
        part("shutter", ShutterModule, driver=shutter),
        part("stage", XYStageModule, driver=xy),
    )
    with running_hal(*parts) as hal:
        hal.ask(SetLight(power_mw=10.0, is_on=True))
        hal.ask(SetShutter(True))
        move = hal.send(MoveStage(10_000.0, 0.0))
        module = hal.module("stage", XYStageModule)
        wait_until(lambda: "move stage" in module.busy_with)

    assert not laser._do_is_on()
    assert not shutter._do_is_shutter_open()
    assert not xy._do_is_moving()
    assert [device.is_open for device in (laser, shutter, xy)] == [False] * 3
    with pytest.raises(Halted):
        move.result()


def test_what_is_safe_is_safe_although_another_device_hangs(
    gate: threading.Event,
) -> None:
    class HangingShutter(SimShutter):
        def _do_is_shutter_open(self) -> bool:
            gate.wait(60.0)
            return super()._do_is_shutter_open()

    laser = SimLightSource()
    hanging = part("shutter", ShutterModule, driver=HangingShutter(), deadline_s=0.2)
    with running_hal(hanging, light(laser)) as hal:
        hal.ask(SetLight(power_mw=10.0, is_on=True))
        hal.send(SetShutter(True))
        module = hal.module("shutter", ShutterModule)
        wait_until(lambda: "set shutter" in module.busy_with)
        before_s = time.monotonic()

    assert time.monotonic() - before_s < 5.0
    assert not laser._do_is_on()
    gate.set()


class Unplugged:
    """Does not answer."""

    def _do_open(self) -> None:
        raise DeviceError("no answer on COM3")


DEGRADED: list[tuple[Callable[[], Part], Request]] = [
    (
        lambda: part("device", XYStageModule, driver=_unplugged(SimXYStage)()),
        MoveStage(1.0, 1.0),
    ),
    (lambda: part("device", ZStageModule, driver=_unplugged(SimZStage)()), MoveZ(1.0)),
    (
        lambda: part("device", LightSourceModule, driver=_unplugged(SimLightSource)()),
        SetLight(is_on=True),
    ),
    (
        lambda: part("device", ShutterModule, driver=_unplugged(SimShutter)()),
        SetShutter(True),
    ),
    (
        lambda: part(
            "device",
            FilterWheelModule,
            driver=_unplugged(SimFilterWheel)(filters="a, b"),
        ),
        MoveFilterWheel(1),
    ),
]


def _unplugged(driver: type[Any]) -> type[Any]:
    return type("Unplugged", (Unplugged, driver), {})


@pytest.mark.parametrize(
    ("make", "message"), DEGRADED, ids=[type(m).__name__ for _, m in DEGRADED]
)
def test_a_degraded_device_refuses_work_with_the_reason(
    make: Callable[[], Part], message: Request
) -> None:
    with running_hal(make()) as hal:
        with pytest.raises(StateError, match="device is degraded: no answer on COM3"):
            hal.ask(message)
        assert [problem.text for problem in hal.problems] == ["no answer on COM3"]
