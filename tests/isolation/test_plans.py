"""Plans with camera, stage and recorder in processes of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hal.acquisition import EventRow, ImageEvent, Plan, RunState
from hal.acquisition.plans import explicit
from hal.isolation import Gateway
from hal.testing import running_hal
from tests.isolation.bench import until, written

OWN = 'isolation="process"'
MODULES = f"""<module name="camera1" class="cameras.camera" {OWN}>
<driver class="simulation.camera" width_px="32" height_px="32" exposure_s="0.002"/>
</module>
<module name="z" class="stages.z_stage" {OWN}>
<driver class="simulation.z_stage" speed_um_s="1e6"/></module>
<module name="recorder" class="recorder.recorder" {OWN}/>"""
PATIENCE_S = 40.0


@pytest.fixture
def isolated(tmp_path: Path) -> Path:
    return written(tmp_path, MODULES)


def stack(count: int) -> Plan:
    return explicit(ImageEvent(index={"t": n}, z_um=float(n % 5)) for n in range(count))


def rows(films: Path) -> list[EventRow]:
    lines = (films / "m_events.ndjson").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=EventRow) for line in lines]


def indices(films: Path) -> list[int]:
    """Return what the camera has written into each frame."""
    frames = np.fromfile(films / "m.dax", "<u2").reshape(-1, 32, 32)
    return [int(frame[0, 0]) for frame in frames]


def test_a_plan_runs_wherever_its_modules_live(isolated: Path, tmp_path: Path) -> None:
    with running_hal(isolated, log_folder=tmp_path / "logs") as hal:
        status = hal.run(tmp_path, stack(20), name="m").wait(PATIENCE_S)

    assert status is not None
    assert status.state is RunState.DONE, status
    assert indices(tmp_path) == list(range(20))
    assert [row.z_um for row in rows(tmp_path)] == pytest.approx(
        [n % 5 for n in range(20)], abs=0.1
    )


def test_a_recorder_that_is_killed_costs_neither_frame_nor_row(
    isolated: Path, tmp_path: Path
) -> None:
    with running_hal(isolated, log_folder=tmp_path / "logs") as hal:
        run = hal.run(tmp_path, stack(150), name="m")
        until(lambda: run.status.n_events_consumed > 20)
        os.kill(hal.module("recorder", Gateway).pid, signal.SIGKILL)
        status = run.wait(PATIENCE_S)

    assert status is not None
    assert status.state is RunState.DONE, status
    assert indices(tmp_path) == list(range(150))
    assert [row.event for row in rows(tmp_path)] == list(range(150))


def test_a_run_is_cancelled_in_the_middle(isolated: Path, tmp_path: Path) -> None:
    with running_hal(isolated, log_folder=tmp_path / "logs") as hal:
        run = hal.run(tmp_path, stack(5000), name="m")
        until(lambda: run.status.n_events_consumed > 10)
        run.pause()
        until(lambda: run.is_paused)
        run.cancel()
        status = run.wait(PATIENCE_S)

    assert status is not None
    assert status.state is RunState.CANCELLED
    stored = status.frames["camera1"].stored
    assert indices(tmp_path) == list(range(stored))
    assert len(rows(tmp_path)) == stored
