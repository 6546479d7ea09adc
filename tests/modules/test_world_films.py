"""Films of a simulated sample: repeatable, with a second camera, and with the truth."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hal.acquisition import RunState, RunStatus
from hal.app import Application, plan
from hal.base import BadInput, StartError
from hal.messages import MoveStage
from hal.testing import running_hal

FRAMES = 12
PATIENCE_S = 30.0
XML = """<?xml version="1.0"?>
<hal name="Test" directory="{directory}">
  <world name="sample" {world}/>
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" world="sample" width_px="96" height_px="64"
            exposure_s="0.002" {camera}/>
  </module>
  <module name="camera2" class="cameras.camera">
    <driver class="simulation.camera" world="sample" width_px="48" height_px="48"
            trigger_by="hardware" follows="camera1" extension="c2" exposure_s="0.001"/>
  </module>
  <module name="stage" class="stages.xy_stage">
    <driver class="simulation.xy_stage" world="sample" speed_um_s="1e6"/>
  </module>
</hal>
"""


def config(folder: Path, world: str = "", camera: str = "") -> Path:
    path = folder / "test.xml"
    path.write_text(XML.format(directory=folder / "data", world=world, camera=camera))
    return path


def film(path: Path, to: Path, x_um: float = 0.0) -> tuple[RunStatus, list[Any]]:
    """Return the status of a film of a new HAL, and what each camera stored."""
    with running_hal(path, log_folder=to / "logs") as hal:
        assert hal.problems == ()
        hal.ask(MoveStage(x_um, 0.0))
        run = hal.film(to, FRAMES, name="film", formats=("ome-tiff",))
        status = run.wait(PATIENCE_S)
    assert status is not None
    assert status.state is RunState.DONE, status
    films = [to / f"film_{name}.ome.tiff" for name in ("camera1", "c2")]
    return status, [tifffile.imread(file) for file in films]


def test_two_cameras_film_one_sample_and_do_so_again(tmp_path: Path) -> None:
    path = config(tmp_path)

    _, first = film(path, tmp_path / "a")
    _, again = film(path, tmp_path / "b")

    assert [stack.shape for stack in first] == [(FRAMES, 64, 96), (FRAMES, 48, 48)]
    for one, other in zip(first, again, strict=True):
        assert one.tobytes() == other.tobytes()


def test_where_the_stage_is_decides_what_is_filmed(tmp_path: Path) -> None:
    path = config(tmp_path, 'sample="beads"')

    _, here = film(path, tmp_path / "a")
    _, there = film(path, tmp_path / "b", x_um=20.0)

    # The first row begins with the frame's index.
    images = [stack[0][:, 1:].mean(axis=0).ravel() for stack in (here, there)]
    assert max(images[0]) > 1.5 * np.median(images[0])
    assert np.corrcoef(*images)[0, 1] < 0.5


def test_a_kept_state_is_bleached_and_a_new_one_is_not(tmp_path: Path) -> None:
    path = config(tmp_path, 'bleaching="3000" state="kept.state"')
    light = [film(path, tmp_path / name)[1][0].mean() - 100 for name in ("a", "b")]

    assert (tmp_path / "kept.state").exists()
    assert light[1] < 0.8 * light[0]
    (tmp_path / "kept.state").unlink()
    anew = film(path, tmp_path / "c")[1][0].mean() - 100
    assert anew == pytest.approx(light[0])


def test_the_truth_is_written_beside_the_film_and_listed(tmp_path: Path) -> None:
    path = config(tmp_path, 'sample="beads"', 'ground_truth="true"')

    status, _ = film(path, tmp_path / "films")

    truth = tmp_path / "films" / "film.camera1.truth.csv"
    assert str(truth) in status.files
    with truth.open() as file:
        rows = list(csv.DictReader(file))
    assert {int(row["frame"]) for row in rows} == set(range(FRAMES))


def test_a_truth_that_cannot_be_written_is_a_problem_of_the_run(tmp_path: Path) -> None:
    path = config(tmp_path, 'sample="beads"', 'ground_truth="true"')
    films = tmp_path / "films"
    (films / "film.camera1.truth.csv").mkdir(parents=True)

    with running_hal(path, log_folder=tmp_path / "logs") as hal:
        status = hal.film(films, FRAMES, name="film").wait(PATIENCE_S)

    assert status is not None
    assert status.state is RunState.ERROR
    assert "truth.csv cannot be written" in str(
        (status.fatal_error, *status.background_errors)
    )
    assert (films / "film.xml").exists()


def test_a_world_without_a_file_leaves_none(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    app = Application(plan(config(tmp_path)), log_folder=logs)
    try:
        assert [path.name for path in logs.glob("world-*/*")] == ["sample.state"]
    finally:
        app.stop()

    assert list(logs.glob("world-*")) == []


def test_a_state_of_another_world_is_refused_at_its_line(tmp_path: Path) -> None:
    with running_hal(config(tmp_path, 'seed="1" state="w"'), log_folder=tmp_path):
        pass

    with pytest.raises(BadInput, match=r"test\.xml:3: world 'sample': .*seed=1") as no:
        Application(plan(config(tmp_path, 'seed="2" state="w"')), log_folder=tmp_path)
    assert no.value.line == 3
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StartError, match="is not the state of a simulated world"):
        Application(plan(config(tmp_path, 'state="notes.txt"')), log_folder=tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
