"""R14, R46: a run whose module is given up says why, and the next one works."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from hal.acquisition import RunHandle, RunState
from hal.base import Carrier, ModuleState
from hal.kernel import SystemMode, SystemModeChanged
from hal.storage import read_acquisition
from hal.testing import RunningHal, running_hal, wait_until
from modules.simulation.camera import SimCamera
from tests.modules.bench import PATIENCE_S, camera_part

FRAMES = 12
SIDE_PX = 16


def camera() -> SimCamera:
    return SimCamera(width_px=SIDE_PX, height_px=SIDE_PX, max_fps=200.0)


def fail(hal: RunningHal, name: str) -> None:
    """Have the present generation of a module give itself up."""
    module = hal.system.module(name)
    module.post_own(lambda: module.fail(RuntimeError("boom")))


def begun(hal: RunningHal, tmp_path: Path) -> RunHandle:
    """Return a film without end, of which something is stored."""
    run = hal.film(tmp_path, frames=None)
    wait_until(lambda: run.status.n_events_consumed >= 3)
    return run


def film_again(hal: RunningHal, tmp_path: Path) -> None:
    """Take a whole film."""
    wait_until(lambda: all(m.state is ModuleState.STARTED for m in hal.system.modules))
    status = hal.film(tmp_path, frames=FRAMES).wait(PATIENCE_S)
    assert status is not None
    assert status.state is RunState.DONE, status
    assert status.frames["camera1"].verified == FRAMES


@pytest.mark.parametrize("name", ["acquisition", "camera1", "recorder"])
def test_a_run_ends_with_the_reason_and_the_next_one_works(
    carrier: Carrier | None, tmp_path: Path, name: str
) -> None:
    with running_hal(camera_part(camera()), carrier=carrier) as hal:
        run = begun(hal, tmp_path)

        fail(hal, name)

        status = run.wait(PATIENCE_S)
        assert status is not None
        assert status.state is RunState.ERROR
        assert status.fatal_error is not None
        assert name in status.fatal_error.text
        assert "boom" in status.fatal_error.text
        film_again(hal, tmp_path)
        assert hal.system.module(name).generation == 2


@pytest.mark.parametrize("name", ["acquisition", "camera1", "recorder"])
def test_what_was_stored_stays_whole_and_its_sidecar_says_how_it_ended(
    tmp_path: Path, name: str
) -> None:
    with running_hal(camera_part(camera())) as hal:
        run = begun(hal, tmp_path)
        fail(hal, name)
        assert run.wait(PATIENCE_S) is not None
        sidecar = tmp_path / "movie_0001.xml"
        wait_until(lambda: "running" not in sidecar.read_text(encoding="latin-1"))

    described = read_acquisition(sidecar)
    frames = np.fromfile(tmp_path / "movie_0001.dax", "<u2")
    frames = frames.reshape(-1, SIDE_PX, SIDE_PX)
    assert described["state"] == "error"
    assert int(described["number_frames"]) == len(frames) >= 3
    assert [SimCamera.frame_index_of(frame) for frame in frames] == list(
        range(len(frames))
    )


def test_without_its_conductor_the_camera_stops_and_nothing_is_held(
    tmp_path: Path,
) -> None:
    with running_hal(camera_part(camera())) as hal:
        run = begun(hal, tmp_path)

        fail(hal, "acquisition")

        assert run.wait(PATIENCE_S) is not None
        wait_until(lambda: not hal.system.module("camera1").loops)
        assert hal.system.leases.mode is SystemMode.IDLE
        modes = [event.mode for event in hal.probe.heard(SystemModeChanged)]
        assert modes == ["acquiring", "idle"]


def test_a_camera_that_hangs_costs_its_run_only(
    tmp_path: Path, gate: threading.Event
) -> None:
    driver = camera()
    with running_hal(camera_part(driver, deadline_s=0.3)) as hal:
        run = begun(hal, tmp_path)
        module = hal.system.module("camera1")
        module.post_own(lambda: gate.wait(PATIENCE_S))

        status = run.wait(PATIENCE_S)

        assert status is not None
        assert status.fatal_error is not None
        assert "camera1 is hung: handler 'own work' of camera1" in (
            status.fatal_error.text
        )
        gate.set()
        film_again(hal, tmp_path)
