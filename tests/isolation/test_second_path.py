"""A device is made safe also when the process that drove it is gone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from hal.kernel import RestartPolicy, StopModule, System
from hal.messages import GetStagePosition, MoveStage, SetLight, StagePosition
from modules.light_sources.light_source import LightSourceModule
from modules.simulation.light_source import SimLightSource
from modules.simulation.world import World
from modules.simulation.xy_stage import SimXYStage
from modules.stages.xy_stage import XYStageModule
from tests.isolation.bench import add, ask, done, gateway, send, until
from tests.isolation.puppets import WatchedLight

NEVER_AGAIN = RestartPolicy(intensity=0)
"""So that no successor makes it safe."""


def kill(system: System, name: str = "laser") -> None:
    os.kill(gateway(system, name).pid, signal.SIGKILL)


def is_back(system: System, name: str = "laser") -> bool:
    module = system.module(name)
    return module.generation > 1 and module.state == "started"


def outcomes(logged: list[Any]) -> list[str]:
    said = [e for e in logged if e["event"] == "made safe from outside"]
    return [str(entry["outcome"]) for entry in said]


def watched(system: System, folder: Path, **values: Any) -> Path:
    """Add a laser whose second path writes to a file; return that file."""
    path = folder / "safe.txt"
    values = {"path": str(path), **values}
    add(system, "laser", LightSourceModule, WatchedLight, **values)
    assert system.start() == ()
    return path


def test_a_killed_process_leaves_its_laser_dark(system: System, tmp_path: Path) -> None:
    world = World.create(tmp_path / "world")
    add(
        system,
        "laser",
        LightSourceModule,
        SimLightSource,
        restart=NEVER_AGAIN,
        world=world.path,
    )
    assert system.start() == ()
    laser = world.devices()["laser"]
    ask(system, SetLight(power_mw=5.0, is_on=True), "laser")
    assert laser["is_on"] == 1.0

    kill(system)

    until(lambda: laser["is_on"] == 0.0, 3.0)
    until(lambda: system.module("laser").state == "failed")


def test_it_is_dark_before_its_successor_begins(
    system: System, tmp_path: Path, logged: list[Any]
) -> None:
    path = watched(system, tmp_path)
    ask(system, SetLight(power_mw=5.0, is_on=True), "laser")

    kill(system)

    until(lambda: system.module("laser").generation > 1)
    assert path.read_text() == "safe\n"
    assert outcomes(logged) == ["applied"]
    until(lambda: is_back(system))


def test_a_second_path_that_fails_is_told_and_holds_nothing_up(
    system: System, tmp_path: Path, logged: list[Any]
) -> None:
    # It does not take the argument that it is given.
    watched(system, tmp_path, entry="refuse_to_be_safe")

    kill(system)

    until(lambda: is_back(system))
    (outcome,) = outcomes(logged)
    assert outcome.startswith("failed with 1: TypeError")


def test_a_second_path_that_hangs_is_ended(
    system: System, tmp_path: Path, logged: list[Any]
) -> None:
    watched(system, tmp_path, entry="never_be_safe", path="")

    kill(system)

    until(lambda: is_back(system))
    assert outcomes(logged) == ["not ended in time"]


def test_a_process_that_ends_in_order_needs_no_second_path(
    system: System, tmp_path: Path, logged: list[Any]
) -> None:
    path = watched(system, tmp_path)
    ask(system, SetLight(power_mw=5.0, is_on=True), "laser")

    system.restart("laser")

    until(lambda: is_back(system))
    assert outcomes(logged) == []
    assert not path.exists()


def test_one_that_could_not_make_it_safe_says_so_by_its_end(
    system: System, tmp_path: Path, logged: list[Any]
) -> None:
    path = watched(system, tmp_path, fails=True)
    ask(system, SetLight(power_mw=5.0, is_on=True), "laser")

    system.restart("laser")

    until(path.exists)
    until(lambda: outcomes(logged) == ["applied"])
    until(lambda: system.module("laser").state == "degraded")


def test_the_sentinel_is_told_as_long_as_the_device_is_open(
    system: System, tmp_path: Path
) -> None:
    watched(system, tmp_path)
    (call,) = system.outside_safe_states()
    assert (call.module, call.entry) == ("laser", "tests.kernel.safe_states:write_safe")
    assert system.children() == {"laser": (gateway(system, "laser").pid, 2.0)}

    done(send(system, StopModule(), "laser"))

    assert system.outside_safe_states() == []
    assert system.children() == {}


def stage(system: System, folder: Path, **values: Any) -> None:
    world = World.create(folder / "world")
    values = {"speed_um_s": 100.0, "deadline_s": 1.0, "world": world.path, **values}
    add(system, "stage", XYStageModule, SimXYStage, **values)
    assert system.start() == ()


def test_a_stage_that_asks_is_homed_before_it_counts_as_started(
    system: System, tmp_path: Path
) -> None:
    stage(system, tmp_path, must_home=True)
    # Home is further away than the module may take for anything else.
    there = ask(system, MoveStage(250.0, 0.0), "stage", deadline_s=30.0)
    assert there == StagePosition(250.0, 0.0)

    kill(system, "stage")
    until(lambda: is_back(system, "stage"))

    assert ask(system, GetStagePosition(), "stage") == StagePosition(0.0, 0.0)
    assert World.open(tmp_path / "world").devices()["stage"]["x_um"] == 0.0
    assert system.module("stage").generation == 2


def test_one_that_does_not_ask_stays_where_it_is(
    system: System, tmp_path: Path
) -> None:
    stage(system, tmp_path)
    ask(system, MoveStage(20.0, 0.0), "stage")

    kill(system, "stage")
    until(lambda: is_back(system, "stage"))

    assert World.open(tmp_path / "world").devices()["stage"]["x_um"] == 20.0
