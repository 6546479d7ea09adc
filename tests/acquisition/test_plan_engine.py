"""R61, R68, R73-R77: a plan is done event by event, on time, in its own order."""

from __future__ import annotations

import pytest

from hal.acquisition import (
    CameraRegion,
    DeviceProperty,
    EventOutcome,
    ImageEvent,
    RunState,
)
from hal.acquisition.plans import (
    AnyEvent,
    AutofocusEvent,
    Phase,
    PlannedEvent,
    SetupEvent,
    WaitEvent,
    combine,
    explicit,
    wait,
)
from hal.base import DeviceError, ErrorRecord, PlanError
from tests.acquisition.scripted_plans import (
    CAMERA,
    DAPI,
    EXPOSURE_S,
    FITC,
    MOVE_S,
    PlanBench,
    image,
)

TIME_S = pytest.approx


def test_a_plan_is_prepared_done_and_wound_up_in_order() -> None:
    bench = PlanBench(image(0, z_um=1.0), image(1, z_um=2.0))

    status = bench.run()

    assert bench.calls == [
        "remember",
        f"arm {CAMERA} 2",
        "open",
        f"start {CAMERA}",
        "change z=1",
        f"take {CAMERA} 0 x1 None",
        "change z=2",
        f"take {CAMERA} 1 x1 None",
        f"stop {CAMERA}",
        "rest",
        f"stop {CAMERA}",
        "restore",
        "finish done",
    ]
    assert status.state is RunState.DONE
    assert (status.n_events_total, status.n_events_consumed) == (2, 2)
    assert status.n_frames_received == 2
    assert status.event is None
    assert bench.states() == ["pending", "running", "done"]


def test_only_what_differs_from_the_event_before_is_changed() -> None:
    gain = DeviceProperty(CAMERA, "gain", 2)
    bench = PlanBench(
        image(0, x_um=1.0, y_um=2.0, z_um=3.0, properties=(gain,)),
        image(1, x_um=1.0, y_um=2.0, z_um=4.0, properties=(gain,)),
        image(2, x_um=1.0, y_um=5.0, z_um=4.0),
        image(3),
    )

    bench.run()

    assert bench.told("change") == [
        "change x=1 y=2 z=3 cam.gain=2",
        "change z=4",
        "change x=1 y=5",  # a stage is sent to a place, not along one of its axes
    ]


def test_events_that_need_nothing_but_a_frame_are_one_request() -> None:
    bench = PlanBench(*(image(n, z_um=1.0, exposure_s=0.2) for n in range(2500)))

    bench.run()

    assert bench.told("take") == [
        f"take {CAMERA} 0 x1000 0.2",
        f"take {CAMERA} 1000 x1000 0.2",
        f"take {CAMERA} 2000 x500 0.2",
    ]
    assert [(row.event, row.frame) for row in bench.rows] == [
        (n, n) for n in range(2500)
    ]


@pytest.mark.parametrize(
    "other",
    [
        image(1, exposure_s=0.3),
        image(1, z_um=2.0),
        image(1, channel=FITC),
        image(1, properties=(DeviceProperty(CAMERA, "gain", 2),)),
        image(1, phase="later"),
        image(1, reset_timer=True),
        image(1, min_start_time_s=5.0),
        WaitEvent(duration_s=1.0),
    ],
)
def test_what_needs_more_than_a_frame_is_a_request_of_its_own(
    other: AnyEvent,
) -> None:
    plan = explicit([image(0), other], phases=(Phase("later"),) if other.phase else ())
    bench = PlanBench(plan=plan)

    bench.run()

    assert all(call.split()[3] == "x1" for call in bench.told("take"))


def test_light_is_on_while_frames_are_exposed() -> None:
    bench = PlanBench(
        image(0, channel=DAPI, z_um=1.0),
        image(1, channel=DAPI, z_um=2.0, keep_shutter_open=True),
        image(2, channel=DAPI, z_um=3.0),
        image(3, channel=FITC),
    )

    bench.run()

    assert bench.told("light", "take", "change") == [
        "change z=1 DAPI",
        "light DAPI on",
        "take cam 0 x1 None",
        "light DAPI off",
        "change z=2",
        "light DAPI on",
        "take cam 1 x1 None",
        "change z=3",
        "take cam 2 x1 None",
        "light DAPI off",
        "change FITC",
        "light FITC on",
        "take cam 3 x1 None",
        "light FITC off",
    ]


