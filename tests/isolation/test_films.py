"""Films with camera and recorder in processes of their own, which may be killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hal.acquisition import RunHandle
from hal.isolation import Gateway
from hal.testing import RunningHal, running_hal
from tests.isolation.bench import until

SIDE = 32
CAMERA = """<module name="{name}" class="cameras.camera" {how}>
<driver class="simulation.camera" width_px="32" height_px="32" exposure_s="0.002"
 index_pixels="true"/></module>"""
RECORDER = '<module name="recorder" class="recorder.recorder" {how}/>'
OWN = 'isolation="process"'
PATIENCE_S = 30.0
FORMATS = ("dax", "ome-tiff")


def written(folder: Path, *modules: str) -> Path:
    path = folder / "config.xml"
    text = "\n".join(modules)
    path.write_text(f'<hal name="Test" directory="{folder}">\n{text}\n</hal>\n')
    return path


@pytest.fixture
def isolated(tmp_path: Path) -> Path:
    return written(
        tmp_path,
        CAMERA.format(name="camera1", how=OWN),
        RECORDER.format(how=OWN),
    )


def pid(hal: RunningHal, name: str) -> int:
    return hal.module(name, Gateway).pid


def assert_stored(films: Path, count: int) -> None:
    """The files of film `m` have the first `count` frames, each with its index."""
    dax = np.fromfile(films / "m.dax", "<u2").reshape(-1, SIDE, SIDE)
    tiff = tifffile.imread(films / "m.ome.tiff").reshape(-1, SIDE, SIDE)
    for frames in (dax, tiff):
        assert len(frames) == count
        assert [frame[0, 0] for frame in frames] == list(range(count))


def film(hal: RunningHal, films: Path, frames: int | None) -> RunHandle:
    return hal.film(films, frames, name="m", formats=FORMATS)


def stored(run: RunHandle) -> int:
    return run.status.frames["camera1"].stored


@pytest.mark.parametrize(
    ("camera", "recorder"), [(OWN, OWN), (OWN, ""), ("", OWN), ("shared", "shared")]
)
def test_a_film_does_not_know_where_it_is_taken(
    tmp_path: Path, camera: str, recorder: str
) -> None:
    camera, recorder = (
        'isolation="process:both"' if how == "shared" else how
        for how in (camera, recorder)
    )
    config = written(
        tmp_path,
        CAMERA.format(name="camera1", how=camera),
        CAMERA.format(name="camera2", how=""),
        RECORDER.format(how=recorder),
    )
    with running_hal(config) as hal:
        assert hal.problems == ()
        run = hal.film(tmp_path, 50, cameras=("camera1",), name="m", formats=FORMATS)

        status = run.wait(PATIENCE_S)

    assert status.state == "done"
    assert status.frames["camera1"].verified == 50
    assert_stored(tmp_path, 50)


def test_the_death_of_a_camera_ends_the_film_with_all_it_put(
    isolated: Path, tmp_path: Path
) -> None:
    with running_hal(isolated) as hal:
        run = film(hal, tmp_path, None)
        until(lambda: stored(run) > 20)

        os.kill(pid(hal, "camera1"), signal.SIGKILL)
        status = run.wait(PATIENCE_S)

        assert status.state == "error"
        assert status.fatal_error is not None
        assert "killed by SIGKILL" in status.fatal_error.text
        counts = status.frames["camera1"]
        assert counts.stored == counts.received == counts.verified > 20
        assert_stored(tmp_path, counts.stored)
        until(lambda: hal.module("camera1", Gateway).state == "started")
        again = hal.film(tmp_path, 10, name="again").wait(PATIENCE_S)
        assert again.state == "done"
