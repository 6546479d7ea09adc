"""Hundreds of films in one process: none fails, and nothing grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.system.running import SIM

SCRIPT = """
import gc, json, sys
from pathlib import Path

import psutil

from hal.acquisition import FilmPlan, RunState
from hal.app import Application, plan
from hal.messages import StartRun

config, folder, films, formats = sys.argv[1:]
# Beyond the 100 runs whose status is kept.
WARM_UP = 150
ME = "script:soak"
process = psutil.Process()


def usage():
    gc.collect()
    return {
        "rss_mb": process.memory_info().rss / 2**20,
        "threads": process.num_threads(),
        "files": process.num_fds(),
    }


overrides = [f"camera1.{p}" for p in ("width_px=64", "height_px=64", "exposure_s=0")]
app = Application(plan(config, overrides=overrides), log_folder=Path(folder) / "logs")
problems = app.start()
assert not problems, problems
for number in range(int(films)):
    order = StartRun(
        plan=FilmPlan(frames=1),
        directory=str(Path(folder) / "films"),
        formats=tuple(formats.split(",")),
    )
    asked = app.system.send(order, principal=ME)
    asked.wait()
    handle = app.handle(asked.result(), principal=ME)
    status = handle.wait(20.0)
    assert status is not None, f"film {number} did not end"
    assert status.state is RunState.DONE, (number, status.fatal_error)
    assert status.frames["camera1"].verified == 1
    if number == WARM_UP:
        warm = usage()
end = usage()
app.stop()
left = [t for t in app.system.left_behind()]
print(json.dumps({"warm": warm, "end": end, "left": left}))
"""


def soak(films: int, formats: str, folder: str) -> dict[str, dict[str, float]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(SIM), folder, str(films), formats],
        capture_output=True,
        text=True,
        check=False,
        timeout=110.0,
        # Else each of the threads that every film starts may get an arena of its own
        # from the C library, which grows by megabytes until each has had its turn.
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report.pop("left") == []
    assert isinstance(report, dict)
    return report


@pytest.mark.parametrize(
    "formats",
    [
        pytest.param("dax,ome-tiff", marks=pytest.mark.slow),
        pytest.param("dax", marks=pytest.mark.slow),
        pytest.param("ome-tiff", marks=pytest.mark.slow),
    ],
)
def test_four_hundred_films_in_a_row_leave_memory_threads_and_files_flat(
    tmp_path, formats
):
    report = soak(400, formats, str(tmp_path))

    warm, end = report["warm"], report["end"]
    assert end["rss_mb"] - warm["rss_mb"] < 15, report
    # One more or less is the moment: a worker starts with its first job.
    assert end["threads"] <= warm["threads"] + 1, report
    assert end["files"] <= warm["files"] + 1, report
    assert len(list((tmp_path / "films").glob("movie_*.xml"))) == 400