def test_light_that_was_kept_goes_out_before_another_channel_is_set() -> None:
    bench = PlanBench(
        image(0, channel=DAPI, keep_shutter_open=True), image(1, channel=FITC)
    )

    bench.run()

    assert bench.told("light", "change") == [
        "change DAPI",
        "light DAPI on",
        "light DAPI off",
        "change FITC",
        "light FITC on",
        "light FITC off",
    ]


def test_the_timer_begins_with_the_first_exposure() -> None:
    """R73: what it takes to get ready is not charged as lag."""
    bench = PlanBench(
        image(0, z_um=1.0, min_start_time_s=0.0),
        image(1, z_um=1.0, min_start_time_s=10.0),
        image(2, z_um=2.0, min_start_time_s=20.0),
    )

    status = bench.run()

    first_s, second_s, third_s = (bench.times_s[call] for call in bench.told("take"))
    assert second_s - first_s == TIME_S(10.0)
    assert third_s - first_s == TIME_S(20.0 + MOVE_S)
    assert status.lag_ms == TIME_S(1000 * MOVE_S)
    rows = bench.rows
    assert [row.due_s for row in rows] == [0.0, 10.0, 20.0]
    assert [row.began_s for row in rows] == TIME_S([0.0, 10.0, 20.0 + MOVE_S])


def test_a_timer_that_is_started_anew_counts_from_the_next_frame() -> None:
    bench = PlanBench(
        image(0, min_start_time_s=0.0),
        image(1, min_start_time_s=5.0),
        image(2, min_start_time_s=0.0, reset_timer=True, z_um=1.0),
        image(3, min_start_time_s=5.0, z_um=1.0),
    )

    status = bench.run()

    times_s = [bench.times_s[call] for call in bench.told("take")]
    assert times_s[1] - times_s[0] == TIME_S(5.0)
    assert times_s[2] - times_s[1] == TIME_S(EXPOSURE_S + MOVE_S)
    assert times_s[3] - times_s[2] == TIME_S(5.0)
    assert status.lag_ms == TIME_S(0.0)


def test_a_wait_is_counted_from_when_the_microscope_gets_there() -> None:
    """R74: neither what came before nor a pause uses it up."""
    bench = PlanBench(
        image(0, z_um=1.0),
        WaitEvent(duration_s=3.0, min_start_time_s=0.0),
        image(1, z_um=1.0),
    )
    bench.on("take cam 0", lambda: bench.clock.advance(100.0))

    bench.run()

    first_s, second_s = (bench.times_s[call] for call in bench.told("take"))
    assert second_s - first_s == TIME_S(100.0 + EXPOSURE_S + 3.0)
    assert [(row.kind, row.frame) for row in bench.rows] == [
        ("image", 0),
        ("wait", None),
        ("image", 1),
    ]


def test_a_leading_wait_is_not_time_of_the_run() -> None:
    """R75, R76: the run has started with its first frame."""
    bench = PlanBench(
        plan=combine(wait(10.0), explicit([image(0, min_start_time_s=0.0)]))
    )

    status = bench.run()

    waiting = [r for r in bench.reports if r.state is RunState.WAITING]
    assert all(report.started_at_s is None for report in waiting)
    assert waiting[0].wait_remaining_s == TIME_S(10.0, abs=0.3)
    assert status.started_at_s is not None
    assert status.lag_ms == 0.0
    (take,) = bench.told("take")
    assert bench.times_s[take] == TIME_S(bench.times_s[f"start {CAMERA}"] + 10.0)


def test_a_status_tells_what_is_being_done() -> None:
    bench = PlanBench(
        image(0, z_um=1.0, min_start_time_s=0.0),
        image(1, z_um=2.0, min_start_time_s=5.0),
    )

    bench.run()

    waiting = [r for r in bench.reports if r.state is RunState.WAITING]
    assert {report.event for report in waiting} == {1}
    assert {report.index["t"] for report in waiting} == {1}
    left_s = [report.wait_remaining_s or 0.0 for report in waiting]
    assert left_s == sorted(left_s, reverse=True)
    assert left_s[0] > 4.0
    assert {report.n_events_consumed for report in waiting} == {1}


