"""When HAL's own process is killed, no child is left, and the lights are off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modules.simulation.world import World
from tests.isolation.bench import is_alive, until

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """\
<hal name="Dying" directory="{folder}">
  <module name="laser" class="light_sources.light_source" isolation="process">
    <driver class="tests.isolation.puppets.FileLight" path="{folder}/light"
            hangs="{hangs}"/>
  </module>
  <module name="stage" class="stages.xy_stage" isolation="process">
    <driver class="simulation.xy_stage"/>
  </module>
</hal>
"""

HAL = """
import pathlib, sys, time
from hal.app import Application, plan
from hal.kernel import StopModule
from hal.messages import SetLight

app = Application(plan(sys.argv[1]))
assert app.start() == ()
light = app.system.send(SetLight(power_mw=5.0, is_on=True), to="laser")
if sys.argv[2] == "False":
    light.wait()
    light.result()
else:
    path = pathlib.Path(sys.argv[3])
    while not path.exists() or path.read_text() != "on":
        time.sleep(0.01)
print(*(app.system.module(name).pid for name in ("laser", "stage")), flush=True)
time.sleep(60)
"""


WORLD = """\
<hal name="Dying" directory="{folder}">
  <world name="sample" state="{folder}/world"/>
  <module name="laser" class="light_sources.light_source" isolation="process"
          deadline_s="50">
    <driver class="{driver}" world="sample"/>
  </module>
</hal>
"""

GUARDED_HAL = """
import sys, time
from hal.app import Application, plan
from hal.kernel import Safeguards
from hal.messages import SetLight

app = Application(plan(sys.argv[1]), safeguards=Safeguards())
assert app.start() == ()
app.system.send(SetLight(power_mw=5.0, is_on=True), to="laser", deadline_s=50.0)
time.sleep(0.3)  # some beats, by which the sentinel is told
print(app.system.module("laser").pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("state", ["well", "holds the interpreter", "stopped"])
def test_the_sentinel_ends_what_cannot_end_itself_and_the_light(
    tmp_path: Path, state: str
) -> None:
    driver = "simulation.light_source"
    if state == "holds the interpreter":
        driver = "tests.isolation.puppets.HoldingLight"
    config = tmp_path / "dying.xml"
    config.write_text(WORLD.format(folder=tmp_path, driver=driver))
    with subprocess.Popen(
        [sys.executable, "-c", GUARDED_HAL, str(config)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as hal:
        assert hal.stdout is not None
        pid = int(hal.stdout.readline())
        laser = World.open(tmp_path / "world").devices()["laser"]
        until(lambda: laser["is_on"] == 1.0, 5.0)
        if state == "stopped":
            os.kill(pid, signal.SIGSTOP)

        hal.send_signal(signal.SIGKILL)
        hal.wait(10.0)

        until(lambda: not is_alive(pid), 3.0)
        until(lambda: laser["is_on"] == 0.0, 3.0)
        # It leaves when it has written what it did.
        until(lambda: '"safe state"' in report(tmp_path), 10.0)
        assert ("child killed" in report(tmp_path)) == (state != "well")


def test_a_module_may_take_longer_to_end_if_it_says_so(tmp_path: Path) -> None:
    config, written = tmp_path / "dying.xml", tmp_path / "written"
    config.write_text(
        f"""<hal name="Dying" directory="{tmp_path}">
        <module name="laser" class="tests.isolation.puppets.LateWriter"
                isolation="process" title="{written}"/></hal>"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", GUARDED_HAL, str(config)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as hal:
        assert hal.stdout is not None
        pid = int(hal.stdout.readline())

        hal.send_signal(signal.SIGKILL)
        hal.wait(10.0)

        until(lambda: not is_alive(pid), 9.0)
        assert written.read_text() == "finished"
        until(lambda: "died" in report(tmp_path), 5.0)
        assert "child killed" not in report(tmp_path)


def report(folder: Path) -> str:
    return "".join(p.read_text() for p in folder.glob("logs/sentinel_*.ndjson"))


@pytest.mark.parametrize("hangs", [False, True])
def test_no_child_outlives_hal_and_the_light_goes_off(
    tmp_path: Path, hangs: bool
) -> None:
    config = tmp_path / "dying.xml"
    config.write_text(CONFIG.format(folder=tmp_path, hangs=hangs))
    light = tmp_path / "light"
    with subprocess.Popen(
        [sys.executable, "-c", HAL, str(config), str(hangs), str(light)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as hal:
        assert hal.stdout is not None
        pids = [int(word) for word in hal.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        assert light.read_text() == "on"

        hal.send_signal(signal.SIGKILL)
        hal.wait(10.0)

        until(lambda: not any(map(is_alive, pids)), 3.0)
        assert light.read_text() == "off"
