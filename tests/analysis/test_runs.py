"""R64, R94: analyses see every frame before a run is over, and cannot harm it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hal.acquisition import RunState, RunStatus
from hal.acquisition.plans import Phase, explicit
from hal.base import Carrier, ModuleState, PlanError, StateError, UnsupportedError
from hal.frames import FrameInfo
from hal.kernel import StopModule
from hal.messages import (
    AnalysisFailed,
    BeginAnalysis,
    CatchUpAnalysis,
    EndAnalysis,
    FocusScore,
    GetFocusScore,
    RunStatusChanged,
)
from hal.testing import RunningHal, running_hal, wait_until
from tests.analysis.bench import (
    PATIENCE_S,
    FragileAnalysis,
    Script,
    analysis_part,
    begin,
    camera_part,
    end_of,
    errors,
    image,
)
from tests.isolation.bench import isolated_part
from tests.modules.bench import rings_of

FRAMES = 12


def film(hal: RunningHal, folder: Path, frames: int | None = FRAMES) -> RunStatus:
    """Take a film; every frame of it must be there whatever analyses do."""
    status = end_of(hal.film(folder, frames))
    assert status.state is RunState.DONE, status
    assert status.frames["camera1"].verified == frames
    return status


def assert_free(hal: RunningHal) -> None:
    """Nobody has a place in a ring any more."""
    rings = rings_of(hal)
    wait_until(lambda: not any(rings.get(name).readers for name in rings.names))


def test_every_frame_was_analysed_when_a_run_is_over(
    tmp_path: Path, script: Script, carrier: Carrier | None
) -> None:
    pause = threading.Event()
    script.at_frame = lambda info: pause.wait(0.01)  # slower than the camera
    with running_hal(camera_part(), analysis_part(script), carrier=carrier) as hal:
        for _ in range(2):
            script.calls.clear()
            status = film(hal, tmp_path)

            assert script.frames == list(range(FRAMES))
            assert script.calls[0] == "begin"
            assert script.calls[-1] == "end"
            assert errors(status) == []
        assert script.threads == {"smart/1/loop"}
        assert_free(hal)


def test_the_files_of_an_analysis_belong_to_the_run(
    tmp_path: Path, script: Script
) -> None:
    def write(stem: Path | None) -> tuple[Path, ...]:
        assert stem is not None
        path = stem.with_name(stem.name + "_table.csv")
        path.write_text("x")
        return (path,)

    script.at_end = write
    with running_hal(camera_part(), analysis_part(script)) as hal:
        status = film(hal, tmp_path)

    assert str(tmp_path / "movie_0001_table.csv") in status.files
    assert status.files[-1].endswith("movie_0001.xml")


def test_it_knows_which_event_and_phase_a_frame_is_for(
    tmp_path: Path, script: Script
) -> None:
    seen: list[tuple[int, str]] = []

    def note(info: FrameInfo) -> None:
        assert script.run is not None
        event = script.run.event_of(info)
        assert event is script.run.event_of(info)
        seen.append((event.index["t"], event.phase))

    script.at_frame = note
    phases = (Phase("before"), Phase("after", "Drug"))
    events = [image(n, phase="before" if n < 2 else "after") for n in range(4)]
    with running_hal(camera_part(), analysis_part(script)) as hal:
        status = end_of(begin(hal, tmp_path, explicit(events, phases=phases)))

    assert status.state is RunState.DONE
    assert seen == [(0, "before"), (1, "before"), (2, "after"), (3, "after")]
    assert script.run is not None
    assert script.run.phases == phases


def test_an_event_that_the_plan_does_not_have_is_an_error(
    tmp_path: Path, script: Script
) -> None:
    found: list[object] = []

    def look(info: FrameInfo) -> None:
        assert script.run is not None
        for number in (1, 0, 9):
            other = FrameInfo(
                camera="camera1",
                index=number,
                event_index=number,
                host_s=0.0,
                exposure_s=0.1,
                shape=(1, 1),
                dtype="uint16",
            )
            found.append(script.run.event_of(other).index["t"])

    script.at_frame = look
    with running_hal(camera_part(), analysis_part(script)) as hal:
        status = end_of(begin(hal, tmp_path, image(5), image(6)))

    assert found == [6, 5]
    assert "has no event 9" in errors(status)[0]


def test_one_that_raises_costs_no_frame_and_is_told(
    tmp_path: Path, script: Script
) -> None:
    def fail(info: FrameInfo) -> None:
        if info.index == 3:
            raise ZeroDivisionError("no light")

    script.at_frame = fail
    with running_hal(camera_part(), analysis_part(script)) as hal:
        status = film(hal, tmp_path)

        assert script.frames == [0, 1, 2]
        assert errors(status) == ["smart: ZeroDivisionError: no light"]
        assert_free(hal)

        script.at_frame = lambda info: None
        status = film(hal, tmp_path)
        assert errors(status) == []
        assert script.frames[3:] == list(range(FRAMES))


def test_one_that_exits_costs_no_frame_and_is_told(
    tmp_path: Path, script: Script
) -> None:
    def leave(info: FrameInfo) -> None:
        raise SystemExit(3)

    script.at_frame = leave
    with running_hal(camera_part(), analysis_part(script)) as hal:
        status = film(hal, tmp_path)

    assert errors(status) == ["smart: SystemExit: 3"]


def test_one_that_hangs_costs_no_frame_and_is_told_once(
    tmp_path: Path, script: Script, gate: threading.Event
) -> None:
    script.at_frame = lambda info: gate.wait(PATIENCE_S) if info.index == 2 else None
    parts = camera_part(), analysis_part(script, stall_s=1.0)
    with running_hal(*parts) as hal:
        status = film(hal, tmp_path)

        (error,) = errors(status)
        assert "loop 'analyse' of smart has not beaten" in error, error
        assert script.frames == [0, 1]
        gate.set()


def test_one_that_hangs_while_the_run_goes_on_is_told_once(
    tmp_path: Path, script: Script, gate: threading.Event
) -> None:
    script.at_frame = lambda info: gate.wait(PATIENCE_S) if info.index == 2 else None
    parts = camera_part(), analysis_part(script, stall_s=1.0)
    with running_hal(*parts) as hal:
        run = hal.film(tmp_path, None)
        failed = hal.probe.wait_for(AnalysisFailed, timeout_s=PATIENCE_S)
        wait_until(lambda: hal.system.module("smart").generation > 1, PATIENCE_S)
        assert_only_recorded(hal)
        gate.set()
        run.cancel()
        status = end_of(run)

    assert failed.run_id == run.run_id
    assert status.state is RunState.CANCELLED
    assert len(errors(status)) == 1
    counts = status.frames["camera1"]
    assert counts.received == counts.stored == counts.verified


def test_one_whose_process_dies_costs_no_frame_and_is_told(tmp_path: Path) -> None:
    fragile = isolated_part("smart", FragileAnalysis)
    fragile.arguments["launch"].values["deadly"] = "2"
    with running_hal(camera_part(), fragile) as hal:
        run = hal.film(tmp_path, None)
        # Its successor has nothing to do with this run: the camera is not held up.
        wait_until(lambda: hal.system.module("smart").generation > 1, PATIENCE_S)
        assert_only_recorded(hal)
        run.cancel()
        status = end_of(run)

    (error,) = errors(status)
    assert "smart is restarting" in error
    counts = status.frames["camera1"]
    assert counts.received == counts.stored == counts.verified


def test_what_is_left_after_the_drain_time_is_an_error(
    tmp_path: Path, script: Script, gate: threading.Event
) -> None:
    script.at_frame = lambda info: gate.wait(0.05)
    with running_hal(camera_part(), analysis_part(script)) as hal:
        run = hal.film(tmp_path, None)
        wait_until(lambda: run.status.n_frames_received > 50, PATIENCE_S)

        with pytest.raises(Exception, match=r"has not analysed \d+ frames within 0 s"):
            hal.ask(EndAnalysis(run.run_id, 0.0), to="smart")
        run.cancel()
        status = end_of(run)

    # Who asked was told; the run's own question finds nobody left.
    assert status.state is RunState.CANCELLED


def test_a_run_that_it_cannot_begin_goes_on_without_it(
    tmp_path: Path, script: Script
) -> None:
    def refuse() -> None:
        raise ValueError("no model")

    script.at_begin = refuse
    with running_hal(camera_part(), analysis_part(script)) as hal:
        status = film(hal, tmp_path)

    assert errors(status) == ["smart: ValueError: no model"]
    assert script.frames == []


def test_it_watches_the_camera_it_is_told_to(tmp_path: Path) -> None:
    right, absent = Script(), Script()
    parts = (
        *(camera_part("left"), camera_part("right")),
        analysis_part(right, "one", source="right"),
        analysis_part(absent, "other", source="middle"),
    )
    with running_hal(*parts) as hal:
        status = end_of(hal.film(tmp_path, 3))

    assert right.frames == [0, 1, 2]
    assert right.run is not None
    assert right.run.camera.camera == "right"
    assert absent.calls == []
    assert errors(status) == []


def test_two_runs_at_once_are_refused(tmp_path: Path, script: Script) -> None:
    with running_hal(camera_part(), analysis_part(script)) as hal:
        run = hal.film(tmp_path, None)
        assert script.run is not None
        request = BeginAnalysis("other", (script.run.camera,), script.run.plan)

        with pytest.raises(StateError, match="busy with another run"):
            hal.ask(request, to="smart")
        with pytest.raises(StateError, match="does not watch run other"):
            hal.ask(GetFocusScore("other"), to="smart")
        # Who is not concerned has nothing to do.
        assert hal.ask(CatchUpAnalysis("other"), to="smart") is None
        assert hal.ask(EndAnalysis("other", 1.0), to="smart") is None

        run.cancel()
        assert errors(end_of(run)) == []


def test_it_tells_how_sharp_the_sample_is(tmp_path: Path, script: Script) -> None:
    with running_hal(camera_part(), analysis_part(script)) as hal:
        run = hal.film(tmp_path, None)
        with pytest.raises(UnsupportedError, match="no focus score"):
            hal.ask(GetFocusScore(run.run_id), to="smart")
        script.score = 0.5
        assert hal.ask(GetFocusScore(run.run_id), to="smart") == FocusScore(0.5)
        run.cancel()
        end_of(run)


def test_hal_can_stop_while_one_watches(tmp_path: Path, script: Script) -> None:
    with running_hal(camera_part(), analysis_part(script)) as hal:
        run = hal.film(tmp_path, None)
        wait_until(lambda: script.frames, PATIENCE_S)
        hal.ask(StopModule(), to="smart")

        wait_until(lambda: not hal.system.module("smart").loops, PATIENCE_S)
        assert_only_recorded(hal)
        run.cancel()
        status = end_of(run)
        assert hal.system.module("smart").state is ModuleState.STOPPED
        assert status.state is RunState.CANCELLED


def test_one_that_is_stopped_before_the_end_says_so(
    tmp_path: Path, script: Script
) -> None:
    with running_hal(camera_part(), analysis_part(script)) as hal:
        run = hal.film(tmp_path, None)
        ending = hal.send(EndAnalysis(run.run_id, 60.0), to="smart")
        hal.ask(CatchUpAnalysis(run.run_id), to="smart")  # it has heard of the end
        hal.ask(StopModule(), to="smart")

        assert ending.wait(PATIENCE_S)
        (error,) = ending.errors
        assert "smart was stopped before all was analysed" in error.text
        run.cancel()
        end_of(run)


def assert_only_recorded(hal: RunningHal) -> None:
    ring = rings_of(hal).get("camera1")
    others = [reader.name for reader in ring.readers if reader.name != "recorder"]
    wait_until(
        lambda: all(reader.name == "recorder" for reader in ring.readers),
        15.0,  # sooner than a dead reader's place is free by itself
        what=f"the end of {others}",
    )


# -- adding to the plan ------------------------------------------------------------


def test_what_it_adds_at_the_last_frame_is_done(
    tmp_path: Path, script: Script, carrier: Carrier | None
) -> None:
    taken: list[bool] = []

    def extend(info: FrameInfo) -> None:
        assert script.module is not None
        assert script.run is not None
        if info.index in (1, 3):
            more = explicit([image(0), image(1)])
            taken.append(script.module.extend(more))
        assert script.run.event_of(info).index["t"] == info.index

    script.at_frame = extend
    with running_hal(camera_part(), analysis_part(script), carrier=carrier) as hal:
        status = end_of(begin(hal, tmp_path, image(0), image(1)))

    assert taken == [True, True]
    assert script.frames == [0, 1, 2, 3, 4, 5]
    assert (status.state, status.n_events_total) == (RunState.DONE, 6)
    assert status.frames["camera1"].verified == 6
    assert errors(status) == []


def test_what_comes_after_the_end_is_not_done(tmp_path: Path, script: Script) -> None:
    taken: list[bool] = []

    def late(stem: Path | None) -> tuple[Path, ...]:
        assert script.module is not None
        taken.append(script.module.extend(explicit([image(0)])))
        return ()

    script.at_end = late
    with running_hal(camera_part(), analysis_part(script)) as hal:
        status = end_of(begin(hal, tmp_path, image(0)))

    assert taken == [False]
    assert (status.state, errors(status)) == (RunState.DONE, [])


def test_what_cannot_be_added_is_refused(tmp_path: Path, script: Script) -> None:
    refused: list[str] = []

    def extend(info: FrameInfo) -> None:
        assert script.module is not None
        with pytest.raises(PlanError) as caught:
            script.module.extend(explicit([image(0, camera="camera9")]))
        refused.append(str(caught.value))

    script.at_frame = extend
    with running_hal(camera_part(), analysis_part(script)) as hal:
        status = end_of(begin(hal, tmp_path, image(0)))
        assert script.module is not None
        with pytest.raises(StateError, match="watches no run"):
            script.module.extend(explicit([image(0)]))

        def too_early() -> None:
            assert script.module is not None
            script.module.extend(explicit([image(0)]))

        script.at_begin = too_early
        early = end_of(begin(hal, tmp_path, image(0)))
        assert errors(early) == ["smart watches no run that has begun"]

    assert "camera9" in refused[0]
    assert errors(status) == []


def test_the_status_says_that_frames_are_looked_at(
    tmp_path: Path, script: Script
) -> None:
    with running_hal(camera_part(), analysis_part(script)) as hal:
        film(hal, tmp_path)

        steps = [told.status.step for told in hal.probe.heard(RunStatusChanged)]
    assert "analysing" in steps
