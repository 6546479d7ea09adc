"""The acquisition module with real cameras, a real recorder and real messages."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hal.acquisition import FilmPlan, RunHandle, RunState, RunStatus
from hal.app import CLIENT
from hal.base import (
    BadInput,
    Carrier,
    DeviceError,
    ErrorRecord,
    InvalidMessage,
    OutputExists,
    PlanError,
    StateError,
)
from hal.client import ClientModule
from hal.kernel import StopModule
from hal.messages import (
    CameraFinished,
    CancelRun,
    FramesReceived,
    FramesStored,
    GetRunStatus,
    RecordingFailed,
    RunAccepted,
    RunStatusChanged,
    StartRun,
)
from hal.storage import DaxWriter, read_acquisition
from hal.testing import RunningHal, running_hal, wait_until
from modules.acquisition.acquisition import AcquisitionModule
from modules.cameras.camera import CameraModule
from tests.modules.bench import (
    PATIENCE_S,
    ScriptedCamera,
    camera_part,
    endless,
    files_in,
    rings_of,
    sim_part,
)
from tests.system.disks import mounted


def end_of(run: RunHandle) -> RunStatus:
    status = run.wait(PATIENCE_S)
    assert status is not None, f"still {run.status}"
    return status


def wait_for_frames(run: RunHandle, frames: int) -> None:
    wait_until(lambda: run.status.n_frames_received >= frames, PATIENCE_S)


def run_request(folder: Path, frames: int | None = 3, *cameras: str) -> StartRun:
    return StartRun(FilmPlan(frames, cameras), str(folder), formats=("dax",))


def assert_idle(hal: RunningHal) -> None:
    """No camera is armed, nothing is recorded, no run goes on."""
    for name in rings_of(hal).names:
        ring = rings_of(hal).get(name)
        assert ring.ended
        assert ring.readers == ()
    wait_until(lambda: not any(module.loops for module in hal.system.modules))


def test_a_film_is_done_when_every_frame_is_stored_and_verified(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    with running_hal(sim_part("left"), sim_part("right"), carrier=carrier) as hal:
        run = hal.film(tmp_path, 10, formats=("dax", "ome-tiff"), notes="a note")
        status = end_of(run)

        assert status.state is RunState.DONE, status
        assert status.n_frames_received == 20
        assert status.n_events_consumed == 10
        for camera in ("left", "right"):
            assert status.frames[camera].complete
            assert status.frames[camera].verified == 10
        assert all(Path(file).exists() for file in status.files)
        assert Path(status.files[-1]).name == "movie_0001.xml"
        assert_idle(hal)


def test_progress_is_told_with_the_id_of_the_run(tmp_path: Path) -> None:
    """R44."""
    with running_hal(sim_part()) as hal:
        run = hal.film(tmp_path, 3)
        end_of(run)

        hal.probe.wait_for(RunStatusChanged, lambda e: e.status.state.is_terminal)
        told = hal.probe.heard(RunStatusChanged)
        assert {event.run_id for event in told} == {run.run_id}
        assert [event.status.state.is_terminal for event in told].count(True) == 1
        assert told[-1].status == run.status


def test_the_handle_is_there_while_the_run_goes_on(tmp_path: Path) -> None:
    """R56."""
    with running_hal(camera_part(ScriptedCamera())) as hal:
        before_s = time.monotonic()
        run = hal.film(tmp_path, None)

        assert time.monotonic() - before_s < 2.0
        assert run.is_running
        run.cancel()
        end_of(run)


@pytest.mark.parametrize(
    ("cameras", "words"),
    [
        (("camra1",), "no camera 'camra1': expected one of camera1; did you mean"),
        (("camera1", "x"), "no camera 'x'"),
    ],
)
def test_a_plan_for_an_unknown_camera_is_refused(
    tmp_path: Path, cameras: tuple[str, ...], words: str
) -> None:
    """R56."""
    with running_hal(sim_part()) as hal:
        with pytest.raises(PlanError, match=words):
            hal.film(tmp_path, 3, cameras=cameras)
        assert_idle(hal)


def test_a_film_without_any_camera_is_refused(tmp_path: Path) -> None:
    """R56."""
    with running_hal() as hal, pytest.raises(PlanError, match="there is no camera"):
        hal.film(tmp_path, 3)


def test_a_film_of_no_frames_is_not_even_a_message(tmp_path: Path) -> None:
    with (
        running_hal(sim_part()) as hal,
        pytest.raises(InvalidMessage, match=r"plan\.frames"),
    ):
        hal.film(tmp_path, 0)


def test_a_camera_named_twice_is_filmed_once(tmp_path: Path) -> None:
    with running_hal(sim_part()) as hal:
        status = end_of(hal.film(tmp_path, 3, cameras=("camera1", "camera1")))

    assert status.state is RunState.DONE
    assert list(status.frames) == ["camera1"]


def test_only_the_cameras_of_the_plan_are_filmed(tmp_path: Path) -> None:
    with running_hal(sim_part("left"), sim_part("right")) as hal:
        status = end_of(hal.film(tmp_path, 3, cameras=("right",)))

    assert list(status.frames) == ["right"]


def test_a_second_run_while_one_goes_on_is_refused(tmp_path: Path) -> None:
    """R63."""
    with running_hal(camera_part(ScriptedCamera())) as hal:
        run = hal.film(tmp_path, None)

        with pytest.raises(StateError, match=f"run {run.run_id} is going on"):
            hal.film(tmp_path, 3)

        assert run.is_running
        run.cancel()
        assert end_of(run).state is RunState.CANCELLED


def test_a_run_that_needs_a_degraded_camera_is_refused_with_the_reason(
    tmp_path: Path,
) -> None:
    broken = ScriptedCamera()
    broken.on_apply = DeviceError("no camera on USB")
    with running_hal(sim_part("good"), camera_part(broken, "bad")) as hal:
        with pytest.raises(StateError, match="bad is degraded: no camera on USB"):
            hal.film(tmp_path, 3)

        assert_idle(hal)
        assert files_in(tmp_path) == []
        status = end_of(hal.film(tmp_path, 3, cameras=("good",)))
        assert status.state is RunState.DONE


def test_what_is_wrong_with_the_output_is_the_answer_and_nothing_is_left(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    """R62."""
    (tmp_path / "taken.dax").write_bytes(b"old")
    with running_hal(sim_part(), carrier=carrier) as hal:
        with pytest.raises(OutputExists):
            hal.film(tmp_path, 3, name="taken")
        assert_idle(hal)
        with pytest.raises(BadInput, match="did you mean 'dax'"):
            hal.film(tmp_path, 3, formats=("daxx",))
        with pytest.raises(BadInput, match="no film format"):
            hal.film(tmp_path, 3, formats=())

        assert_idle(hal)
        assert files_in(tmp_path) == ["taken.dax"]
        assert end_of(hal.film(tmp_path, 3)).state is RunState.DONE


def test_cancel_keeps_what_is_stored(tmp_path: Path, carrier: Carrier | None) -> None:
    """R66, R98."""
    with running_hal(sim_part(max_fps=200.0), carrier=carrier) as hal:
        run = hal.film(tmp_path, 100_000)
        wait_for_frames(run, 5)

        run.cancel()
        status = end_of(run)

        assert status.state is RunState.CANCELLED
        assert status.fatal_error is None
        assert status.background_errors == ()
        stored = status.frames["camera1"].stored
        assert stored >= 5
        sidecar = read_acquisition(Path(status.files[-1]))
        assert (sidecar["state"], sidecar["number_frames"]) == (
            "cancelled",
            f"{stored}",
        )
        assert_idle(hal)


def test_cancel_does_not_wait_for_a_long_exposure(tmp_path: Path) -> None:
    """R69."""
    with running_hal(sim_part(exposure_s=30.0)) as hal:
        run = hal.film(tmp_path, 3)
        before_s = time.monotonic()

        run.cancel()

        assert end_of(run).state is RunState.CANCELLED
        assert time.monotonic() - before_s < 2.0
        assert files_in(tmp_path) == []


def test_a_run_can_be_started_the_moment_a_cancelled_one_has_ended(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    """R67: nothing of the cancelled run is in the way."""
    with running_hal(sim_part(), carrier=carrier) as hal:
        for _ in range(3):
            run = hal.film(tmp_path, 1_000_000)
            run.cancel()
            assert end_of(run).state is RunState.CANCELLED

            status = end_of(hal.film(tmp_path, 3))
            assert status.state is RunState.DONE
            assert status.frames["camera1"].stored == 3


def test_twenty_films_in_a_row_are_all_complete(tmp_path: Path) -> None:
    """R46: back-to-back runs leave the camera as it was."""
    with running_hal(sim_part()) as hal:
        runs = []
        for _ in range(20):
            runs.append(hal.film(tmp_path, 1))
            end_of(runs[-1])

        assert [run.status.state for run in runs] == [RunState.DONE] * 20
        names = {Path(run.status.files[0]).name for run in runs}
        assert names == {f"movie_{n:04d}.dax" for n in range(1, 21)}


def test_handles_of_runs_that_have_ended_are_not_collected(tmp_path: Path) -> None:
    with running_hal(sim_part()) as hal:
        client = hal.module(CLIENT, ClientModule)
        accepted = hal.ask(run_request(tmp_path))
        assert isinstance(accepted, RunAccepted)
        wait_until(partial(has_ended, hal, accepted.run_id), PATIENCE_S)
        hal.probe.wait_for(RunStatusChanged, lambda e: e.status.state.is_terminal)
        hal.probe.heard(RunStatusChanged)

        # Nobody will bring the client news of this one any more.
        late = client.handle(accepted, principal="script:test")

        assert not late.is_running
        end_of(hal.film(tmp_path, 1))
        assert late.run_id not in client._handles


def test_a_run_may_begin_before_the_end_of_the_last_one_was_told(
    tmp_path: Path,
) -> None:
    """R67: the two may come to the module at the same moment."""
    with running_hal(sim_part()) as hal:
        acquisition = hal.module("acquisition", AcquisitionModule)
        post_own, held = acquisition.post_own, []

        def hold(call: Any, *late: Any) -> None:
            if getattr(call, "func", None) == acquisition._close_run:
                held.append(call)
            else:
                post_own(call, *late)

        acquisition.post_own = hold  # type: ignore[method-assign]
        acquisition._run_ended = lambda *_: None  # type: ignore[method-assign]
        first = hal.ask(run_request(tmp_path))
        assert isinstance(first, RunAccepted)
        wait_until(lambda: held, PATIENCE_S)

        second = hal.film(tmp_path, 2)
        for call in held:
            post_own(call)
        acquisition.post_own = post_own  # type: ignore[method-assign]

        assert end_of(second).state is RunState.DONE
        assert has_ended(hal, first.run_id)
        ends = [
            event.run_id
            for event in hal.probe.heard(RunStatusChanged)
            if event.status.state.is_terminal
        ]
        assert ends.count(first.run_id) == 1


def test_the_end_of_a_run_is_told_only_when_the_next_may_begin(tmp_path: Path) -> None:
    """R46: whoever starts a run on hearing of the end is never told `going on`."""
    with running_hal(sim_part()) as hal:
        for _ in range(15):
            accepted = hal.ask(run_request(tmp_path, 1))
            assert isinstance(accepted, RunAccepted)
            wait_until(partial(has_ended, hal, accepted.run_id), PATIENCE_S)


def has_ended(hal: RunningHal, run_id: str) -> bool:
    """Whether an end was told, by whichever way it is heard of first."""
    status = hal.ask(GetRunStatus(run_id))
    assert isinstance(status, RunStatus)
    return status.state.is_terminal


def test_the_status_of_past_runs_can_be_asked_for(tmp_path: Path) -> None:
    with running_hal(sim_part()) as hal:
        runs = [hal.film(tmp_path, 2)]
        end_of(runs[0])
        runs.append(hal.film(tmp_path, 3))
        end_of(runs[1])

        for run in runs:
            assert hal.ask(GetRunStatus(run.run_id)) == run.status
        with pytest.raises(StateError, match="there was no run x"):
            hal.ask(GetRunStatus("x"))


def test_cancelling_a_run_that_is_over_or_unknown_is_harmless(tmp_path: Path) -> None:
    with running_hal(sim_part()) as hal:
        run = hal.film(tmp_path, 2)
        end_of(run)

        hal.ask(CancelRun(run.run_id))
        hal.ask(CancelRun("unknown"))

        assert end_of(hal.film(tmp_path, 2)).state is RunState.DONE


def test_news_of_other_runs_changes_nothing(tmp_path: Path) -> None:
    """R44."""
    not_ours = ErrorRecord(kind="DeviceError", text="no answer", source="camera1")
    with running_hal(camera_part(ScriptedCamera(0, None))) as hal:
        run = hal.film(tmp_path, None)
        wait_for_frames(run, 1)
        for event in (
            FramesReceived("other", "camera1", 0, 99),
            FramesStored("other", "camera1", 0, 99),
            RecordingFailed("other", "camera1", not_ours),
            CameraFinished("other", "camera1", 99, not_ours),
        ):
            hal.send(event).wait()

        status = hal.ask(GetRunStatus(run.run_id))
        assert isinstance(status, RunStatus)
        assert status.n_frames_received == 1
        run.cancel()
        assert end_of(run).state is RunState.CANCELLED


def test_news_of_the_run_after_its_end_changes_nothing(tmp_path: Path) -> None:
    """R44."""
    late = ErrorRecord(kind="DeviceError", text="late", source="camera1")
    with running_hal(sim_part()) as hal:
        run = hal.film(tmp_path, 2)
        before = end_of(run)

        hal.send(FramesReceived(run.run_id, "camera1", 5, 9)).wait()
        hal.send(CameraFinished(run.run_id, "camera1", 0, late)).wait()

        assert hal.ask(GetRunStatus(run.run_id)) == before


def test_lost_frames_fail_the_film_by_their_numbers(tmp_path: Path) -> None:
    with running_hal(camera_part(ScriptedCamera(0, 1, 4, 5, 6, 9))) as hal:
        status = end_of(hal.film(tmp_path, 10))

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    text = "camera1: 6 of 10 frames stored, 4 missing: 2-3, 7-8"
    assert str(status.fatal_error) == text
    sidecar = read_acquisition(Path(status.files[-1]))
    assert sidecar["state"] == "error"
    assert sidecar["frames.camera1.gaps"] == "2,3,7,8"


def test_a_camera_that_fails_stops_the_others_and_keeps_their_frames(
    tmp_path: Path,
) -> None:
    """R6."""
    bad = ScriptedCamera(0, 1, DeviceError("cable pulled"))
    good = ScriptedCamera()
    good.script = endless()
    with running_hal(camera_part(bad, "bad"), camera_part(good, "good")) as hal:
        run = hal.film(tmp_path, None)
        status = end_of(run)

        assert status.state is RunState.ERROR
        assert status.fatal_error is not None
        assert str(status.fatal_error) == "bad: cable pulled"
        assert status.fatal_error.kind == "DeviceError"
        assert status.frames["bad"].stored == 2
        assert status.frames["good"].complete
        assert_idle(hal)


def test_a_recorder_that_fails_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R62."""

    def fail(*_args: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(DaxWriter, "_do_append", fail)
    with running_hal(sim_part()) as hal:
        status = end_of(hal.film(tmp_path, 10))

        assert status.state is RunState.ERROR
        assert status.fatal_error is not None
        assert "could not write frame 0: Input/output error" in status.fatal_error.text
        assert files_in(tmp_path) == []
        assert_idle(hal)


def test_a_full_disk_ends_the_run_and_the_next_film_goes_elsewhere(
    tmp_path: Path,
) -> None:
    full, elsewhere = tmp_path / "full", tmp_path / "elsewhere"
    full.mkdir()
    with (
        mounted(full, "size=1m") as disk,
        running_hal(sim_part(width_px=128, height_px=128, max_fps=500.0)) as hal,
    ):
        run = hal.film(disk.outside, None)
        status = end_of(run)

        assert status.state is RunState.ERROR
        assert status.fatal_error is not None
        assert "no space left" in status.fatal_error.text
        assert status.fatal_error.kind == "DiskFull"
        assert status.fatal_error.source == "recorder"
        told = [str(error) for error in status.background_errors]
        assert all(" missing: " in line for line in told), told
        stored = status.frames["camera1"].stored
        assert 25 <= stored < 32
        pixels = Path(status.files[0]).read_bytes()
        assert len(pixels) == stored * 128 * 128 * 2
        assert_idle(hal)
        assert end_of(hal.film(elsewhere, 10)).state is RunState.DONE


def test_a_stopping_hal_cancels_its_run_and_closes_its_files(tmp_path: Path) -> None:
    """R89."""
    with running_hal(sim_part(max_fps=200.0)) as hal:
        run = hal.film(tmp_path, None)
        wait_for_frames(run, 3)

    status = run.wait(0.0)
    assert status is not None
    assert status.state is RunState.CANCELLED
    assert read_acquisition(Path(status.files[-1]))["state"] == "cancelled"


def test_a_stopping_hal_gives_up_a_run_that_is_being_prepared(tmp_path: Path) -> None:
    """R95: at once, not after the run that will never begin."""
    armed = threading.Event()
    release = threading.Event()
    driver = ScriptedCamera()
    with running_hal(camera_part(driver)) as hal:
        make = rings_of(hal).create

        def slow_make(*args: object) -> object:
            armed.set()
            release.wait(5.0)
            return make(*args)  # type: ignore[arg-type]

        rings_of(hal).create = slow_make  # type: ignore[method-assign,assignment]
        delivery = hal.send(run_request(tmp_path))
        assert armed.wait(5.0)
        stopping = hal.send(StopModule(), to="acquisition")
        release.set()

        assert stopping.wait(2.0)
        assert not stopping.errors
        assert delivery.complete
        assert "cancelled" in delivery.errors[0].text
        assert hal.module("camera1", CameraModule).loops == ()
        assert files_in(tmp_path) == []


def test_a_run_request_survives_the_wire(tmp_path: Path) -> None:
    request = run_request(tmp_path, 5, "camera1")

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=StartRun) == (
        request
    )
