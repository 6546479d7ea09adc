"""`isolation` in a configuration file: what it may say, and what comes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hal.app import Application, plan
from hal.base import BadInput, StartError
from hal.config import load
from hal.isolation import Gateway
from hal.messages import MoveStage, StagePosition
from hal.testing import running_hal
from tests.isolation.bench import written

STAGE = """<module name="stage" class="stages.xy_stage" {}>
<driver class="simulation.xy_stage" speed_um_s="1e6"/></module>"""
Z = """<module name="z" class="stages.z_stage" {}>
<driver class="simulation.z_stage"/></module>"""
CAMERA = """<module name="camera1" class="cameras.camera" {}>
<driver class="simulation.camera" width_px="16" height_px="16"/></module>"""


@pytest.mark.parametrize(
    ("attribute", "process"),
    [
        ("", ""),
        ('isolation="none"', ""),
        ('isolation="process"', "stage"),
        ('isolation="process:sdk"', "sdk"),
    ],
)
def test_the_process_of_a_module(tmp_path: Path, attribute: str, process: str) -> None:
    (module,) = load(written(tmp_path, STAGE.format(attribute))).modules

    assert module.process == process


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ('isolation="proces"', "expected none, process, process:NAME"),
        ('isolation="process:"', "expected none, process, process:NAME"),
        ('isolation="process:A b"', "expected none, process, process:NAME"),
        ('isolation="none:x"', "expected none, process, process:NAME"),
        ('memory_mb="500"', "only a process has a limit"),
        ('isolation="process" memory_mb="5"', "expected megabytes, at least 100"),
        ('isolation="process" memory_mb="much"', "expected megabytes"),
    ],
)
def test_what_it_cannot_be_is_refused_at_its_line(
    tmp_path: Path, attributes: str, complaint: str
) -> None:
    with pytest.raises(BadInput, match=complaint) as refused:
        load(written(tmp_path, STAGE.format(attributes)))

    assert "config.xml:2: module 'stage'" in str(refused.value)


def test_two_limits_for_one_process_are_refused(tmp_path: Path) -> None:
    shared = 'isolation="process:sdk" memory_mb="{}"'
    modules = (STAGE.format(shared.format(500)), Z.format(shared.format(600)))

    with pytest.raises(BadInput, match="shares process 'sdk': expected the same"):
        load(written(tmp_path, *modules))


def test_a_module_that_has_to_stay_says_why(tmp_path: Path) -> None:
    module = '<module name="a" class="acquisition.acquisition" isolation="process"/>'
    path = written(tmp_path, module)

    with pytest.raises(BadInput, match="cannot be isolated: the leases of its runs"):
        plan(path)


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("config", "port COM99 is unknown to the SDK"),
        ("package", "No module named 'no_such_vendor_package'"),
    ],
)
def test_a_driver_that_cannot_be_made_there_ends_the_start_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str, said: str
) -> None:
    monkeypatch.setenv("HAL_TEST_PARENT", str(os.getpid()))
    broken = """<module name="broken" class="stages.xy_stage" isolation="process">
    <driver class="tests.isolation.puppets.UnmadeStage" why="{}"/></module>"""
    path = written(tmp_path, Z.format('isolation="process"'), broken.format(why))
    app = Application(plan(path))

    with pytest.raises(StartError, match=said) as refused:
        app.start()

    assert str(refused.value).startswith(f"{path}:4: module 'broken': ")
    assert app.system.module("broken").generation == 1
    assert app.system.module("z").state == "stopped"


def test_a_file_is_all_it_takes(tmp_path: Path) -> None:
    shared = 'isolation="process:stages"'
    path = written(tmp_path, STAGE.format(shared), Z.format(shared), CAMERA.format(""))

    with running_hal(path) as hal:
        stage, z = hal.module("stage", Gateway), hal.module("z", Gateway)

        assert hal.problems == ()
        assert stage.pid == z.pid != os.getpid()
        assert hal.ask(MoveStage(3.0, 4.0)) == StagePosition(3.0, 4.0)
        run = hal.film(tmp_path, frames=3)
        assert run.wait(20.0).state == "done"
