"""The camera module with drivers that behave, and with drivers that do not."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path

import pytest

from hal.base import (
    Carrier,
    DeviceError,
    LimitError,
    LinkError,
    ModuleState,
    ParameterError,
    StateError,
)
from hal.kernel import DescribeParameters, ParameterList
from hal.messages import (
    ArmCamera,
    CameraFinished,
    FramesReceived,
    SetParameters,
    StartCamera,
    StopCamera,
)
from hal.testing import running_hal, wait_until
from modules.cameras import camera as camera_module
from modules.cameras.camera import CameraModule
from tests.modules.bench import (
    RUN_ID,
    ScriptedCamera,
    begin_film,
    camera_part,
    endless,
    film_end,
    indices,
    ring_of,
    rings_of,
    sim_part,
)


def why(end: CameraFinished) -> str:
    """Return the reason of an end that was not meant to be."""
    assert end.error is not None
    return end.error.text


def test_a_film_ends_by_itself_with_every_frame_in_the_ring(
    carrier: Carrier | None,
) -> None:
    with running_hal(sim_part(), carrier=carrier) as hal:
        begin_film(hal, 5)
        end = film_end(hal)

        assert (end.frames, end.error) == (5, None)
        assert indices(ring_of(hal).open_reader("test", from_start=True)) == [*range(5)]
        received = hal.probe.heard(FramesReceived)
        assert received[0].first == 0
        assert received[-1].last == 4


def test_arming_tells_what_the_film_will_look_like() -> None:
    values = {"binning": 2, "roi_x_px": 4, "exposure_s": 0.02, "pixel_size_um": 0.5}
    with running_hal(sim_part(**values)) as hal:
        armed = begin_film(hal, 1)
        film_end(hal)

    assert (armed.height, armed.width) == (8, 6)
    assert (armed.roi_x_px, armed.roi_y_px) == (4, 0)
    assert (armed.binning, armed.pixel_size_um) == (2, 1.0)
    assert armed.exposure_s == 0.02
    assert armed.simulated


def test_frames_the_camera_lost_leave_a_gap_and_no_shift() -> None:
    with running_hal(camera_part(ScriptedCamera(0, 1, 2, 5, 6))) as hal:
        begin_film(hal, 7)
        end = film_end(hal)

        reader = ring_of(hal).open_reader("test", from_start=True)
        assert indices(reader) == [0, 1, 2, 5, 6]
        batches = [(e.first, e.last) for e in hal.probe.heard(FramesReceived)]
        assert batches == [(0, 2), (5, 6)]
        assert (end.frames, end.error) == (5, None)


def test_a_film_whose_first_frames_are_lost_begins_with_a_gap() -> None:
    with running_hal(camera_part(ScriptedCamera(3, 4))) as hal:
        begin_film(hal, 5)
        film_end(hal)

        batches = [(e.first, e.last) for e in hal.probe.heard(FramesReceived)]
        assert batches == [(3, 4)]


def test_a_repeated_frame_ends_the_film() -> None:
    with running_hal(camera_part(ScriptedCamera(0, 1, 1))) as hal:
        begin_film(hal, 5)
        end = film_end(hal)

    assert end.frames == 2
    assert why(end) == "camera1 repeated frame 1: expected 2 or later"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DeviceError("cable pulled"), "cable pulled"),
        (LimitError("too hot"), "too hot"),
        (ValueError("vendor"), "ValueError: vendor"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_a_camera_that_raises_in_the_middle_ends_its_film_with_the_reason(
    error: BaseException, words: str
) -> None:
    """R6: the last error is kept, and the camera is idle afterwards."""
    driver = ScriptedCamera(0, 1, error)
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, None)
        end = film_end(hal)

        assert (end.frames, why(end)) == (2, words)
        assert ring_of(hal).error == words
        assert indices(ring_of(hal).open_reader("test", from_start=True)) == [0, 1]
        assert len(driver.called("stop")) == 1

        driver.script = (0, 1)
        begin_film(hal, 2, run_id="run2")
        assert film_end(hal, "run2").error is None


def test_the_error_of_a_camera_keeps_its_class_stack_and_data(
    carrier: Carrier | None,
) -> None:
    driver = ScriptedCamera(0, LinkError("cable pulled", port=3, rate=math.nan))
    with running_hal(camera_part(driver), carrier=carrier) as hal:
        begin_film(hal, None)
        error = film_end(hal).error

    assert error is not None
    assert (error.kind, error.source) == ("LinkError", "camera1")
    assert error.data == {"port": 3, "rate": "nan"}
    assert "in read_into" in error.traceback


def test_a_failure_that_no_run_tells_of_reaches_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    driver = ScriptedCamera(0, DeviceError("cable pulled"))
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, None)
        film_end(hal)
        said = []

        def is_said() -> bool:
            said.extend(capsys.readouterr().err.splitlines())
            return bool(said)

        wait_until(is_said)

    (line,) = said
    assert line.startswith("error: camera1: film failed run=run1 why=cable pulled")


def test_a_camera_that_cannot_start_ends_its_film_and_is_stopped() -> None:
    driver = ScriptedCamera(0)
    driver.on_start = DeviceError("trigger missing")
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, 1)
        end = film_end(hal)

        assert (end.frames, why(end)) == (0, "trigger missing")
        assert ring_of(hal).error == "trigger missing"
        assert len(driver.called("stop")) == 1


def test_a_camera_that_cannot_stop_has_failed_but_its_frames_are_there() -> None:
    """R90: a driver that raises at the end does not skip the news of it."""
    driver = ScriptedCamera(0, 1)
    driver.on_stop = DeviceError("still exposing")
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, 2)
        end = film_end(hal)

        assert (end.frames, why(end)) == (2, "still exposing")
        assert indices(ring_of(hal).open_reader("test", from_start=True)) == [0, 1]
        driver.on_stop = None


def test_what_went_wrong_first_is_told_when_stopping_fails_too() -> None:
    driver = ScriptedCamera(DeviceError("cable pulled"))
    driver.on_stop = DeviceError("no answer")
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, 2)

        assert why(film_end(hal)) == "cable pulled"
        assert ring_of(hal).error == "cable pulled"
        driver.on_stop = None


def test_a_camera_that_delivers_nothing_can_be_stopped() -> None:
    with running_hal(camera_part(ScriptedCamera())) as hal:
        begin_film(hal, 10)

        hal.ask(StopCamera(RUN_ID), to="camera1")

        end = film_end(hal)
        assert (end.frames, end.error) == (0, None)
        assert hal.probe.heard(FramesReceived) == ()


def test_a_slow_camera_loses_nothing() -> None:
    with running_hal(camera_part(ScriptedCamera(0, None, None, 1, None, 2))) as hal:
        begin_film(hal, 3)

        assert film_end(hal).frames == 3


def test_stop_ends_a_long_exposure_at_once() -> None:
    """R69: what blocks is woken up, not waited for."""
    with running_hal(sim_part(exposure_s=5.0)) as hal:
        begin_film(hal, None)
        before_s = time.monotonic()

        hal.ask(StopCamera(RUN_ID), to="camera1")

        assert time.monotonic() - before_s < 1.0
        assert film_end(hal).error is None
        assert hal.module("camera1", CameraModule).loops == ()


def blocking(driver: ScriptedCamera, waits: threading.Event) -> None:
    """Have `driver` wait for its frame until it is halted, as some SDKs do."""

    def read() -> None:
        waits.set()
        driver._halt.wait(60.0)
        driver._check_halt()

    driver.script = (read,)


def test_stop_halts_a_driver_that_waits_longer_than_it_was_told() -> None:
    """R69."""
    driver, waits = ScriptedCamera(), threading.Event()
    blocking(driver, waits)
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, None)
        assert waits.wait(5.0)

        hal.ask(StopCamera(RUN_ID), to="camera1", deadline_s=1.0)

        assert film_end(hal).error is None


def test_a_camera_that_was_halted_by_somebody_else_has_failed() -> None:
    driver, waits = ScriptedCamera(), threading.Event()
    blocking(driver, waits)
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, None)
        assert waits.wait(5.0)

        driver.halt()

        assert "ended by halt" in why(film_end(hal))


def test_stop_completes_when_the_camera_stands_still() -> None:
    driver = ScriptedCamera()
    driver.script = endless()
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, None)

        hal.ask(StopCamera(RUN_ID), to="camera1")

        assert len(driver.called("stop")) == 1


def test_stop_for_another_run_is_harmless() -> None:
    with running_hal(camera_part(ScriptedCamera())) as hal:
        begin_film(hal, None)

        hal.ask(StopCamera("another"), to="camera1")

        assert hal.module("camera1", CameraModule).loops != ()
        hal.ask(StopCamera(RUN_ID), to="camera1")
        hal.ask(StopCamera(RUN_ID), to="camera1")


def test_a_camera_that_was_only_armed_is_given_back_by_stop() -> None:
    with running_hal(camera_part(ScriptedCamera())) as hal:
        hal.ask(ArmCamera(RUN_ID, 1), to="camera1")

        hal.ask(StopCamera(RUN_ID), to="camera1")

        assert rings_of(hal).names == ()
        with pytest.raises(StateError, match="not armed"):
            hal.ask(StartCamera(RUN_ID), to="camera1")


def test_arming_again_takes_the_place_of_what_was_armed() -> None:
    with running_hal(camera_part(ScriptedCamera(0))) as hal:
        hal.ask(ArmCamera("abandoned", 1), to="camera1")
        ring = ring_of(hal)

        begin_film(hal, 1)

        assert ring.ended
        with pytest.raises(StateError, match="not armed for run abandoned"):
            hal.ask(StartCamera("abandoned"), to="camera1")
        assert film_end(hal).frames == 1


def test_a_camera_at_work_cannot_be_armed() -> None:
    with running_hal(camera_part(ScriptedCamera())) as hal:
        begin_film(hal, None)

        with pytest.raises(StateError, match=f"busy with run {RUN_ID}"):
            hal.ask(ArmCamera("run2", 1), to="camera1")
        with pytest.raises(StateError, match="not armed"):
            hal.ask(StartCamera(RUN_ID), to="camera1")


def test_a_camera_that_was_not_armed_cannot_start() -> None:
    with (
        running_hal(camera_part(ScriptedCamera())) as hal,
        pytest.raises(StateError, match=f"not armed for run {RUN_ID}"),
    ):
        hal.ask(StartCamera(RUN_ID), to="camera1")


def test_a_live_parameter_is_set_by_the_thread_that_takes_the_frames() -> None:
    driver = ScriptedCamera()
    driver.script = endless()
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, None)

        answer = hal.ask(SetParameters({"camera1": {"gain": 3.0}}))

        assert answer == {"camera1": {"gain": 3.0}}
        assert driver.gain == 3.0
        assert driver.called("apply")[-1] == driver.called("start")[-1]
        assert driver.called("apply")[-1].endswith("/worker")
        hal.ask(StopCamera(RUN_ID), to="camera1")
        assert film_end(hal).error is None


def test_other_parameters_cannot_change_during_a_film() -> None:
    with running_hal(camera_part(ScriptedCamera())) as hal:
        begin_film(hal, None)

        with pytest.raises(ParameterError, match="exposure_s cannot change while"):
            hal.ask(SetParameters({"camera1": {"exposure_s": 0.5}}))

        hal.ask(StopCamera(RUN_ID), to="camera1")
        hal.ask(SetParameters({"camera1": {"exposure_s": 0.5}}))


def test_the_frame_of_an_armed_camera_cannot_change_any_more() -> None:
    """Its ring and the files have their shape by now."""
    with running_hal(camera_part(ScriptedCamera(0))) as hal:
        hal.ask(ArmCamera(RUN_ID, 1), to="camera1")

        with pytest.raises(ParameterError, match="binning cannot change while"):
            hal.ask(SetParameters({"camera1": {"binning": 2}}))

        hal.ask(StartCamera(RUN_ID), to="camera1")
        film_end(hal)
        hal.ask(SetParameters({"camera1": {"binning": 2}}))


def test_a_reader_that_holds_up_the_camera_too_long_is_named_with_the_count() -> None:
    """R21: frames block, then abort, with the exact count; none is lost silently."""
    driver = ScriptedCamera()
    driver.script = endless()
    with running_hal(camera_part(driver, block_s=0.1)) as hal:
        hal.ask(ArmCamera(RUN_ID, None), to="camera1")
        ring = ring_of(hal)
        ring.open_reader("analysis", from_start=True)

        hal.ask(StartCamera(RUN_ID), to="camera1")

        end = film_end(hal)
        assert end.frames == ring.slots
        assert why(end) == (
            f"camera1 was held up for 0.1 s: analysis is {ring.slots} frames behind; "
            f"{ring.slots} frames were taken"
        )
        assert ring.error == why(end)


def test_parameters_can_be_set_while_a_reader_holds_up_the_camera() -> None:
    driver = ScriptedCamera()
    driver.script = endless()
    with running_hal(camera_part(driver)) as hal:
        hal.ask(ArmCamera(RUN_ID, None), to="camera1")
        ring = ring_of(hal)
        ring.open_reader("analysis", from_start=True)
        hal.ask(StartCamera(RUN_ID), to="camera1")
        wait_until(lambda: ring.published == ring.slots)

        hal.ask(SetParameters({"camera1": {"gain": 2.0}}))

        assert driver.gain == 2.0
        hal.ask(StopCamera(RUN_ID), to="camera1")
        assert film_end(hal).frames == ring.slots


def test_a_driver_that_hangs_costs_the_film_and_not_hal(
    tmp_path: Path, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R13, R14: a dump, a reason, and no waiting for what never returns."""
    monkeypatch.setattr(camera_module, "STALL_S", 0.2)
    driver = ScriptedCamera(0, 1, lambda: gate.wait(60.0) or 2)
    driver.script = (0, 1, lambda: (gate.wait(60.0), 2)[1])
    with running_hal(camera_part(driver), log_folder=tmp_path) as hal:
        begin_film(hal, None)

        end = film_end(hal)

        assert end.frames == 2
        assert "loop 'grab frames' of camera1 has not beaten for" in why(end)
        assert ring_of(hal).error == why(end)
        assert end.error is not None
        assert end.error.kind == "WorkerTimeout"
        assert "read_into" in end.error.dump
        (dump,) = tmp_path.glob("dump_*_camera1.txt")
        assert "read_into" in dump.read_text()
        # Its successor runs, but the device is not free as long as the call goes on.
        held = "camera1 is degraded: the device is still held by generation 1, in loop"
        with pytest.raises(StateError, match=f"{held} 'grab frames'"):
            hal.ask(ArmCamera("run2", 1), to="camera1")
        hal.ask(StopCamera(RUN_ID), to="camera1")
        assert not [call for call, _ in driver.calls if call == "stop"]

        gate.set()

        module = hal.module("camera1", CameraModule)
        assert module.generation == 2
        wait_until(lambda: module.state is ModuleState.STARTED)
        assert driver.called("stop") == ["camera1/1/worker"]
        driver.script = (0,)
        begin_film(hal, 1, run_id="run3")
        assert film_end(hal, "run3").error is None


def test_hal_stops_while_a_driver_hangs(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_module, "STALL_S", 0.2)
    driver = ScriptedCamera(lambda: (gate.wait(60.0), None)[1])
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, None)
        film_end(hal)
        before_s = time.monotonic()

    assert time.monotonic() - before_s < 5.0


def test_hal_stops_while_a_film_goes_on() -> None:
    """R89."""
    driver = ScriptedCamera()
    driver.script = endless()
    with running_hal(camera_part(driver)) as hal:
        begin_film(hal, None)

    assert not driver.is_open
    assert driver.calls[-1][0] == "stop"


def test_a_camera_that_does_not_answer_is_degraded_and_says_why() -> None:
    driver = ScriptedCamera()
    driver.on_apply = DeviceError("no camera on USB")
    with running_hal(camera_part(driver)) as hal:
        assert [problem.source for problem in hal.problems] == ["camera1"]
        with pytest.raises(StateError, match="camera1 is degraded: no camera on USB"):
            hal.ask(ArmCamera(RUN_ID, 1), to="camera1")
        described = hal.ask(DescribeParameters(), to="camera1")
        assert isinstance(described, ParameterList)
