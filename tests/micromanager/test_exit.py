from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FILM = """
import numpy as np
from modules.micromanager import MMCamera, MMXYStage

camera, stage = MMCamera(config="demo", exposure_s=0.001), MMXYStage(config="demo")
camera.open()
stage.open()
stage.move_and_settle(10.0, 10.0)
out = np.zeros(camera.frame_shape, camera.dtype)
camera.start(None)
for _ in range(5):
    assert camera.read_into(out, 5.0)
"""
CLOSED = FILM + "camera.close()\nstage.close()\nprint('end')"
LEFT_RUNNING = FILM + "stage.start_move(9_000.0, 0.0)\nprint('end')"
HUNG = """
import threading
from hal.base import DeviceTimeout
from modules.micromanager.shared import acquire

owner = acquire("demo")
try:
    owner.call("home", lambda core: threading.Event().wait(), 0.1)
except DeviceTimeout:
    print('end')
"""

LOGGER = """
import logging
from modules.micromanager import MMCamera

camera = MMCamera(config="demo")
camera.open()
assert logging.getLogger().level == logging.WARNING, logging.getLogger().level
camera.close()
"""


def test_import_leaves_the_root_logger_as_it_was() -> None:
    # In a process of its own: whatever other tests import says its word there too.
    subprocess.run([sys.executable, "-c", LOGGER], cwd=ROOT, check=True, timeout=30)


@pytest.mark.parametrize("script", [CLOSED, LEFT_RUNNING, HUNG])
def test_process_ends_cleanly_every_time(script: str) -> None:
    for _ in range(5):
        ended = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "end\n", "")
