"""Films and plans from scripts: begun, watched, waited for, cancelled."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import useq

import hal
from hal.acquisition import FilmPlan, Plan, RunState, RunStatus
from hal.acquisition.plans import film
from hal.base import (
    BadInput,
    DeviceTimeout,
    ErrorRecord,
    OutputExists,
    PlanError,
    RunError,
    StateError,
    StorageError,
)
from hal.messages import RecordingFailed
from hal.scripting.plans import plan_of
from hal.testing import wait_until
from tests.scripting.conftest import PATIENCE_S


def pull_the_disk(scope, run) -> None:
    """Have the run fail as it does when the recorder cannot store any more."""
    why = ErrorRecord.from_exception(StorageError("the disk is gone"), "recorder")
    scope.acquisition.send(RecordingFailed(run.run_id, "camera1", why))


def test_a_film_is_recorded_and_its_files_are_told(scope, tmp_path, capsys):
    run = scope.film(
        np.int64(20), name="first", output=tmp_path / "out", cameras="camera1"
    )
    status = run.wait()

    assert (status.state, status.n_events_consumed) == ("done", 20)
    assert run.result() == status
    tiff, sidecar = run.files
    assert (tiff.parent, tiff.name) == (tmp_path / "out", "first.ome.tiff")
    assert sidecar.name == "first.xml"
    assert tifffile.imread(tiff).shape == (20, 16, 32)
    said = capsys.readouterr().err
    assert "camera1: 20 of 20 frames stored, 20 verified" in said
    assert repr(run) == f"<Run {run.run_id}: done, done: 20 of 20>"
    assert str(tiff) in run._repr_html_()


def test_films_go_where_the_microscope_was_opened_for(config, tmp_path):
    with hal.open(config, output=tmp_path / "mine") as scope:
        run = scope.film(2, formats=["dax", "ome-tiff"], notes="two")
        run.result()

    assert {file.parent for file in run.files} == {tmp_path / "mine"}
    assert {file.suffix for file in run.files} >= {".dax", ".tiff", ".xml"}


def test_what_is_wrong_is_raised_when_a_film_is_begun(scope, tmp_path):
    for error, text, ask in (
        (PlanError, "no camera 'came'.*did you mean", {"cameras": ["came"]}),
        (BadInput, "unknown film format 'tif'", {"formats": "tif"}),
        (BadInput, "film name 'a/b' cannot be used", {"name": "a/b"}),
        (BadInput, "frames=0: expected a whole number from 1", {"frames": 0}),
        (BadInput, r"frames=2\.5: expected a whole number", {"frames": 2.5}),
        (BadInput, "frames=True: expected a whole number", {"frames": True}),
    ):
        with pytest.raises(error, match=text):
            scope.film(**{"frames": 3, **ask})

    assert not list((tmp_path / "films").glob("*.tiff"))
    assert scope.film(1).result().state == "done"


def test_a_film_is_not_replaced_unless_asked_for(scope):
    scope.film(1, name="once").result()
    with pytest.raises(OutputExists):
        scope.film(1, name="once")
    scope.film(2, name="once", overwrite=True).result()


def test_one_run_at_a_time(scope):
    run = scope.film(None)
    with pytest.raises(StateError, match=f"run {run.run_id} is going on"):
        scope.film(1)
    run.cancel()
    assert run.wait(progress=False).state == "cancelled"
    run.cancel()


def test_whatever_says_what_to_do_is_a_plan(tmp_path):
    sequence = useq.MDASequence(time_plan={"interval": 0, "loops": 3})
    path = tmp_path / "plan.json"
    path.write_text(sequence.model_dump_json(exclude_unset=True), "utf-8")

    plan = film(FilmPlan(frames=3))
    assert plan_of(plan) is plan
    assert plan_of(FilmPlan(frames=3)) == FilmPlan(frames=3)
    for made in (plan_of(sequence), plan_of(path), plan_of(str(path))):
        assert isinstance(made, Plan)
        assert made.n_images == 3
    with pytest.raises(PlanError, match=r"expected a useq\.MDASequence, got int"):
        plan_of(3)  # type: ignore[arg-type]


def test_a_plan_of_frames_is_run(scope):
    assert scope.run(FilmPlan(frames=3)).result().n_events_consumed == 3
    with pytest.raises(PlanError, match=r"nix\.yaml: plan cannot be read"):
        scope.run("nix.yaml")


def test_a_run_is_watched_without_waiting(scope):
    run = scope.film(None)
    heard = []
    run.statusChanged.connect(heard.append)
    assert run.is_running
    wait_until(lambda: run.status.n_events_consumed > 5, PATIENCE_S)
    run.cancel()
    wait_until(lambda: not run.is_running, PATIENCE_S)

    wait_until(lambda: heard and heard[-1].state == "cancelled", PATIENCE_S)
    assert all(isinstance(status, RunStatus) for status in heard)


def test_a_wait_that_is_over_before_the_run_returns_where_it_is(scope):
    run = scope.film(None)

    assert run.wait(timeout_s=0.01, progress=False).state == "running"
    assert run.is_running
    run.cancel()
    with pytest.raises(RunError, match="cancelled"):
        run.result()


def test_a_plan_is_paused_extended_and_resumed(scope):
    sequence = useq.MDASequence(
        stage_positions=[(0, 0), (50, 0)], time_plan={"interval": 0.2, "loops": 3}
    )
    run = scope.run(sequence)
    run.pause()
    wait_until(lambda: run.is_paused or not run.is_running, PATIENCE_S)
    assert run.is_paused
    run.extend(sequence)
    with pytest.raises(PlanError, match="a film cannot be added"):
        run.extend(FilmPlan(frames=3))
    run.resume()

    assert run.plan.n_images == len(run.events) == 12
    assert run.result().n_events_consumed == 12
    run.resume()
    assert scope.stage.position.x_um == 50.0


def test_a_run_goes_on_with_the_numbers_of_one_that_is_over(scope):
    here = {"stage_positions": [(0, 0), (50, 0)]}
    first = scope.run(useq.MDASequence(**here, time_plan={"interval": 0, "loops": 2}))
    first.result()
    there = useq.MDASequence(stage_positions=[(50, 0), (90, 0)])
    second = scope.run(there, after=first)

    assert [event.index for event in second.events] == [
        {"t": 2, "p": 1},
        {"t": 2, "p": 2},
    ]
    assert second.result().n_events_consumed == 2
    with pytest.raises(PlanError, match="a film has no timepoints"):
        scope.run(there, after=scope.film(1))


def test_a_failed_run_says_why_and_result_raises_it(scope, capsys):
    run = scope.film(None)
    pull_the_disk(scope, run)

    assert run.wait().state is RunState.ERROR
    assert "hal: run failed: recorder: the disk is gone" in capsys.readouterr().err
    with pytest.raises(StorageError, match="the disk is gone") as raised:
        run.result()
    assert raised.value.__notes__[-1] == f"It ended run {run.run_id}."
    scope.close()
    assert "failed" not in capsys.readouterr().err


def test_a_failure_that_nobody_looked_at_is_told_when_the_scope_closes(scope, capsys):
    run = scope.film(None)
    pull_the_disk(scope, run)
    wait_until(lambda: not run.is_running, PATIENCE_S)
    scope.close()

    assert f"run {run.run_id} failed: recorder: the disk" in capsys.readouterr().err


def test_ctrl_c_in_a_wait_leaves_the_run_alone(scope, interrupted, capsys):
    run = scope.film(None)
    seen = []

    def wait() -> None:
        seen.append(run.status.n_events_consumed)
        run.wait()

    interrupted(wait, when=lambda: seen and run.status.n_events_consumed > seen[0] + 5)

    seen.append(run.status.n_events_consumed)
    wait_until(lambda: run.status.n_events_consumed > seen[-1] + 20, PATIENCE_S)
    assert run.status.state == "running"
    assert scope.stage.position.x_um == 0.0
    scope.close()
    assert run.status.state == "cancelled"
    stored = run.status.frames["camera1"].stored
    assert len(tifffile.TiffFile(run.files[0]).pages) == stored > 5
    said = capsys.readouterr().err
    assert f"run {run.run_id} is cancelled: the microscope is being closed" in said
    assert run.wait(progress=False) == run.status


def test_a_film_whose_beginning_was_interrupted_is_cancelled(
    scope, interrupted, monkeypatch
):
    system = scope._session.app.system
    start = type(scope._session.app).handle
    is_over = []

    def handle(app, accepted, **named):
        wait_until(lambda: is_over, PATIENCE_S)
        return start(app, accepted, **named)

    monkeypatch.setattr(type(scope._session.app), "handle", handle)
    interrupted(lambda: scope.film(None), when=lambda: system.leases.runs)
    is_over.append(True)

    wait_until(lambda: not system.leases.runs, PATIENCE_S)


def test_ctrl_c_while_it_closes_makes_it_hurry(config, interrupted, monkeypatch):
    scope = hal.open(config)
    run = scope.film(None)
    monkeypatch.setattr(type(run._handle), "cancel", lambda _handle: None)
    interrupted(scope.close, when=lambda: scope._session._is_closing)

    assert scope._session.is_hurried
    wait_until(lambda: scope._session.ended.is_set, PATIENCE_S)
    assert run.wait(progress=False).state.is_terminal


def test_no_image_in_time_is_said(config):
    slow = ["camera1.exposure_s=2", "camera1.max_fps=0.5"]
    with hal.open(config, overrides=slow) as scope:
        scope.film(None)
        with pytest.raises(DeviceTimeout, match=r"camera1: no image within 0\.01 s"):
            scope.camera1.latest(timeout_s=0.01)


class Cell:
    """What IPython gives a cell to show things in, and to change them."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, item, *, display_id: bool):
        assert display_id
        self.update(item)
        return self

    def update(self, item) -> None:
        self.shown.append(item._repr_html_())
        assert repr(item)


def test_in_a_notebook_the_bar_is_in_the_cell(scope, monkeypatch, capsys):
    cell = Cell()
    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", cell)
    scope.film(20).wait()

    assert len(cell.shown) >= 2
    assert cell.shown[0].startswith('<progress value="')
    assert cell.shown[-1] == (
        '<progress value="20" max="20"></progress> done: 20 of 20'
        "<br>camera1: 20 of 20 frames stored, 20 verified"
    )
    assert "frames stored" not in capsys.readouterr().err


def test_in_the_ipython_of_a_terminal_it_is_not(scope, monkeypatch, capsys):
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", Cell())
    scope.film(2).wait()

    assert "camera1: 2 of 2 frames stored" in capsys.readouterr().err
