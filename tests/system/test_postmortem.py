"""A run that fails, or is killed, and the bundle it leaves: enough to say why."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

from hal.base import SystemClock
from hal.postmortem import find_case, write_bundle
from tests.system.running import ROOT, SIM, SMALL, acknowledged

TOOL = ROOT / "tools" / "hal_trace.py"
CONFIG = """\
<hal name="t" directory="data">
  <world name="sample" seed="1"/>
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" world="sample" width_px="64" height_px="64"
            exposure_s="0.002"/>
  </module>
  <module name="stage" class="stages.xy_stage">
    <driver class="silent_stage.SilentStage" world="sample"/>
  </module>
</hal>
"""
PLAN = "stage_positions: [[0, 0], [10, 0], [20, 0], [30, 0]]\n"


def unpacked(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def tool(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, str(TOOL), *map(str, arguments)],
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_plan_that_fails_leaves_a_bundle_that_says_why(hal, films):
    config, plan = hal.folder / "scope.xml", hal.folder / "plan.yaml"
    config.write_text(CONFIG)
    plan.write_text(PLAN)

    done = hal.run(
        *(config, "--plan", plan, "--output", films, "--name", "run", "--json"),
        *("--set", "camera1.exposure_s=0.004"),
    )

    assert done.code == 1, done.stderr
    path = films / "run_postmortem.zip"
    assert done.json["postmortem"] == str(path)
    assert f"post-mortem: {path}" in done.stdout.splitlines()
    found = unpacked(path, hal.folder / "unpacked")
    said = (found / "README.txt").read_text("utf-8")
    assert "run: ended in state 'error'" in said
    assert "DeviceTimeout: stage: the stage's controller said nothing for 1 s" in said
    assert "2 of 4 events were done" in said
    assert "silent_stage.py" in said.split("The last seconds")[0]
    assert (found / "config" / "scope.xml").read_text("utf-8") == CONFIG
    start = json.loads((found / "config" / "start.json").read_text("utf-8"))
    assert start["overrides"] == ["camera1.exposure_s=0.004"]
    status = json.loads((found / "run.json").read_text("utf-8"))
    assert status["frames"]["camera1"]["stored"] == 2
    rows = (found / "film" / "run_events.ndjson").read_text("utf-8").splitlines()
    assert [json.loads(row)["outcome"] for row in rows][:2] == ["done", "done"]
    assert ET.parse(found / "film" / "run.xml").findtext("acquisition/state") == "error"
    assert not list(found.rglob("*.tif*"))
    # The trace in it is one that the tools read.
    assert "move stage" in tool("show", found / "trace", "--errors")


def test_of_a_run_that_was_killed_one_can_be_made(hal, films):
    running = hal.start(
        *(SIM, "--film", "100000", "--output", films, "--name", "cut", *SMALL)
    )
    running.wait_for(lambda: acknowledged(hal) > 20, "frames are stored")
    running.kill_all()
    out = hal.folder / "cut.zip"

    made = write_bundle(find_case(films, logs=hal.logs), out, SystemClock())

    assert made.headline == "cut: no record of its end"
    found = unpacked(out, hal.folder / "unpacked")
    report = (found / "README.txt").read_text("utf-8")
    assert "There is no record of the end: HAL was killed" in report
    assert (found / "config" / SIM.name).read_bytes() == SIM.read_bytes()
    last = json.loads((found / "film" / "cut.journal.json").read_text("utf-8"))
    assert last["frames stored"] > 20
    assert last["last"][-1]["frame"] == last["frames stored"] - 1
