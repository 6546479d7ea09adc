"""R57, R62: what fails is tried again, passed over, or ends the run, and is named."""

from __future__ import annotations

import pytest

from hal.acquisition import EventOutcome, RunState
from hal.acquisition.plans import AfterFailure, FailurePolicy, explicit
from hal.base import DeviceError, DeviceTimeout, ErrorRecord, HalError
from tests.acquisition.scripted_plans import CAMERA, DAPI, PlanBench, image

TWICE = FailurePolicy(retries=1)
SKIP = FailurePolicy(retries=1, then=AfterFailure.SKIP)


def failure(kind: type[HalError], text: str, source: str) -> HalError:
    error = kind(text)
    error.source = source
    return error


STUCK = failure(DeviceTimeout, "the stage is stuck", "stage")
UNRULY = failure(DeviceError, "does not close", "shutter")


def test_without_a_policy_the_first_failure_ends_the_run() -> None:
    bench = PlanBench(image(0, z_um=1.0), image(1, z_um=2.0), image(2, z_um=3.0))
    bench.fail("change z=2", STUCK)

    status = bench.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error.text == "the stage is stuck"
    assert status.fatal_error.source == "stage"
    assert status.n_events_consumed == 1
    assert [row.outcome for row in bench.rows] == ["done", "failed"]
    assert bench.rows[1].why == "the stage is stuck"
    assert bench.told("rest", "restore", "finish") == [
        "rest",
        "restore",
        "finish error",
    ]


def test_an_event_that_succeeds_at_the_second_try_costs_nothing() -> None:
    bench = PlanBench(
        plan=explicit([image(0, z_um=1.0), image(1, z_um=2.0)], on_failure=TWICE)
    )
    tries = [STUCK, None]

    def act() -> None:
        error = tries.pop(0)
        if error is not None:
            raise error

    bench.on("change z=2", act)

    status = bench.run()

    assert status.state is RunState.DONE
    assert status.background_errors == ()
    assert [row.tries for row in bench.rows] == [1, 2]
    assert bench.takes == [(CAMERA, 0, 0, 1), (CAMERA, 1, 1, 1)]


def test_an_event_that_is_passed_over_leaves_a_gap_of_its_name() -> None:
    bench = PlanBench(
        plan=explicit([image(n, z_um=float(n)) for n in range(3)], on_failure=SKIP)
    )
    bench.fail("change z=1", STUCK)

    status = bench.run()

    assert status.state is RunState.DONE
    assert status.fatal_error is None
    (error,) = status.background_errors
    assert error.source == "stage"
    assert error.text == (
        f"event 1 (t=1), frame 1 of {CAMERA}, is missing after 2 tries: "
        "the stage is stuck"
    )
    assert bench.takes == [(CAMERA, 0, 0, 1), (CAMERA, 2, 2, 1)]
    counts = status.frames[CAMERA]
    assert (counts.planned, counts.stored, counts.gaps) == (3, 2, (1,))
    assert not counts.complete
    assert status.n_events_consumed == 3
    skipped = bench.rows[1]
    assert skipped.outcome is EventOutcome.SKIPPED
    assert (skipped.frame, skipped.tries) == (1, 2)


def test_a_gap_at_the_end_is_named_too() -> None:
    bench = PlanBench(
        plan=explicit([image(n, z_um=float(n)) for n in range(3)], on_failure=SKIP)
    )
    bench.fail("change z=2", STUCK)

    status = bench.run()

    assert status.state is RunState.DONE
    counts = status.frames[CAMERA]
    assert (counts.planned, counts.stored, counts.gaps) == (3, 2, (2,))
    assert counts.gap_count == 1


def test_after_a_failure_nothing_is_taken_for_granted() -> None:
    bench = PlanBench(
        plan=explicit(
            [image(0, x_um=1.0, y_um=1.0, z_um=1.0), image(1, z_um=2.0, channel=DAPI)],
            on_failure=SKIP,
        )
    )
    bench.fail("take cam 0", STUCK)

    bench.run()

    assert bench.told("change") == [
        "change x=1 y=1 z=1",
        "change x=1 y=1 z=1",  # for the second try
        "change z=2 DAPI",
    ]


def test_after_a_failure_the_light_goes_out_before_anything_moves() -> None:
    bench = PlanBench(
        plan=explicit(
            [image(n, z_um=float(n), channel=DAPI) for n in range(2)], on_failure=SKIP
        )
    )
    bench.fail("take cam 0", STUCK)

    bench.run()

    assert bench.told("light", "change", "take")[:6] == [
        "change z=0 DAPI",
        "light DAPI on",
        "take cam 0 x1 None",
        "light DAPI off",
        "change z=0 DAPI",
        "light DAPI on",
    ]


