"""R42, R46: while a film goes on the back end refuses what would disturb it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hal.base import Leased, OutputExists
from hal.kernel import Message, SystemMode, SystemModeChanged
from hal.messages import (
    ArmCamera,
    CancelRun,
    GetStagePosition,
    HaltMotion,
    MoveStage,
    SetLight,
    SetParameters,
    StagePosition,
)
from hal.testing import Part, RunningHal, part, running_hal
from modules.light_sources.light_source import LightSourceModule
from modules.simulation.light_source import SimLightSource
from modules.simulation.xy_stage import SimXYStage
from modules.stages.xy_stage import XYStageModule
from tests.modules.bench import PATIENCE_S, sim_part

INTRUDER = "script:intruder"


def microscope() -> tuple[Part, ...]:
    return (
        sim_part("camera1", exposure_s=0.01),
        sim_part("camera2", exposure_s=0.01),
        part("stage", XYStageModule, driver=SimXYStage()),
        part("laser", LightSourceModule, driver=SimLightSource()),
    )


def answer(hal: RunningHal, message: Message, to: str, principal: str) -> object:
    delivery = hal.system.send(message, principal=principal, to=to)
    assert delivery.wait(PATIENCE_S)
    return delivery.result()


def modes(hal: RunningHal) -> list[str]:
    return [event.mode for event in hal.probe.heard(SystemModeChanged)]


def test_a_film_holds_its_microscope_and_names_itself(tmp_path: Path) -> None:
    with running_hal(*microscope()) as hal:
        run = hal.film(tmp_path, None, cameras=("camera1",))
        disturbing: list[tuple[Message, str]] = [
            (MoveStage(10.0, 0.0), "stage"),
            (SetLight(power_mw=1.0), "laser"),
            (ArmCamera("other", 1), "camera1"),
            (SetParameters({"laser": {"wavelength_nm": 500.0}}), "settings"),
        ]

        for message, to in disturbing:
            with pytest.raises(Leased, match=f"run {run.run_id} of script:test"):
                answer(hal, message, to, INTRUDER)

        at = answer(hal, GetStagePosition(), "stage", INTRUDER)
        assert at == StagePosition(0.0, 0.0)
        run.cancel()
        assert run.wait(PATIENCE_S)
        answer(hal, MoveStage(10.0, 0.0), "stage", INTRUDER)


def test_safety_and_what_the_run_does_not_use_are_open_to_all(tmp_path: Path) -> None:
    with running_hal(*microscope()) as hal:
        run = hal.film(tmp_path, None, cameras=("camera1",))

        answer(hal, HaltMotion(), "stage", INTRUDER)
        answer(hal, ArmCamera("other", 1), "camera2", INTRUDER)
        answer(hal, CancelRun(run.run_id), "acquisition", INTRUDER)

        assert run.wait(PATIENCE_S)


def test_the_holder_may_change_light_but_not_move(tmp_path: Path) -> None:
    with running_hal(*microscope()) as hal:
        run = hal.film(tmp_path, None)

        hal.ask(SetLight(power_mw=1.0), to="laser")
        with pytest.raises(Leased):
            hal.ask(MoveStage(10.0, 0.0), to="stage")

        run.cancel()
        assert run.wait(PATIENCE_S)


def test_the_mode_follows_the_run(tmp_path: Path) -> None:
    with running_hal(*microscope()) as hal:
        hal.film(tmp_path, 3).wait(PATIENCE_S)
        hal.probe.wait_for(SystemModeChanged, lambda e: e.mode == "idle")
        assert modes(hal) == ["acquiring", "idle"]

        run = hal.film(tmp_path, None)
        assert hal.system.leases.mode is SystemMode.ACQUIRING
        run.cancel()
        assert run.wait(PATIENCE_S)

        hal.probe.wait_for(SystemModeChanged, lambda e: e.mode == "aborting")
        assert modes(hal)[2:4] == ["acquiring", "aborting"]
        assert hal.system.leases.mode is SystemMode.IDLE


def test_a_run_that_is_refused_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken.xml").touch()
    with running_hal(*microscope()) as hal:
        with pytest.raises(OutputExists):
            hal.film(tmp_path, 3, name="taken")

        answer(hal, MoveStage(10.0, 0.0), "stage", INTRUDER)
        assert hal.system.leases.mode is SystemMode.IDLE