def test_a_status_tells_how_many_frames_wait_to_be_stored() -> None:
    """R78."""
    bench = PlanBench(image(0, z_um=1.0), image(1, z_um=2.0, min_start_time_s=5.0))
    bench.stores = False
    bench.on(f"stop {CAMERA}", lambda: bench.engine.progress.stored(CAMERA, 0, 1))

    status = bench.run()

    waiting = [r for r in bench.reports if r.state is RunState.WAITING]
    assert {report.queues["storage"] for report in waiting} == {1}
    assert status.queues == {"storage": 0}


def test_a_setup_comes_before_the_cameras_are_armed_and_holds_for_all() -> None:
    bench = PlanBench(
        SetupEvent(
            roi=CameraRegion(0, 0, 64, 32), exposure_s=0.3, channel=DAPI, z_um=5.0
        ),
        image(0),
        image(1, exposure_s=0.1),
    )

    bench.run()

    assert bench.calls.index("region cam 64x32") < bench.calls.index("arm cam 2")
    assert bench.told("take", "change") == [
        "change z=5 DAPI",
        "take cam 0 x1 0.3",
        "take cam 1 x1 0.1",
    ]


def test_where_focus_was_found_holds_for_that_position() -> None:
    bench = PlanBench(
        AutofocusEvent(index={"t": 0, "p": 0}, z_um=5.0, device="af", max_retries=2),
        *(
            ImageEvent(index={"p": p}, z_um=z_um)
            for p, z_um in ((0, 5.0), (0, 6.0), (1, 5.0))
        ),
    )

    bench.run()

    # It was found at 7 instead of 5: the first image is there already.
    assert bench.told("focus", "change") == [
        "change z=5",
        "focus af 2",
        "change z=8",
        "change z=5",
    ]
    assert bench.rows[0].z_um == 7.0
    assert bench.rows[0].frame is None


def test_frames_of_several_cameras_are_counted_apart() -> None:
    bench = PlanBench(
        image(0, camera="left"),
        image(1, camera="right"),
        image(2, camera="left"),
        cameras=("left", "right"),
    )

    status = bench.run()

    assert bench.takes == [
        ("left", 0, 0, 1),
        ("right", 0, 1, 1),
        ("left", 1, 2, 1),
    ]
    assert {name: count.stored for name, count in status.frames.items()} == {
        "left": 2,
        "right": 1,
    }


def test_a_kind_of_event_that_nobody_knows_is_never_passed_by() -> None:
    class StrangeEvent(PlannedEvent, frozen=True, kw_only=True):
        """Something new."""

    bench = PlanBench(image(0))
    bench.engine._source._events = iter([StrangeEvent()])  # type: ignore[assignment]

    status = bench.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert "no engine for events of kind StrangeEvent" in status.fatal_error.text
    assert status.fatal_error.kind == PlanError.__name__


def test_what_cannot_be_put_to_rest_or_restored_is_told() -> None:
    bench = PlanBench(image(0))
    hot = ErrorRecord(kind="DeviceError", text="still on", source="laser")
    stuck = ErrorRecord(kind="DeviceError", text="not set back", source="wheel")
    bench.rested, bench.restored = (hot,), (stuck,)

    status = bench.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error == hot
    assert stuck in status.background_errors
    assert bench.told("finish") == ["finish error"]


def test_what_was_set_up_is_restored_when_the_preparation_fails() -> None:
    bench = PlanBench(image(0))
    bench.fail("open", DeviceError("no space"))

    with pytest.raises(DeviceError, match="no space"):
        bench.engine.prepare(10.0)

    assert bench.calls[-2:] == ["restore", f"stop {CAMERA}"]


def test_rows_tell_where_and_when_each_event_was_done() -> None:
    bench = PlanBench(
        image(
            0,
            x_um=1.0,
            y_um=2.0,
            z_um=3.0,
            channel=DAPI,
            position_name="well A1",
            exposure_s=0.2,
        ),
        image(1, x_um=1.0, y_um=2.0, z_um=4.0, channel=DAPI),
    )

    bench.run()

    first, second = bench.rows
    assert (first.x_um, first.y_um, first.z_um) == (1.0, 2.0, 3.0)
    assert (second.x_um, second.y_um, second.z_um) == (1.0, 2.0, 4.0)
    assert (first.channel, first.position_name, first.exposure_s) == (
        "DAPI",
        "well A1",
        0.2,
    )
    assert first.outcome is EventOutcome.DONE
    assert (first.camera, first.frame, first.index) == (CAMERA, 0, {"t": 0})
    assert first.ended_s is not None
    assert first.ended_s == TIME_S(0.2)
