"""The feed module in films: live, recorded, and when something goes wrong."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from hal.acquisition import RunHandle, RunState, RunStatus
from hal.base import (
    BadInput,
    Carrier,
    DeviceError,
    DeviceTimeout,
    ParameterError,
    PlanError,
    StateError,
    Value,
)
from hal.frames import Frame, FrameRing
from hal.kernel import RunLost
from hal.messages import (
    ArmCamera,
    CameraArmed,
    CameraFinished,
    FramesReceived,
    SetParameters,
    StartCamera,
    StopCamera,
)
from hal.storage import read_acquisition
from hal.testing import Part, RunningHal, part, running_hal, wait_until
from modules.feeds import feed as feed_module
from modules.feeds.feed import FeedModule
from modules.feeds.mean import Mean
from tests.modules.bench import (
    PATIENCE_S,
    RUN_ID,
    SIZE_PX,
    FilmSource,
    ScriptedCamera,
    camera_part,
    endless,
    files_in,
    ring_of,
    rings_of,
    sim_part,
)
from tests.system.running import trace_records


def feed_part(
    kind: str,
    name: str = "",
    *,
    source: str = "camera1",
    save: bool = True,
    **values: Value,
) -> Part:
    more: dict[str, Any] = {"kind": kind, "source": source, "save": save}
    return part(name or kind, FeedModule, **(more | values))


def end_of(run: RunHandle) -> RunStatus:
    status = run.wait(PATIENCE_S)
    assert status is not None, f"still {run.status}"
    return status


def pixels_of(path: Path) -> list[int]:
    """Return the first pixel of each frame; all of a frame are the same."""
    frames = np.fromfile(path, "<u2").reshape(-1, SIZE_PX * SIZE_PX)
    assert (frames == frames[:, :1]).all()
    return [int(number) for number in frames[:, 0]]


def frames_in(ring: FrameRing) -> list[Frame]:
    """Return all frames of a ring that has ended."""
    reader = ring.open_reader("test", from_start=True)
    found = []
    while (frame := reader.next(1.0)) is not None:
        found.append(Frame(frame.info, frame.pixels.copy()))
        reader.release()
    reader.close()
    return found


def assert_idle(hal: RunningHal) -> None:
    for name in rings_of(hal).names:
        assert rings_of(hal).get(name).ended
        assert rings_of(hal).get(name).readers == ()
    wait_until(lambda: not any(module.loops for module in hal.system.modules))


def test_an_average_has_a_file_and_an_account_of_its_own(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    camera = ScriptedCamera(*range(20))
    feed = feed_part("average", frames_to_average=4)
    with running_hal(camera_part(camera), feed, carrier=carrier) as hal:
        status = end_of(hal.film(tmp_path, 20))

        assert (status.state, status.fatal_error) == (RunState.DONE, None)
        assert [Path(file).name for file in status.files] == [
            "movie_0001.dax",
            "movie_0001.inf",
            "movie_0001_average.dax",
            "movie_0001_average.inf",
            "movie_0001.xml",
        ]
        assert pixels_of(tmp_path / "movie_0001.dax") == [*range(20)]
        # (0 + 1 + 2 + 3) / 4 is 1.5, and halves are rounded up.
        assert pixels_of(tmp_path / "movie_0001_average.dax") == [2, 6, 10, 14, 18]
        counts = status.frames["average"]
        assert (counts.planned, counts.stored, counts.verified) == (5, 5, 5)
        assert (status.n_events_consumed, status.n_frames_received) == (20, 20)
        assert_idle(hal)
    sidecar = read_acquisition(tmp_path / "movie_0001.xml")
    assert (sidecar["state"], sidecar["number_frames"]) == ("done", "20")


def test_an_interval_takes_positions_and_a_slice_takes_a_part(tmp_path: Path) -> None:
    camera = sim_part(max_fps=500.0)
    feeds = (
        feed_part("interval", cycle_length=5, capture_frames="0, 3"),
        feed_part("slice", x_px=2, y_px=4, width_px=8, extension="corner"),
        feed_part("average", frames_to_average=9, y_px=3, height_px=2),
    )
    with running_hal(camera, *feeds) as hal:
        status = end_of(hal.film(tmp_path, 9, formats=("ome-tiff",)))

    assert status.state is RunState.DONE, status
    whole = tifffile.imread(tmp_path / "movie_0001.ome.tiff")
    some = tifffile.imread(tmp_path / "movie_0001_interval.ome.tiff")
    corner = tifffile.imread(tmp_path / "movie_0001_corner.ome.tiff")
    assert (some == whole[[0, 3, 5, 8]]).all()
    assert (corner == whole[:, 4:, 2:10]).all()
    (mean,) = [file for file in status.files if "average" in file]
    sums = whole[:, 3:5].sum(axis=0, dtype=np.uint32)
    assert (tifffile.imread(mean) == (sums + 4) // 9).all()
    assert status.frames["interval"].planned == 4
    assert status.frames["slice"].planned == 9


def test_a_frame_of_a_feed_tells_what_it_is_made_of() -> None:
    feeds = (
        feed_part("average", frames_to_average=3),
        feed_part("interval", cycle_length=3, capture_frames="1"),
    )
    with running_hal(sim_part(exposure_s=0.02), *feeds) as hal:
        armed = hal.ask(ArmCamera(RUN_ID, 6), to="camera1")
        assert isinstance(armed, CameraArmed)
        for feed in ("average", "interval"):
            hal.ask(ArmCamera(RUN_ID, 6, armed), to=feed)
            hal.ask(StartCamera(RUN_ID), to=feed)
        hal.ask(StartCamera(RUN_ID), to="camera1")
        wait_until(lambda: len(hal.probe.heard(CameraFinished)) == 3, PATIENCE_S)
        source = [frame.info for frame in frames_in(ring_of(hal))]
        mean = [frame.info for frame in frames_in(ring_of(hal, "average"))]
        some = [frame.info for frame in frames_in(ring_of(hal, "interval"))]

    for made, of, exposure_s in ((mean, (2, 5), 0.06), (some, (1, 4), 0.02)):
        assert [info.index for info in made] == [0, 1]
        assert [info.event_index for info in made] == [*of]
        assert [info.hardware_counter for info in made] == [*of]
        assert [info.host_s for info in made] == [source[n].host_s for n in of]
        assert [info.hardware_s for info in made] == [source[n].hardware_s for n in of]
        assert [info.exposure_s for info in made] == pytest.approx([exposure_s] * 2)
    assert {info.camera for info in mean} == {"average"}


def test_a_lost_frame_is_mixed_into_no_average_and_leaves_a_named_gap(
    tmp_path: Path,
) -> None:
    camera = ScriptedCamera(0, 1, 2, 4, 5, 6, 7, 8)
    feed = feed_part("average", frames_to_average=3)
    with running_hal(camera_part(camera), feed) as hal:
        status = end_of(hal.film(tmp_path, 9))
        news = [e for e in hal.probe.heard(FramesReceived) if e.camera == "average"]

    assert [(batch.first, batch.last) for batch in news] == [(0, 0), (2, 2)]
    assert status.state is RunState.ERROR
    assert pixels_of(tmp_path / "movie_0001_average.dax") == [1, 7]
    assert status.frames["camera1"].gaps == (3,)
    assert status.frames["average"].gaps == (1,)
    assert pixels_of(tmp_path / "movie_0001.dax") == [0, 1, 2, 4, 5, 6, 7, 8]


def test_a_gap_shifts_no_later_frame_of_an_interval(tmp_path: Path) -> None:
    camera = ScriptedCamera(0, 1, 2, 4, 5, 6, 7, 8)
    feed = feed_part("interval", cycle_length=3, capture_frames="0")
    with running_hal(camera_part(camera), feed) as hal:
        status = end_of(hal.film(tmp_path, 9))

    assert pixels_of(tmp_path / "movie_0001_interval.dax") == [0, 6]
    assert status.frames["interval"].gaps == (1,)


@pytest.mark.parametrize(("script", "last"), [((0, 1, 3), 1), ((1,), 0)])
def test_a_gap_in_the_last_frame_is_told_though_nothing_comes_after_it(
    tmp_path: Path, script: tuple[int, ...], last: int
) -> None:
    """Of a film without a planned end: nothing else would show it."""
    feed = feed_part("average", frames_to_average=2)
    with running_hal(camera_part(ScriptedCamera(*script)), feed) as hal:
        run = hal.film(tmp_path, None)
        wait_until(lambda: run.status.n_frames_received == len(script), PATIENCE_S)
        run.cancel()
        status = end_of(run)

    assert f"average: its last frame, {last}, could not be made: camera1 has lost" in (
        " ".join(error.text for error in status.background_errors)
    )


def test_frames_too_few_for_another_average_are_dropped_and_stated(
    tmp_path: Path,
) -> None:
    camera = camera_part(ScriptedCamera(*range(7)))
    feed = feed_part("average", frames_to_average=4)
    logs = tmp_path / "logs"
    with running_hal(camera, feed, log_folder=logs) as hal:
        status = end_of(hal.film(tmp_path, 7))

    assert status.state is RunState.DONE, status
    assert pixels_of(tmp_path / "movie_0001_average.dax") == [2]
    assert (status.frames["average"].planned, status.frames["average"].gaps) == (1, ())
    (said,) = [r for r in trace_records(logs) if "too few" in r.get("event", "")]
    assert (said["module"], said["frames"]) == ("average", 3)


def test_a_film_too_short_for_a_single_average_has_no_file_of_it(
    tmp_path: Path,
) -> None:
    feed = feed_part("average", frames_to_average=4)
    with running_hal(camera_part(ScriptedCamera(0, 1)), feed) as hal:
        status = end_of(hal.film(tmp_path, 2))

    assert status.state is RunState.DONE, status
    assert status.frames["average"].planned == 0
    assert files_in(tmp_path) == ["movie_0001.dax", "movie_0001.inf", "movie_0001.xml"]


def test_a_cancelled_film_has_every_whole_frame_of_its_feeds(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    feed = feed_part("average", frames_to_average=3)
    with running_hal(sim_part(max_fps=300.0), feed, carrier=carrier) as hal:
        run = hal.film(tmp_path, None)
        wait_until(lambda: run.status.n_frames_received >= 20, PATIENCE_S)
        run.cancel()
        status = end_of(run)

        assert status.state is RunState.CANCELLED
        assert status.background_errors == ()
        frames = status.frames["camera1"].stored
        assert status.frames["average"].planned is None
        assert status.frames["average"].stored == frames // 3
        assert_idle(hal)
        assert end_of(hal.film(tmp_path, 6)).state is RunState.DONE


def test_a_feed_of_a_feed_is_recorded_as_well(tmp_path: Path) -> None:
    feeds = (
        feed_part("slice", "corner", source="mean", width_px=4, height_px=2),
        feed_part("average", "mean", frames_to_average=2),
    )
    with running_hal(camera_part(ScriptedCamera(*range(8))), *feeds) as hal:
        status = end_of(hal.film(tmp_path, 8))

    assert status.state is RunState.DONE, status
    assert {n: c.stored for n, c in status.frames.items()} == {
        "camera1": 8,
        "mean": 4,
        "corner": 4,
    }
    corner = np.fromfile(tmp_path / "movie_0001_corner.dax", "<u2").reshape(-1, 2, 4)
    assert corner[:, 0, 0].tolist() == [1, 3, 5, 7]


def test_feeds_of_a_camera_that_is_not_filmed_are_left_alone(tmp_path: Path) -> None:
    feed = feed_part("slice", source="left")
    with running_hal(sim_part("left"), sim_part("right"), feed) as hal:
        status = end_of(hal.film(tmp_path, 3, cameras=("right",)))

        assert list(status.frames) == ["right"]
        assert "slice" not in rings_of(hal).names


def test_a_camera_keeps_its_file_name_and_two_have_theirs(tmp_path: Path) -> None:
    feed = feed_part("slice", source="left")
    with running_hal(sim_part("left"), sim_part("right"), feed) as hal:
        end_of(hal.film(tmp_path, 1, cameras=("left",), name="one"))
        end_of(hal.film(tmp_path, 1, name="two"))

    assert [name for name in files_in(tmp_path) if name.endswith(".dax")] == [
        *("one.dax", "one_slice.dax"),
        *("two_left.dax", "two_right.dax", "two_slice.dax"),
    ]


def test_arming_tells_what_the_film_of_a_feed_will_look_like() -> None:
    feeds = (
        feed_part("average", frames_to_average=3),
        feed_part("slice", x_px=2, y_px=1, width_px=4, height_px=3),
    )
    values = {"binning": 2, "roi_x_px": 4, "exposure_s": 0.02}
    with running_hal(sim_part(**values), *feeds) as hal:
        armed = hal.ask(ArmCamera(RUN_ID, 10), to="camera1")
        assert isinstance(armed, CameraArmed)
        mean = hal.ask(ArmCamera(RUN_ID, 10, armed), to="average")
        part_of_it = hal.ask(ArmCamera(RUN_ID, 10, armed), to="slice")

    assert isinstance(mean, CameraArmed)
    assert (mean.camera, mean.source, mean.extension) == (
        "average",
        "camera1",
        "average",
    )
    assert mean.frames == 3
    assert mean.exposure_s == pytest.approx(0.06)
    assert (mean.height, mean.width) == (armed.height, armed.width)
    assert mean.simulated
    assert isinstance(part_of_it, CameraArmed)
    assert (part_of_it.height, part_of_it.width) == (3, 4)
    assert (part_of_it.roi_x_px, part_of_it.roi_y_px) == (4 + 2 * 2, 1 * 2)
    assert part_of_it.frames == 10


def test_a_feed_takes_the_very_first_frame_even_if_it_comes_before_the_start() -> None:
    with running_hal(sim_part(), feed_part("slice")) as hal:
        source = FilmSource(hal, "camera1")
        source.put(0, 1)
        hal.ask(ArmCamera(RUN_ID, None, source.armed), to="slice")
        source.put(2)
        source.ring.end()
        hal.ask(StartCamera(RUN_ID), to="slice")
        end = hal.probe.wait_for(CameraFinished, timeout_s=PATIENCE_S)

    assert (end.frames, end.error) == (3, None)


# -- what goes wrong ------------------------------------------------------------------


def test_a_feed_that_fails_ends_the_run_and_the_frames_of_its_camera_are_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carrier: Carrier | None
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room for the sum")

    monkeypatch.setattr(Mean, "add", fail)
    camera = camera_part(ScriptedCamera(*range(3)))
    feed = feed_part("average", frames_to_average=2)
    with running_hal(camera, feed, carrier=carrier) as hal:
        status = end_of(hal.film(tmp_path, None))

        assert status.state is RunState.ERROR
        assert status.fatal_error is not None
        assert status.fatal_error.source == "average"
        assert "no room for the sum" in status.fatal_error.text
        stored = status.frames["camera1"].stored
        assert pixels_of(tmp_path / "movie_0001.dax") == [*range(stored)]
        assert_idle(hal)
        monkeypatch.undo()
        assert end_of(hal.film(tmp_path, 3)).state is RunState.DONE


def test_a_camera_that_fails_leaves_what_was_made_of_its_frames(tmp_path: Path) -> None:
    camera = camera_part(ScriptedCamera(0, 1, 2, 3, 4, DeviceError("cable pulled")))
    feed = feed_part("average", frames_to_average=2)
    with running_hal(camera, feed) as hal:
        status = end_of(hal.film(tmp_path, 10))

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert (status.fatal_error.source, status.fatal_error.text) == (
        "camera1",
        "cable pulled",
    )
    assert pixels_of(tmp_path / "movie_0001_average.dax") == [1, 3]


def test_a_slow_feed_holds_up_its_camera_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    add = Mean.add

    def slow(self: Mean, pixels: Any) -> None:
        gate.wait(PATIENCE_S)
        add(self, pixels)

    monkeypatch.setattr(Mean, "add", slow)
    camera = camera_part(ScriptedCamera(), block_s=0.2)
    camera.arguments["driver"].script = endless()
    feed = feed_part("average", frames_to_average=2)
    with running_hal(camera, feed) as hal:
        run = hal.film(tmp_path, None)
        end = hal.probe.wait_for(
            CameraFinished, lambda e: e.camera == "camera1", PATIENCE_S
        )
        gate.set()
        status = end_of(run)

    assert end.error is not None
    assert "held up for 0.2 s: average is" in end.error.text
    assert status.state is RunState.ERROR
    stored = status.frames["camera1"].stored
    assert pixels_of(tmp_path / "movie_0001.dax") == [*range(stored)]
    assert status.frames["average"].stored == stored // 2


def test_a_feed_that_nobody_stores_gives_up_and_lets_its_camera_go(
    tmp_path: Path,
) -> None:
    feed = feed_part("slice", block_s=0.2)
    with running_hal(camera_part(ScriptedCamera(*range(200))), feed) as hal:
        hal.module("slice", FeedModule)
        armed = hal.ask(ArmCamera(RUN_ID, None), to="camera1")
        assert isinstance(armed, CameraArmed)
        hal.ask(ArmCamera(RUN_ID, None, armed), to="slice")
        ring = rings_of(hal)
        slots = ring.get("slice").slots
        ring.get("slice").open_reader("sleeper", from_start=True)
        camera = hal.module("camera1", type(hal.system.module("camera1")))
        driver = camera._driver  # type: ignore[attr-defined]
        driver.script = endless()
        hal.ask(StartCamera(RUN_ID), to="slice")
        hal.ask(StartCamera(RUN_ID), to="camera1")

        end = hal.probe.wait_for(
            CameraFinished, lambda e: e.camera == "slice", PATIENCE_S
        )
        assert end.error is not None
        assert end.error.text == (
            f"slice was held up for 0.2 s: sleeper is {slots} frames behind; "
            f"{slots} frames were made"
        )
        wait_until(lambda: ring.get("camera1").readers == (), PATIENCE_S)
        hal.ask(StopCamera(RUN_ID), to="camera1")
        hal.ask(StopCamera(RUN_ID), to="slice")


def test_a_slice_beyond_the_frame_is_the_answer_and_nothing_is_left(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    feed = feed_part("slice", x_px=12, width_px=8)
    with running_hal(sim_part(), feed, carrier=carrier) as hal:
        with pytest.raises(BadInput, match="8x16 px at column 12"):
            hal.film(tmp_path, 3)

        assert files_in(tmp_path) == []
        assert_idle(hal)
        hal.ask(SetParameters({"slice": {"width_px": 4}}))
        assert end_of(hal.film(tmp_path, 3)).state is RunState.DONE


def test_a_saved_feed_of_one_that_is_not_saved_refuses_the_film(
    tmp_path: Path,
) -> None:
    feeds = (feed_part("slice", "a", save=False), feed_part("slice", "b", source="a"))
    with running_hal(sim_part(), *feeds) as hal:
        with pytest.raises(PlanError, match="save 'a' as well"):
            hal.film(tmp_path, 3)

        assert_idle(hal)


def test_a_feed_without_a_source_does_not_start() -> None:
    feed = feed_part("slice", source="camra1")
    with running_hal(sim_part(), feed) as hal:
        (problem,) = hal.problems

    assert problem.kind == "ParameterError"
    assert problem.text == (
        "source='camra1': expected one of camera1; did you mean 'camera1'?"
    )


def test_a_source_that_is_none_is_refused_later_as_well() -> None:
    with running_hal(sim_part(), feed_part("slice")) as hal:
        for source in ("slice", "nobody"):
            with pytest.raises(ParameterError, match="expected one of camera1"):
                hal.ask(SetParameters({"slice": {"source": source}}))


def test_parameters_do_not_change_during_a_film(tmp_path: Path) -> None:
    feed = feed_part("average", frames_to_average=2)
    with running_hal(camera_part(ScriptedCamera()), feed) as hal:
        run = hal.film(tmp_path, None)
        with pytest.raises(ParameterError, match="frames_to_average cannot change"):
            hal.ask(SetParameters({"average": {"frames_to_average": 3}}))
        run.cancel()
        end_of(run)

        hal.ask(SetParameters({"average": {"frames_to_average": 3}}))


def test_a_feed_is_armed_only_with_its_source_and_started_only_when_armed() -> None:
    with running_hal(sim_part(), feed_part("slice")) as hal:
        with pytest.raises(StateError, match="to be armed after camera1"):
            hal.ask(ArmCamera(RUN_ID, 3), to="slice")
        with pytest.raises(StateError, match="slice is not armed for run run1"):
            hal.ask(StartCamera(RUN_ID), to="slice")
        hal.ask(StopCamera(RUN_ID), to="slice")


def test_a_feed_whose_run_is_lost_lets_its_source_go() -> None:
    with running_hal(sim_part(), feed_part("slice")) as hal:
        source = FilmSource(hal, "camera1")
        hal.ask(ArmCamera(RUN_ID, None, source.armed), to="slice")
        assert len(source.ring.readers) == 1

        hal.send(RunLost(RUN_ID, "its conductor died")).wait()

        assert source.ring.readers == ()
        # A run that never began is in nobody's way either.
        hal.ask(ArmCamera("run2", None, source.armed), to="slice")
        hal.ask(ArmCamera("run3", None, source.armed), to="slice")
        assert len(source.ring.readers) == 1


def test_a_feed_that_dies_fails_the_run_and_its_camera_goes_free(
    tmp_path: Path,
) -> None:
    camera = sim_part(max_fps=200.0)
    with running_hal(camera, feed_part("slice")) as hal:
        run = hal.film(tmp_path, None)
        wait_until(lambda: run.status.n_frames_received >= 5, PATIENCE_S)

        hal.module("slice", FeedModule).fail(DeviceError("poisoned"))
        status = end_of(run)

        assert status.state is RunState.ERROR
        assert status.fatal_error is not None
        assert status.fatal_error.source == "slice"
        frames = status.frames["camera1"]
        assert (frames.stored, frames.gaps) == (frames.received, ())
        assert_idle(hal)


def test_a_feed_that_is_not_through_in_time_is_told(
    monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    add = Mean.add

    def slow(self: Mean, pixels: Any) -> None:
        gate.wait(PATIENCE_S)
        add(self, pixels)

    monkeypatch.setattr(Mean, "add", slow)
    monkeypatch.setattr(feed_module, "DRAIN_S", 0.2)
    with running_hal(sim_part(), feed_part("average", frames_to_average=2)) as hal:
        source = FilmSource(hal, "camera1")
        hal.ask(ArmCamera(RUN_ID, None, source.armed), to="average")
        hal.ask(StartCamera(RUN_ID), to="average")
        source.put(0, 1, 2)
        source.ring.end()

        with pytest.raises(DeviceTimeout, match=r"not through within 0\.2 s: 0 frames"):
            hal.ask(StopCamera(RUN_ID), to="average")

        assert source.ring.readers == ()
        assert ring_of(hal, "average").error == "average was not through within 0.2 s"
        gate.set()
        hal.probe.wait_for(CameraFinished, lambda e: e.camera == "average", PATIENCE_S)


def test_an_armed_feed_that_dies_lets_its_source_go() -> None:
    with running_hal(sim_part(), feed_part("slice")) as hal:
        source = FilmSource(hal, "camera1")
        hal.ask(ArmCamera(RUN_ID, None, source.armed), to="slice")
        ring = ring_of(hal, "slice")

        hal.module("slice", FeedModule).fail(DeviceError("poisoned"))

        wait_until(lambda: source.ring.readers == (), PATIENCE_S)
        wait_until(lambda: ring.ended, PATIENCE_S)
        assert ring.error == "slice was given up"


# -- shown, not recorded --------------------------------------------------------------


def test_a_feed_that_is_not_saved_can_be_watched_during_a_film(
    tmp_path: Path,
    carrier: Carrier | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    feed = feed_part("average", frames_to_average=2, save=False)
    with running_hal(sim_part(max_fps=200.0), feed, carrier=carrier) as hal:
        for _ in range(2):
            run = hal.film(tmp_path, None)
            hal.probe.wait_for(
                FramesReceived,
                lambda e, run_id=run.run_id: (
                    (e.camera, e.run_id) == ("average", run_id)
                ),
                PATIENCE_S,
            )
            reader = ring_of(hal, "average").open_reader("display", lossless=False)
            newest = reader.latest(PATIENCE_S)
            assert newest is not None
            assert newest.frame.info.exposure_s == pytest.approx(0.02)
            run.cancel()
            status = end_of(run)
            reader.close()

            assert (status.state, status.background_errors) == (RunState.CANCELLED, ())
            assert list(status.frames) == ["camera1"]
            wait_until(lambda: ring_of(hal, "average").ended, PATIENCE_S)
    assert not [name for name in files_in(tmp_path) if "average" in name]
    assert "message failed" not in capsys.readouterr().err


def test_a_feed_that_is_only_shown_and_sleeps_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    sleeps = threading.Event()
    add = Mean.add

    def sleep(self: Mean, pixels: Any) -> None:
        sleeps.set()
        gate.wait(PATIENCE_S)
        add(self, pixels)

    monkeypatch.setattr(Mean, "add", sleep)
    feed = feed_part("average", frames_to_average=2, save=False)
    camera = camera_part(ScriptedCamera(), block_s=30.0)
    camera.arguments["driver"].script = endless()
    with running_hal(camera, feed) as hal:
        run = hal.film(tmp_path, None)
        assert sleeps.wait(PATIENCE_S)
        ring = ring_of(hal)
        enough = ring.published + ring.slots + 100
        wait_until(lambda: ring.published > enough, PATIENCE_S)
        run.cancel()
        status = end_of(run)
        gate.set()

    assert status.state is RunState.CANCELLED
    frames = status.frames["camera1"]
    assert (frames.stored, frames.gaps) == (frames.received, ())


def test_a_feed_that_is_only_shown_and_fails_is_told_and_ends_no_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(Mean, "add", fail)
    feed = feed_part("average", frames_to_average=2, save=False)
    with running_hal(sim_part(max_fps=200.0), feed) as hal:
        run = hal.film(tmp_path, None)
        end = hal.probe.wait_for(
            CameraFinished, lambda e: e.camera == "average", PATIENCE_S
        )
        assert end.error is not None
        before = run.status.n_frames_received
        wait_until(lambda: run.status.n_frames_received > before, PATIENCE_S)
        run.cancel()
        assert end_of(run).state is RunState.CANCELLED

    assert "average: feed failed" in capsys.readouterr().err


def test_what_is_shown_of_a_feed_can_be_made_into_another_one(tmp_path: Path) -> None:
    feeds = (
        feed_part("average", "mean", frames_to_average=2, save=False),
        feed_part("slice", "corner", source="mean", width_px=4, save=False),
    )
    with running_hal(sim_part(max_fps=200.0), *feeds) as hal:
        run = hal.film(tmp_path, None)
        hal.probe.wait_for(FramesReceived, lambda e: e.camera == "corner", PATIENCE_S)
        run.cancel()
        end_of(run)

        assert ring_of(hal, "corner").shape == (SIZE_PX, 4)


def test_a_film_that_is_over_before_it_could_be_shown_is_no_trouble() -> None:
    with running_hal(sim_part(), feed_part("slice", save=False)) as hal:
        news = hal.send(FramesReceived(RUN_ID, "camera1", 0, 2))
        news.wait()

        assert news.errors == ()
        assert "slice" not in rings_of(hal).names


def test_what_cannot_be_shown_is_said_once() -> None:
    with running_hal(sim_part(), feed_part("slice", x_px=99, save=False)) as hal:
        FilmSource(hal, "camera1")
        errors = []
        for index in range(3):
            news = hal.send(FramesReceived(RUN_ID, "camera1", index, index))
            news.wait()
            errors += [error.text for error in news.errors]

    (text,) = errors
    assert "column 99, row 0 is not within the frames of 16x16 px" in text
