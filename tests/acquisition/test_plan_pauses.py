"""R59, R63, R66-R71, R76: pause, resume, cancel and extend a plan that is going on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hal.acquisition import PERSON, ImageEvent, RunState, Studied
from hal.acquisition.plans import WaitEvent, explicit
from hal.base import DeviceError, PlanError, StateError
from tests.acquisition.scripted_plans import CAMERA, DAPI, EXPOSURE_S, PlanBench, image

TIME_S = pytest.approx
PAUSE_S = 50.0
CALLS = ("change", "light", "take")


def plan_bench(**values: object) -> PlanBench:
    return PlanBench(
        image(0, channel=DAPI, z_um=0.0, min_start_time_s=0.0),
        WaitEvent(duration_s=3.0),
        image(1, channel=DAPI, z_um=1.0, keep_shutter_open=True),
        image(2, channel=DAPI, z_um=2.0, min_start_time_s=10.0),
        image(3, channel=DAPI, z_um=2.0, min_start_time_s=20.0),
        **values,  # type: ignore[arg-type]
    )


def resume_later(bench: PlanBench, wanted: Callable[[], bool]) -> list[str]:
    """Pause once when `wanted`, resume after `PAUSE_S`; return states seen."""
    paused_s: list[float] = []
    seen: list[str] = []

    def at_wait() -> None:
        now_s = bench.clock.monotonic_s()
        if bench.engine.pauses.is_wanted:
            seen.append(str(bench.engine.status.state))
            if now_s - paused_s[0] > PAUSE_S:
                bench.engine.pauses.clear()
        elif not paused_s and wanted():
            paused_s.append(now_s)
            bench.engine.pauses.add(PERSON, "by a test")

    bench.clock.at_wait = at_wait
    return seen


@pytest.mark.parametrize("call", range(13))
def test_a_pause_changes_when_and_not_what(call: int) -> None:
    """R72: at any call to the microscope."""
    whole = plan_bench()
    whole.run()
    bench = plan_bench()
    resume_later(bench, lambda: False)

    def pause() -> None:
        n_calls = len(bench.told(*CALLS))
        if n_calls == call + 1 and not done:
            done.append(len(bench.takes))
            bench.engine.pauses.add(PERSON, "by a test")
            paused_s.append(bench.clock.monotonic_s())

    def go_on() -> None:
        if paused_s and bench.clock.monotonic_s() - paused_s[0] > PAUSE_S:
            bench.engine.pauses.clear()

    done: list[int] = []
    paused_s: list[float] = []
    bench.clock.at_wait = go_on
    for name in CALLS:
        bench.on(name, pause)

    status = bench.run()

    assert status.state is RunState.DONE
    assert bench.takes == whole.takes
    assert bench.told("change", "take") == whole.told("change", "take")
    # Asked for with the last frame, it comes too late.
    assert call > 9 or "paused" in bench.states()


def test_nothing_is_lit_and_nothing_done_while_it_is_paused() -> None:
    """R71: events that are late are done at once afterwards; their times stay."""
    bench = plan_bench()
    takes_at: list[int] = []
    resume_later(bench, lambda: len(bench.takes) == 2)

    def note() -> None:
        takes_at.append(len(bench.takes))

    bench.on("light DAPI off", note)

    status = bench.run()

    # The light that was kept on for the next event goes out.
    assert bench.told("light")[2:4] == ["light DAPI on", "light DAPI off"]
    third_s, fourth_s = (bench.times_s[call] for call in bench.told("take")[2:])
    assert fourth_s - third_s < 1.0
    assert status.lag_ms > 1000 * (PAUSE_S - 20.0)


def test_a_pause_in_a_wait_takes_hold_at_once_and_the_wait_goes_on() -> None:
    """R76."""
    bench = PlanBench(image(0), WaitEvent(duration_s=30.0), image(1))
    states = resume_later(bench, lambda: bench.engine.status.event == 1)

    bench.run()

    assert set(states[1:]) == {"paused"}
    first_s, second_s = (bench.times_s[call] for call in bench.told("take"))
    # The sample waits although nobody looks.
    assert second_s - first_s == TIME_S(EXPOSURE_S + PAUSE_S, abs=1.0)
    assert bench.states() == [
        *("pending", "running", "waiting", "paused", "running"),
        "done",
    ]


def test_frames_that_are_being_taken_are_called_off_and_taken_afterwards() -> None:
    bench = PlanBench(*(image(n) for n in range(10)))
    bench.on("take cam 0", lambda: bench.engine.pauses.add(PERSON, "by a test"))
    bench.takes_at_most = 4
    bench.clock.at_wait = bench.engine.pauses.clear

    status = bench.run()

    assert bench.call_offs == [CAMERA]
    assert [take[1:] for take in bench.takes] == [(0, 0, 4), (4, 4, 4), (8, 8, 2)]
    assert status.state is RunState.DONE
    assert bench.states()[:4] == ["pending", "running", "pausing", "paused"]


def test_it_goes_on_when_the_last_reason_is_gone() -> None:
    bench = PlanBench(image(0, z_um=0.0), image(1, z_um=1.0))
    reasons: list[str] = []

    def at_wait() -> None:
        reasons.append(bench.engine.status.why_paused)
        bench.engine.pauses.remove("focus" if len(reasons) == 3 else "warm")
        if len(reasons) > 5:
            bench.engine.pauses.remove("focus")

    bench.engine.pauses.add("focus", "focus is lost")
    bench.engine.pauses.add("warm", "heater is at 40 C")
    bench.clock.at_wait = at_wait

    status = bench.run()

    assert status.state is RunState.DONE
    assert reasons[:3] == [
        "focus is lost; heater is at 40 C",
        "focus is lost",
        "focus is lost",
    ]
    assert status.why_paused == ""


def test_a_pause_is_no_time_of_the_run() -> None:
    bench = PlanBench(image(0, z_um=0.0), image(1, z_um=1.0), deadline_s=20.0)
    resume_later(bench, lambda: False)
    bench.on("take cam 0", lambda: bench.engine.pauses.add(PERSON, "by a test"))
    began_s: list[float] = []

    def at_wait() -> None:
        began_s.append(bench.clock.monotonic_s())
        if began_s[-1] - began_s[0] > PAUSE_S:
            bench.engine.pauses.clear()

    bench.clock.at_wait = at_wait

    assert bench.run().state is RunState.DONE


def test_a_light_that_stays_on_in_a_pause_ends_the_run() -> None:
    bench = plan_bench()
    resume_later(bench, lambda: len(bench.takes) == 2)

    def stay_on() -> None:
        if len(bench.takes) == 2:
            raise DeviceError("does not close")

    bench.on("light DAPI off", stay_on)

    status = bench.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error.text == "does not close"


@pytest.mark.parametrize("call", range(13))
def test_a_cancelled_run_ends_in_order_wherever_it_is(call: int) -> None:
    """R66, R69: and the light is put out."""
    bench = plan_bench()

    def cancel() -> None:
        if len(bench.told(*CALLS)) == call + 1:
            bench.engine.progress.cancel()

    for name in CALLS:
        bench.on(name, cancel)

    status = bench.run()

    n_stored = status.frames[CAMERA].stored
    assert status.state is (RunState.DONE if n_stored == 4 else RunState.CANCELLED)
    assert len(bench.told(*CALLS)) <= call + 3
    assert bench.told("rest", "restore") == ["rest", "restore"]
    assert status.fatal_error is None


@pytest.mark.parametrize("state", ["paused", "waiting"])
def test_a_run_is_cancelled_at_once_while_it_waits(state: str) -> None:
    """R69, R70."""
    bench = PlanBench(image(0), WaitEvent(duration_s=1000.0), image(1))
    if state == "paused":
        bench.engine.pauses.add(PERSON, "by a test")
    waits: list[str] = []

    def at_wait() -> None:
        waits.append(str(bench.engine.status.state))
        if waits[-1] == state:
            bench.engine.progress.cancel()

    bench.clock.at_wait = at_wait

    status = bench.run()

    assert status.state is RunState.CANCELLED
    assert waits.count(state) == 1
    assert not bench.engine.pauses.is_wanted


def test_a_plan_is_extended_while_it_goes_on() -> None:
    """R63."""
    bench = PlanBench(image(0), image(1))
    more = explicit([ImageEvent(index={"t": 0}), ImageEvent(index={"t": 1})])
    bench.on("take cam 0", lambda: bench.engine.extend(more, bench.study(more)))

    status = bench.run()

    assert status.state is RunState.DONE
    assert [take[1:] for take in bench.takes] == [(0, 0, 2), (2, 2, 2)]
    assert (status.n_events_total, status.frames[CAMERA].planned) == (4, 4)
    assert [row.index["t"] for row in bench.rows] == [0, 1, 2, 3]


def test_a_plan_that_is_over_cannot_be_extended() -> None:
    bench = PlanBench(image(0))
    bench.run()

    with pytest.raises(StateError, match="start another one"):
        bench.engine.extend(explicit([image(0)]), bench.study(explicit([image(0)])))


def test_an_extension_cannot_bring_another_camera() -> None:
    bench = PlanBench(image(0))
    errors: list[PlanError] = []
    more = explicit([image(0, camera="other")])

    def extend() -> None:
        with pytest.raises(PlanError) as caught:
            bench.engine.extend(more, Studied({"other": 1}))
        errors.append(caught.value)

    bench.on("take cam 0", extend)

    bench.run()

    assert "camera 'other' takes no part in this run" in errors[0].text
    assert [take[1:] for take in bench.takes] == [(0, 0, 1)]
