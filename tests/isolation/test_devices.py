"""Devices behave the same wherever their modules live."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hal.base import Halted, LimitError, ModuleState, ParameterError
from hal.kernel import (
    CommitParameters,
    DescribeParameters,
    MakeSafe,
    Module,
    ProposeParameters,
    RunLost,
)
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
    SetLight,
    SetShutter,
    ShutterChanged,
    StageMoved,
    StagePosition,
    ZMoved,
    ZPosition,
)
from hal.testing import Part, RunningHal, part, running_hal, wait_until
from modules.filter_wheels.filter_wheel import FilterWheelModule
from modules.light_sources.light_source import LightSourceModule
from modules.light_sources.shutter import ShutterModule
from modules.simulation.filter_wheel import SimFilterWheel
from modules.simulation.shutter import SimShutter
from modules.simulation.xy_stage import SimXYStage
from modules.simulation.z_stage import SimZStage
from modules.stages.xy_stage import XYStageModule
from modules.stages.z_stage import ZStageModule
from tests.isolation.bench import gateway, isolated_part, until
from tests.isolation.puppets import CrashingStage, FileLight


@pytest.fixture(params=["in process", "isolated"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(
    where: str,
    name: str,
    module_class: type[Module],
    driver_class: type[Any],
    **values: Any,
) -> Part:
    if where == "isolated":
        return isolated_part(name, module_class, driver_class, **values)
    return part(name, module_class, driver=driver_class(**values))


def stage(where: str, **values: Any) -> Part:
    return make(where, "stage", XYStageModule, SimXYStage, **values)


def test_a_move_completes_on_arrival_and_is_told(where: str) -> None:
    with running_hal(stage(where, speed_um_s=1e6)) as hal:
        assert hal.ask(MoveStage(120.0, -30.0)) == StagePosition(120.0, -30.0)
        assert hal.probe.wait_for(StageMoved) == StageMoved("stage", 120.0, -30.0)
        assert hal.ask(MoveStageBy(-20.0, 30.0)) == StagePosition(100.0, 0.0)
        assert hal.ask(GetStagePosition()) == StagePosition(100.0, 0.0)


def test_a_target_outside_the_limits_is_refused(where: str) -> None:
    with running_hal(stage(where)) as hal:
        with pytest.raises(LimitError, match="expected -50000 to 50000 um"):
            hal.ask(MoveStage(1e9, 0.0))

        assert hal.probe.heard(StageMoved) == ()


def test_halt_overtakes_a_move(where: str) -> None:
    with running_hal(stage(where, speed_um_s=10.0)) as hal:
        move = hal.send(MoveStage(1000.0, 0.0))
        module = hal.system.module("stage")
        wait_until(lambda: "move stage" in module.busy_with)
        # In its process it may not have begun yet.
        assert not move.wait(0.3)
        waiting = [hal.send(MoveStage(float(x), 0.0)) for x in range(5)]

        hal.ask(HaltMotion(), to="stage")

        assert move.wait(5.0)
        with pytest.raises(Halted):
            move.result()
        kinds = set()
        for delivery in waiting:
            assert delivery.wait(10.0)
            kinds |= {error.kind for error in delivery.errors}
        assert kinds == {"Cancelled"}
        assert hal.probe.heard(StageMoved) == ()


def test_a_move_may_take_longer_than_messages_usually_do(where: str) -> None:
    slow = stage(where, settle_s=1.2)._replace(deadline_s=0.5)
    with running_hal(slow) as hal:
        assert hal.ask(MoveStage(10.0, 0.0)) == StagePosition(10.0, 0.0)
        assert hal.system.module("stage").state is ModuleState.STARTED


def test_z_moves(where: str) -> None:
    z = make(where, "z", ZStageModule, SimZStage)
    with running_hal(z) as hal:
        assert hal.ask(MoveZ(5.0)) == ZPosition(5.0)
        assert [event.z_um for event in hal.probe.heard(ZMoved)] == [5.0]
        assert hal.ask(GetZPosition()) == ZPosition(5.0)


def test_light_is_set_and_made_safe(where: str, tmp_path: Path) -> None:
    with running_hal(laser(where, tmp_path)) as hal:
        on = hal.ask(SetLight(power_mw=20.0, is_on=True))
        assert on == LightState(20.0, True)
        assert is_on(tmp_path)
        hal.ask(MakeSafe(), to="laser")
        assert hal.ask(GetLight()) == LightState(20.0, False)
        assert hal.probe.wait_for(LightChanged) == LightChanged("laser", 20.0, True)
        hal.ask(SetLight(is_on=True))

    assert not is_on(tmp_path)


def test_a_shutter_opens(where: str) -> None:
    shutter = make(where, "shutter", ShutterModule, SimShutter)
    with running_hal(shutter) as hal:
        assert hal.ask(SetShutter(True)) is True
        assert hal.probe.wait_for(ShutterChanged) == ShutterChanged("shutter", True)


def test_a_filter_wheel_turns(where: str) -> None:
    wheel = make(
        where, "wheel", FilterWheelModule, SimFilterWheel, filters="empty, 525, 600"
    )
    with running_hal(wheel) as hal:
        assert hal.ask(MoveFilterWheel("600")) == 3
        assert hal.probe.wait_for(FilterWheelMoved).wheel == "wheel"


def test_parameters_of_the_driver_are_described_and_checked(where: str) -> None:
    with running_hal(stage(where, speed_um_s=1e6)) as hal:
        listed: Any = hal.ask(DescribeParameters(), to="stage")
        assert {s.name: s.value for s in listed.specs}["speed_um_s"] == 1e6
        assert listed.simulated
        with pytest.raises(ParameterError):
            hal.ask(ProposeParameters("t0", {"speed": 1.0}), to="stage")
        set_parameters(hal, speed_um_s=5e5)


def test_a_kill_turns_the_light_off_and_keeps_the_parameters(tmp_path: Path) -> None:
    with running_hal(laser("isolated", tmp_path)) as hal:
        set_parameters(hal, to="laser", max_power_mw=30.0)
        hal.ask(SetLight(power_mw=20.0, is_on=True))

        os.kill(gateway(hal.system, "laser").pid, signal.SIGKILL)

        until(lambda: back(hal, "laser"))
        assert not is_on(tmp_path)
        with pytest.raises(LimitError):
            hal.ask(SetLight(power_mw=40.0), deadline_s=20.0)
        assert hal.ask(SetLight(is_on=True)) == LightState(0.0, True)


def test_a_hung_driver_costs_one_process(tmp_path: Path) -> None:
    hung = laser("isolated", tmp_path, hangs=True)._replace(deadline_s=0.3)
    with running_hal(hung) as hal:
        delivery = hal.send(SetLight(is_on=True))

        assert delivery.wait(20.0)
        (error,) = delivery.errors
        assert "_do_set_on" in error.dump
        assert "MainThread" in error.dump or "laser/1/worker" in error.dump
        until(lambda: back(hal, "laser"))
        assert not is_on(tmp_path)


def test_a_crash_in_a_driver_costs_one_message(tmp_path: Path) -> None:
    crashing = isolated_part("stage", XYStageModule, CrashingStage, speed_um_s=1e6)
    with running_hal(crashing) as hal:
        delivery = hal.send(MoveStage(666.0, 0.0))

        assert delivery.wait(20.0)
        (error,) = delivery.errors
        assert "SIGSEGV" in error.text
        there = StagePosition(5.0, 5.0)
        assert hal.ask(MoveStage(5.0, 5.0), deadline_s=20.0) == there
        assert hal.probe.heard(RunLost) == ()


def laser(where: str, folder: Path, **values: Any) -> Part:
    path = str(folder / "light")
    return make(where, "laser", LightSourceModule, FileLight, path=path, **values)


def is_on(folder: Path) -> bool:
    return (folder / "light").read_text() == "on"


def set_parameters(hal: RunningHal, to: str = "stage", **values: Any) -> None:
    hal.ask(ProposeParameters("t1", values), to=to)
    assert hal.ask(CommitParameters("t1"), to=to) == values


def back(hal: RunningHal, name: str) -> bool:
    module = hal.system.module(name)
    return module.generation > 1 and module.state is ModuleState.STARTED
