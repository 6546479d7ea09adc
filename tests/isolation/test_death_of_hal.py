"""When HAL's own process is killed, no child is left, and the lights are off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
