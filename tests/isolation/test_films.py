"""Films with camera and recorder in processes of their own, which may be killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hal.acquisition import RunHandle
from hal.frames import FrameRings
from hal.isolation import Gateway
from hal.messages import SetParameters
from hal.testing import RunningHal, running_hal
from tests.isolation.bench import until, written

SIDE = 32
CAMERA = """<module name="{name}" class="cameras.camera" {how}>
<driver class="simulation.camera" width_px="32" height_px="32" exposure_s="0.002"
 index_pixels="true"/></module>"""
RECORDER = '<module name="recorder" class="recorder.recorder" {how}/>'
OWN = 'isolation="process"'
PATIENCE_S = 30.0
FORMATS = ("dax", "ome-tiff")


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


def test_a_recorder_that_is_killed_is_followed_by_one_that_goes_on(
    isolated: Path, tmp_path: Path
) -> None:
    with running_hal(isolated) as hal:
        run = film(hal, tmp_path, 2000)
        for death in range(1, 3):
            said = stored(run)
            until(lambda said=said: stored(run) > said + 50)  # type: ignore[misc]
            os.kill(pid(hal, "recorder"), signal.SIGKILL)
            until(lambda n=death: hal.system.module("recorder").generation > n)  # type: ignore[misc]

        status = run.wait(PATIENCE_S)

    assert status.state == "done"
    counts = status.frames["camera1"]
    assert (counts.stored, counts.verified, counts.gaps) == (2000, 2000, ())
    assert_stored(tmp_path, 2000)
    assert not (tmp_path / "m.journal").exists()


def test_a_recorder_that_is_killed_while_it_closes_the_film_is_followed_as_well(
    isolated: Path, tmp_path: Path
) -> None:
    with running_hal(isolated) as hal:
        run = film(hal, tmp_path, 300)
        until(lambda: run.status.step == "verifying" or not run.is_running)
        os.kill(pid(hal, "recorder"), signal.SIGKILL)

        status = run.wait(PATIENCE_S)

    assert status.state == "done", (status.fatal_error, status.background_errors)
    assert status.frames["camera1"].verified == 300
    assert_stored(tmp_path, 300)


def test_a_recorder_that_dies_again_and_again_ends_the_film_with_the_reason(
    isolated: Path, tmp_path: Path
) -> None:
    with running_hal(isolated) as hal:
        run = film(hal, tmp_path, None)
        until(lambda: stored(run) > 20)
        killed: set[int] = set()
        while run.is_running:
            recorder = hal.system.module("recorder")
            if isinstance(recorder, Gateway) and recorder.pid not in {0, *killed}:
                killed.add(recorder.pid)
                os.kill(recorder.pid, signal.SIGKILL)
            run.wait(0.01)
        status = run.status

    assert len(killed) > 2
    assert status.state == "error"
    assert status.fatal_error is not None
    assert "killed by SIGKILL" in status.fatal_error.text
    # What is there is whole, and waits for `recover`.
    assert (tmp_path / "m.journal").exists()


def test_a_reader_that_stops_ends_the_film_with_the_exact_count(
    isolated: Path, tmp_path: Path
) -> None:
    with running_hal(isolated) as hal:
        hal.ask(SetParameters({"camera1": {"block_s": 0.3}}))
        run = film(hal, tmp_path, None)
        ring = hal.system.services[FrameRings].get("camera1")
        ring.open_reader("analysis")

        status = run.wait(PATIENCE_S)

    assert status.state == "error"
    assert status.fatal_error is not None
    counts = status.frames["camera1"]
    assert (
        f"camera1 was held up for 0.3 s: analysis is {ring.slots} frames behind; "
        f"{counts.stored} frames were taken"
    ) in status.fatal_error.text
    assert counts.verified == counts.stored > 0


def test_a_display_that_sleeps_costs_the_recording_nothing(
    isolated: Path, tmp_path: Path
) -> None:
    with running_hal(isolated) as hal:
        run = film(hal, tmp_path, 3000)
        ring = hal.system.services[FrameRings].get("camera1")
        display = ring.open_reader("display", lossless=False)

        status = run.wait(PATIENCE_S)

        newest = display.latest()
    assert status.state == "done"
    assert status.frames["camera1"].verified == 3000 > ring.slots / 2
    assert newest is not None
    assert newest.frame.info.index == 2999
    assert newest.skipped > 2000
