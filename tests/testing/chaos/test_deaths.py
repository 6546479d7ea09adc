"""Whole microscopes: processes really die, HAL stays, and orders reach every driver."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hal.app import Application, plan
from hal.base import (
    DeviceError,
    ErrorRecord,
    ModuleDead,
    ParameterError,
    StartError,
    Unhandled,
    WorkerTimeout,
)
from hal.messages import GetStagePosition, MoveStage, SetShutter, StagePosition
from hal.testing import chaos, part, running_hal, wait_until
from hal.testing.chaos import CauseFault, Fault
from modules.light_sources.shutter import ShutterModule
from modules.simulation import SimShutter

PATIENCE_S = 30.0
STAGE = (
    '<module name="{0}" class="stages.xy_stage" isolation="{1}" deadline_s="2">'
    '<driver class="simulation.xy_stage" speed_um_s="1e6"/></module>'
)
SHUTTER = (
    '<module name="shutter1" class="light_sources.shutter" deadline_s="0.3">'
    '<driver class="simulation.shutter" switch_timeout_s="0.2"/></module>'
)
DEATHS = {
    "segv": "SIGSEGV",
    "kill": "SIGKILL",
    "exit": "exit code 9",
    "stop": "a signal stopped it",
}
if os.name == "nt":  # ends a process with an exit code, whatever the reason
    DEATHS = {"exit": DEATHS["exit"]}


def config(folder: Path, *modules: str, faults: str = "") -> Path:
    path = folder / "scope.xml"
    path.write_text(f'<hal name="t" directory="data">{"".join(modules)}{faults}</hal>')
    return path


def works(hal, name: str) -> bool:
    delivery = hal.send(MoveStage(3.0, 4.0), to=name)
    assert delivery.wait(PATIENCE_S)
    return not delivery.errors


def noted(folder: Path) -> list[tuple[str, str, int]]:
    (journal,) = folder.glob("chaos_*/journal.jsonl")
    told = chaos.Journal(journal).read()
    return sorted((each.module, each.kind, each.number) for each in told)


def test_processes_die_by_the_fault_that_was_planned_once_and_are_replaced(tmp_path):
    stages = [STAGE.format(kind, "process") for kind in DEATHS]
    faults = "".join(
        f'<fault module="{kind}" call="move" kind="{kind}" at="2" code="9"/>'
        for kind in DEATHS
        if kind != "exit"
    )
    scope = config(tmp_path, *stages, faults=f"<chaos>{faults}</chaos>")
    logs = tmp_path / "logs"

    with running_hal(scope, log_folder=logs) as hal:
        assert hal.problems == ()
        assert all(works(hal, kind) for kind in DEATHS)
        # Whether it is planned or ordered, and in whatever process it is to happen.
        hal.ask(CauseFault(Fault(module="exit", kind="exit", call="move", code=9)))
        ends = {kind: hal.send(MoveStage(1.0, 2.0), to=kind) for kind in DEATHS}
        for kind, words in DEATHS.items():
            assert ends[kind].wait(PATIENCE_S), kind
            (error,) = ends[kind].errors
            assert isinstance(error, ErrorRecord)
            assert words in error.text, error.text
            assert error.kind == ModuleDead.__name__
        # It goes on counting: the second move of the new process is the fourth.
        for kind in DEATHS:
            wait_until(lambda kind=kind: works(hal, kind), PATIENCE_S)
            assert works(hal, kind)

    assert noted(logs) == sorted(
        (kind, kind, 0 if kind == "exit" else 2) for kind in DEATHS
    )


def test_orders_are_carried_out_in_the_next_call_they_are_for(tmp_path):
    scope = config(
        tmp_path,
        STAGE.format("stage1", "none"),
        SHUTTER,
        faults='<chaos><fault module="shutter1" kind="slow" at="1000000"/></chaos>',
    )
    with running_hal(scope, log_folder=tmp_path / "logs") as hal:
        hal.ask(CauseFault(Fault(module="stage1", kind="raise", call="move")))
        assert isinstance(hal.ask(GetStagePosition()), StagePosition)
        with pytest.raises(DeviceError, match="caused on purpose"):
            hal.ask(MoveStage(1.0, 2.0))
        assert works(hal, "stage1")
        hal.ask(CauseFault(Fault(module="shutter1", kind="hang", seconds=1.5)))
        with pytest.raises(WorkerTimeout):
            hal.ask(SetShutter(True), to="shutter1")

        # What would end HAL itself is refused, and so is what nobody can do.
        for wrong, words in (
            (Fault(module="stage1", kind="segv"), "HAL's own"),
            (Fault(module="stag1", kind="slow"), "did you mean"),
            (Fault(module="stage1", kind="slwo"), "did you mean 'slow'"),
            (Fault(module="stage1", kind="raise", error="No"), "error='No'"),
            (Fault(module="stage1", kind="drop"), "is no device that can do so"),
        ):
            with pytest.raises(ParameterError, match=words):
                hal.ask(CauseFault(wrong))

    assert noted(tmp_path / "logs") == [
        ("shutter1", "hang", 0),
        ("stage1", "raise", 0),
    ]


def test_nothing_is_arranged_where_no_fault_was_asked_for():
    driver = SimShutter()
    shutter = part("shutter1", ShutterModule, driver=driver)
    with running_hal(shutter) as hal, pytest.raises(Unhandled):
        hal.ask(CauseFault(Fault(module="shutter1", kind="slow")))


def test_a_folder_that_cannot_be_made_ends_the_start(tmp_path, monkeypatch):
    scope = config(tmp_path, SHUTTER)
    faults = tmp_path / "chaos.xml"
    faults.write_text('<chaos><fault module="shutter1" kind="slow" at="1"/></chaos>')
    app_plan = plan(scope, chaos=faults)

    def refuse(self: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(chaos.Rehearsal, "begin", refuse)
    with pytest.raises(StartError, match=r"chaos_\w+ cannot be made"):
        Application(app_plan, log_folder=tmp_path / "logs")