def test_the_policy_of_an_event_comes_before_that_of_the_plan() -> None:
    bench = PlanBench(
        plan=explicit(
            [image(0, z_um=1.0), image(1, z_um=2.0, on_failure=FailurePolicy())],
            on_failure=SKIP,
        )
    )
    bench.fail("change", STUCK)

    status = bench.run()

    assert status.state is RunState.ERROR
    assert [row.outcome for row in bench.rows] == ["skipped", "failed"]


def test_a_request_that_fails_midway_goes_on_with_the_frame_that_failed() -> None:
    bench = PlanBench(plan=explicit([image(n) for n in range(5)], on_failure=TWICE))
    bench.takes_at_most = 2
    bench.take_error = ErrorRecord(kind="DeviceTimeout", text="no frame", source=CAMERA)

    status = bench.run()

    # Each request brings two frames and fails: there is always one try left.
    assert [take[1:] for take in bench.takes] == [(0, 0, 2), (2, 2, 2), (4, 4, 1)]
    assert status.state is RunState.DONE
    assert [row.tries for row in bench.rows] == [1, 1, 2, 1, 2]


def test_a_request_that_brings_nothing_more_is_given_up() -> None:
    bench = PlanBench(plan=explicit([image(n) for n in range(3)], on_failure=SKIP))
    bench.fail("take cam 1", STUCK)
    bench.takes_at_most = 1
    bench.take_error = ErrorRecord(kind="DeviceTimeout", text="no frame", source=CAMERA)

    status = bench.run()

    assert status.frames[CAMERA].gaps == (1,)
    assert [row.outcome for row in bench.rows] == ["done", "skipped", "done"]


@pytest.mark.parametrize("fails", ["light DAPI on", "light DAPI off"])
def test_light_that_does_not_obey_follows_the_policy(fails: str) -> None:
    bench = PlanBench(
        plan=explicit(
            [image(n, channel=DAPI, z_um=float(n)) for n in range(3)], on_failure=TWICE
        )
    )
    bench.fail(fails, UNRULY)

    status = bench.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error.source == "shutter"
    # A frame that was taken before the light failed to go out is not taken again.
    taken = [] if fails.endswith("on") else [(CAMERA, 0, 0, 1)]
    assert bench.takes == taken
    assert "rest" in bench.calls


def test_light_that_goes_out_at_the_second_order_costs_nothing() -> None:
    bench = PlanBench(
        plan=explicit(
            [image(n, channel=DAPI, z_um=float(n)) for n in range(2)], on_failure=TWICE
        )
    )
    errors = [UNRULY]
    bench.on("light DAPI off", lambda: _raise_one(errors))

    status = bench.run()

    assert status.state is RunState.DONE
    assert [take[1] for take in bench.takes] == [0, 1]
    assert bench.told("light") == [
        "light DAPI on",
        "light DAPI off",
        "light DAPI off",
        "light DAPI on",
        "light DAPI off",
    ]


def _raise_one(errors: list[HalError]) -> None:
    if errors:
        raise errors.pop()


def test_a_camera_that_is_lost_ends_the_run_whatever_the_policy() -> None:
    bench = PlanBench(plan=explicit([image(n) for n in range(2)], on_failure=SKIP))
    lost = ErrorRecord(kind="StateError", text="camera is hung", source=CAMERA)
    bench.on("take", lambda: bench.engine.progress.failed(CAMERA, lost))

    status = bench.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error.text == "camera is hung"


def test_a_recorder_that_begins_anew_is_asked_to_go_on() -> None:
    bench = PlanBench(image(0, z_um=0.0), image(1, z_um=1.0))
    died = ErrorRecord(kind="ModuleDead", text="killed", source="recorder")
    nested: list[int] = []

    def die_again() -> None:
        asked = bench.calls.count("resume")
        if asked == 1:
            bench.engine.progress.recorder_lost(died)
        bench.engine.look()  # as it does while it waits for the answer
        nested.append(bench.calls.count("resume") - asked)

    bench.on("resume", die_again)
    bench.on("take cam 0", lambda: bench.engine.progress.recorder_lost(died))

    status = bench.run()

    assert status.state is RunState.DONE
    # One after the other, not one within the other.
    assert nested == [0, 0]


def test_a_run_ends_when_its_time_is_over() -> None:
    """R19."""
    bench = PlanBench(
        *(image(n, min_start_time_s=10.0 * n, z_um=0.0) for n in range(10)),
        deadline_s=35.0,
    )

    status = bench.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error.text == "the run took longer than 35 s"
    assert [take[1] for take in bench.takes] == [0, 1, 2, 3]
    assert bench.told("finish") == ["finish error"]
