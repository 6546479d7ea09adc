"""R68, R94: stimulation by the engine, with a rig that does what a test prepares."""

from __future__ import annotations

from typing import Any

import pytest

from hal.acquisition import EventOutcome, RunState, StimulationEvent
from hal.acquisition.plans import AfterFailure, FailurePolicy, explicit
from hal.base import DeviceError, ErrorRecord, StateError, WorkerTimeout
from tests.acquisition.scripted_plans import (
    CAMERA,
    DAPI,
    FITC,
    PlanBench,
    image,
)


def stimulation(t: int = 0, **values: Any) -> StimulationEvent:
    usual = {"mask_from": "spots", "projector": "dmd", "duration_s": 0.2}
    return StimulationEvent(index={"t": t}, **({"channel": FITC} | usual | values))


def test_it_is_light_of_its_channel_where_the_mask_says() -> None:
    bench = PlanBench(image(0, channel=DAPI, x_um=1.0, y_um=2.0), stimulation(0))

    status = bench.run()

    told = bench.told("mask", "change", "light", "project", "take")
    assert told == [
        "change x=1 y=2 DAPI",
        "light DAPI on",
        f"take {CAMERA} 0 x1 None",
        "light DAPI off",
        "mask spots 1",
        "change FITC",
        "light FITC on",
        "project dmd 2 px 0.2",
        "light FITC off",
    ]
    assert status.state is RunState.DONE
    assert status.n_events_consumed == status.n_events_total == 2
    row = bench.rows[1]
    assert (row.kind, row.outcome, row.frame) == (
        *("stimulation", EventOutcome.DONE),
        None,
    )


def test_it_is_no_image_and_no_frame_is_late_because_of_it() -> None:
    events = [e for t in range(3) for e in (image(t), stimulation(t))]
    bench = PlanBench(*events)
    lags = []
    bench.on("project", lambda: lags.append(bench.engine.status.lag_ms))

    status = bench.run()

    assert status.n_frames_received == 3
    assert status.frames[CAMERA].planned == 3
    assert [take[1] for take in bench.takes] == [0, 1, 2]
    assert status.lag_ms == 0.0
    assert bench.engine.plan.n_images == 3


def test_a_late_stimulation_is_not_the_lag_of_a_frame() -> None:
    bench = PlanBench(
        image(0, min_start_time_s=0.0), stimulation(0, min_start_time_s=0.0)
    )
    bench.on("mask", lambda: bench.clock.advance(1.5))

    assert bench.run().lag_ms == 0.0


def test_images_after_it_have_their_own_light_again() -> None:
    first = image(0, channel=DAPI)
    bench = PlanBench(first, stimulation(0), image(1), image(2, channel=DAPI))

    bench.run()

    assert bench.told("change") == ["change DAPI", "change FITC", "change DAPI"]
    assert bench.told("light DAPI on", "take") == [
        *("light DAPI on", f"take {CAMERA} 0 x1 None"),
        *("light DAPI on", f"take {CAMERA} 1 x1 None"),
        *("light DAPI on", f"take {CAMERA} 2 x1 None"),
    ]


def test_an_empty_mask_is_an_answer_and_nothing_is_lit() -> None:
    bench = PlanBench(image(0), stimulation(0))
    bench.masks = [[0, 0], [0, 0]]

    status = bench.run()

    assert bench.told("light", "project") == []
    assert bench.rows[1].outcome is EventOutcome.DONE
    assert status.background_errors == ()


@pytest.mark.parametrize("then", list(AfterFailure))
@pytest.mark.parametrize(
    "error", [WorkerTimeout("2 s are over"), StateError("no opinion")]
)
def test_without_a_mask_the_run_goes_on_whatever_the_policy(
    error: Exception, then: AfterFailure
) -> None:
    policy = FailurePolicy(retries=3, then=then)
    plan = explicit([image(0), stimulation(0), image(1)], on_failure=policy)
    bench = PlanBench(plan=plan)
    bench.fail("mask", error)

    status = bench.run()

    assert status.state is RunState.DONE
    assert bench.told("mask") == ["mask spots 1"]  # it will not get any earlier
    assert bench.told("light", "project") == []
    assert len(bench.takes) == 2
    (told,) = status.background_errors
    assert (told.source, told.kind) == ("spots", type(error).__name__)
    assert "event 1 (t=0) was passed over: " in told.text
    assert bench.rows[1].outcome is EventOutcome.SKIPPED


def test_a_projector_that_fails_is_tried_again_with_the_same_mask() -> None:
    plan = explicit([image(0), stimulation(0)], on_failure=FailurePolicy(retries=1))
    bench = PlanBench(plan=plan)
    errors = [DeviceError("jammed")]
    bench.on("project", lambda: _raise(errors.pop()) if errors else None)

    status = bench.run()

    assert status.state is RunState.DONE
    assert len(bench.told("mask")) == 1
    assert len(bench.told("project")) == 2
    assert bench.rows[1].tries == 2


def test_a_projector_that_fails_ends_the_run_if_the_plan_says_so() -> None:
    bench = PlanBench(image(0), stimulation(0), image(1))
    bench.fail("project", DeviceError("jammed"))

    status = bench.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert "jammed" in status.fatal_error.text


def test_a_cancel_while_the_mask_is_waited_for_ends_it() -> None:
    bench = PlanBench(image(0), stimulation(0), image(1))

    def cancel() -> None:
        bench.engine.progress.cancel()
        bench.engine.look()  # as whoever waits for messages does

    bench.on("mask", cancel)

    status = bench.run()

    assert status.state is RunState.CANCELLED
    assert status.background_errors == ()
    assert len(bench.takes) == 1


def test_what_goes_wrong_with_analyses_ends_no_run_and_is_told_once() -> None:
    bench = PlanBench(image(0))
    error = ErrorRecord(kind="DeviceTimeout", text="too slow", source="late")
    broken = ErrorRecord(kind="StateError", text="broken", source="one")
    bench.analyses = {"one": broken, "late": None}
    bench.not_caught_up = (error,)

    status = bench.run()

    assert status.state is RunState.DONE
    assert [e.text for e in status.background_errors] == ["broken", "too slow"]
    progress = bench.engine.progress
    assert progress.analyses == {"one", "late"}
    # Later news of the same ones: told already; of others: too late.
    assert progress.analysis_failed("one", broken)
    assert not progress.analysis_failed("third", broken)


def _raise(error: Exception) -> None:
    raise error


def test_the_light_of_what_failed_does_not_wait_for_the_next_event() -> None:
    skips = FailurePolicy(then=AfterFailure.SKIP)
    lit = stimulation(0, on_failure=skips), image(1, min_start_time_s=600.0)
    bench = PlanBench(image(0, min_start_time_s=0.0), *lit)
    bench.fail("project", DeviceError("jammed"))

    bench.run()

    assert bench.times_s["light FITC off"] < bench.times_s["light FITC on"] + 1.0
