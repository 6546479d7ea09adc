"""R26, R27: frames asked for one by one, each with the event it is for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hal.base import (
    Carrier,
    DeviceError,
    DeviceTimeout,
    HalError,
    LinkError,
    ModuleState,
    RunError,
    StateError,
)
from hal.devices import Camera
from hal.kernel import DescribeParameters, ParameterList
from hal.messages import (
    ArmCamera,
    CallOffFrames,
    FramesTaken,
    SetParameters,
    StartCamera,
    StopCamera,
    TakeFrames,
)
from hal.testing import RunningHal, running_hal, wait_until
from modules.cameras.camera import CameraModule
from tests.modules.bench import (
    PATIENCE_S,
    RUN_ID,
    ScriptedCamera,
    Step,
    camera_part,
    film_end,
    ring_of,
    rings_of,
    sim_part,
)


@contextmanager
def ready(
    driver: Camera | None = None, carrier: Carrier | None = None, **values: float
) -> Iterator[RunningHal]:
    """A HAL whose camera exposes on request."""
    part = sim_part() if driver is None else camera_part(driver, **values)
    with running_hal(part, carrier=carrier) as hal:
        hal.ask(ArmCamera(RUN_ID, None, on_request=True), to="camera1")
        hal.ask(StartCamera(RUN_ID), to="camera1")
        yield hal


def take(
    hal: RunningHal, first: int, event: int, count: int = 1, **values: float
) -> FramesTaken:
    request = TakeFrames(RUN_ID, first, event, count, **values)
    taken = hal.ask(request, to="camera1", deadline_s=PATIENCE_S)
    assert isinstance(taken, FramesTaken)
    return taken


def infos(hal: RunningHal) -> list[tuple[int, int]]:
    """End the film; return index and event of every frame."""
    reader = ring_of(hal).open_reader("test", from_start=True)
    hal.ask(StopCamera(RUN_ID), to="camera1")
    found = []
    while not reader.at_end:
        frame = reader.next(0.01)
        if frame is not None:
            found.append((frame.info.index, frame.info.event_index))
            reader.release()
    return found


def test_each_frame_carries_its_index_and_its_event(carrier: Carrier | None) -> None:
    with ready(carrier=carrier) as hal:
        one = take(hal, 0, 5)
        three = take(hal, 1, 10, 3)
        after_a_gap = take(hal, 7, 20)

        assert [t.count for t in (one, three, after_a_gap)] == [1, 3, 1]
        assert one.began_s < three.began_s < after_a_gap.began_s
        assert infos(hal) == [(0, 5), (1, 10), (2, 11), (3, 12), (7, 20)]
        assert film_end(hal).frames == 5


def test_requests_that_come_together_keep_their_order_and_events() -> None:
    """R27: a queue, not one slot."""
    with ready() as hal:
        sent = [
            hal.send(TakeFrames(RUN_ID, n, 100 + n), to="camera1", deadline_s=60.0)
            for n in range(10)
        ]
        for delivery in sent:
            assert delivery.wait(PATIENCE_S)
            delivery.result()

        assert infos(hal) == [(n, 100 + n) for n in range(10)]


def test_the_exposure_of_an_event_holds_until_the_next_one_and_not_after_the_run() -> (
    None
):
    with ready() as hal:
        before_s = exposure_s(hal)
        take(hal, 0, 0, exposure_s=0.02)
        take(hal, 1, 1)
        during_s = exposure_s(hal)
        reader = ring_of(hal).open_reader("test", from_start=True)
        frames = [reader.next(1.0)]
        hal.ask(StopCamera(RUN_ID), to="camera1")

        assert frames[0] is not None
        assert frames[0].info.exposure_s == 0.02
        assert (during_s, exposure_s(hal)) == (0.02, before_s)
        assert before_s != 0.02


def exposure_s(hal: RunningHal) -> object:
    listed = hal.ask(DescribeParameters(), to="camera1")
    assert isinstance(listed, ParameterList)
    return {spec.name: spec.value for spec in listed.specs}["exposure_s"]


def test_an_exposure_that_is_not_possible_costs_no_frame() -> None:
    with ready() as hal:
        with pytest.raises(HalError, match="expected a number from 0 to 60 s"):
            take(hal, 0, 0, exposure_s=1e6)

        assert take(hal, 0, 1).count == 1
        assert infos(hal) == [(0, 1)]


def test_parameters_that_need_a_camera_at_rest_are_refused_meanwhile() -> None:
    with ready() as hal, pytest.raises(HalError, match="binning"):
        hal.ask(SetParameters({"camera1": {"binning": 2}}))


def test_a_camera_that_gives_no_frame_is_told_in_time() -> None:
    with ready(ScriptedCamera(None), patience_s=0.2) as hal:
        with pytest.raises(DeviceTimeout, match=r"gave no frame within 0\.2 s"):
            take(hal, 0, 0)

        assert hal.module("camera1", CameraModule).state is ModuleState.STARTED
        assert infos(hal) == []


@pytest.mark.parametrize(
    "end", [LinkError("unplugged"), ValueError("a defect"), DeviceError("broken")]
)
def test_what_goes_wrong_midway_is_told_with_what_came(end: Exception) -> None:
    def script() -> Iterator[Step]:
        yield from (0, 1, end)

    with ready(ScriptedCamera(*script())) as hal:
        taken = take(hal, 0, 0, 5)

        assert taken.count == 2
        assert taken.error is not None
        assert str(end) in taken.error.text
        assert infos(hal) == [(0, 0), (1, 1)]


def test_a_frame_that_came_is_told_although_the_request_does_not_end() -> None:
    driver = ScriptedCamera(0, 1)
    with ready(driver) as hal:
        driver.on_stop = LinkError("no answer to stop")
        one = take(hal, 0, 0)
        driver.on_stop = None

        assert (one.count, infos(hal)) == (1, [(0, 0)])
        assert one.error is not None
        assert "no answer to stop" in one.error.text


@pytest.mark.parametrize("counter", [1, 5])
def test_a_frame_that_was_not_asked_for_is_never_taken_for_another(
    counter: int,
) -> None:
    """R26."""
    with ready(ScriptedCamera(counter)) as hal:
        with pytest.raises(DeviceError, match=f"gave frame {counter} of a request"):
            take(hal, 0, 0)

        assert infos(hal) == []


def test_nothing_is_left_of_a_request_that_failed() -> None:
    driver = ScriptedCamera(None)
    with ready(driver, patience_s=0.1) as hal:
        with pytest.raises(DeviceTimeout):
            take(hal, 0, 0)
        driver.script = (0,)

        assert take(hal, 0, 0).count == 1
        assert len(driver.called("start")) == len(driver.called("stop")) == 2


def test_a_request_that_is_called_off_ends_after_the_present_frame() -> None:
    exposing, go_on = threading.Event(), threading.Event()

    def second() -> int:
        exposing.set()
        go_on.wait(PATIENCE_S)
        return 1

    with ready(ScriptedCamera(0, second, *range(2, 10))) as hal:
        sent = hal.send(TakeFrames(RUN_ID, 0, 0, 10), to="camera1", deadline_s=60.0)
        assert exposing.wait(PATIENCE_S)
        hal.ask(CallOffFrames(RUN_ID), to="camera1")
        go_on.set()
        assert sent.wait(PATIENCE_S)
        taken = sent.result()

        assert isinstance(taken, FramesTaken)
        assert (taken.count, taken.error) == (2, None)
        assert infos(hal) == [(0, 0), (1, 1)]


def test_a_call_off_without_a_request_changes_nothing() -> None:
    with ready() as hal:
        hal.ask(CallOffFrames(RUN_ID), to="camera1")
        hal.ask(CallOffFrames("another"), to="camera1")

        assert take(hal, 0, 0, 3).count == 3


def test_a_stop_ends_a_long_exposure_at_once() -> None:
    with running_hal(sim_part(exposure_s=50.0)) as hal:
        hal.ask(ArmCamera(RUN_ID, None, on_request=True), to="camera1")
        hal.ask(StartCamera(RUN_ID), to="camera1")
        sent = hal.send(TakeFrames(RUN_ID, 0, 0), to="camera1", deadline_s=60.0)
        wait_until(
            lambda: bool(hal.module("camera1", CameraModule).busy_with),
            PATIENCE_S,
            what="the exposure",
        )

        hal.ask(StopCamera(RUN_ID), to="camera1")

        assert sent.wait(PATIENCE_S)
        taken = sent.result()
        assert isinstance(taken, FramesTaken)
        assert (taken.count, taken.error) == (0, None)
        assert film_end(hal).frames == 0


class Forgetting(ScriptedCamera):
    """Is stopped just before it begins to expose."""

    def __init__(self) -> None:
        super().__init__(None)
        self.asked, self.stopped = threading.Event(), threading.Event()

    def request(self, first: int, count: int) -> None:
        self.asked.set()
        self.stopped.wait(PATIENCE_S)
        super().request(first, count)

    def halt(self) -> None:
        super().halt()
        self.stopped.set()


def test_a_stop_just_before_the_exposure_is_not_forgotten() -> None:
    driver = Forgetting()
    with ready(driver, patience_s=3000.0) as hal:
        sent = hal.send(TakeFrames(RUN_ID, 0, 0), to="camera1", deadline_s=60.0)
        assert driver.asked.wait(PATIENCE_S)

        hal.ask(StopCamera(RUN_ID), to="camera1", deadline_s=PATIENCE_S)

        taken = sent.result()
        assert isinstance(taken, FramesTaken)
        assert (taken.count, taken.error) == (0, None)


def test_a_ring_that_stays_full_is_told_with_who_holds_it() -> None:
    with ready(ScriptedCamera(*range(5000)), block_s=0.3) as hal:
        ring_of(hal).open_reader("sleeper", from_start=True)
        slots = ring_of(hal).slots

        taken = take(hal, 0, 0, slots + 10)

        assert taken.count == slots
        assert taken.error is not None
        assert taken.error.kind == RunError.__name__
        assert "held up for 0.3 s: sleeper is" in taken.error.text


def test_frames_are_taken_for_the_run_that_was_armed_only() -> None:
    with ready() as hal:
        with pytest.raises(StateError, match="takes no frames for run other"):
            hal.ask(TakeFrames("other", 0, 0), to="camera1")
        with pytest.raises(StateError, match="busy with run"):
            hal.ask(ArmCamera("other", None), to="camera1")

        infos(hal)
        with pytest.raises(StateError, match="takes no frames"):
            hal.ask(TakeFrames(RUN_ID, 0, 0), to="camera1")
        hal.ask(ArmCamera("other", None), to="camera1")
        assert rings_of(hal).get("camera1").published == 0
