"""The film engine on a scripted microscope: every way out ends in order."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from hal.acquisition import Armed, FinishedFilm, RunState, RunStatus
from hal.acquisition.run_engine import SILENCE_S, STORING_S
from hal.base import (
    Cancelled,
    DeviceError,
    DeviceTimeout,
    DiskFull,
    ErrorRecord,
    HalError,
)
from tests.acquisition.scripted import FRAMES, Film, counts, ledger

WINDING_UP = ["stop left", "stop right", "finish"]
PULLED = ErrorRecord(
    kind="LinkError",
    text="cable pulled",
    source="left",
    traceback="in grab",
    dump="all threads",
    data={"port": 3},
)
NO_SPACE = ErrorRecord(kind="DiskFull", text="no space left", source="recorder")


def assert_ended_once(reports: list[RunStatus]) -> None:
    states = [report.state for report in reports]
    assert states[-1].is_terminal
    assert not any(state.is_terminal for state in states[:-1])


def assert_same(error: ErrorRecord | None, origin: ErrorRecord) -> None:
    """It is that error, passed on: only its traceback has grown."""
    assert error is not None
    assert msgspec.structs.replace(error, traceback=origin.traceback) == origin
    assert origin.traceback in error.traceback


def test_a_film_is_prepared_exposed_followed_and_finished_in_order() -> None:
    film = Film()

    status = film.run()

    assert film.rig.calls == [
        *("arm left", "arm right", "open", "start left", "start right"),
        *WINDING_UP,
    ]
    assert status.state is RunState.DONE
    assert film.rig.final_state == "done"
    assert status.fatal_error is None
    assert status.background_errors == ()
    assert (status.n_events_total, status.n_events_consumed) == (FRAMES, FRAMES)
    assert status.n_frames_received == 2 * FRAMES
    assert status.files == ("film.dax", "film.xml")
    assert film.engine.ended.is_set()


def test_the_states_of_a_good_run_are_pending_running_done() -> None:
    """R59."""
    film = Film()

    film.run()

    states = [state for state, _ in itertools.groupby(r.state for r in film.reports)]
    assert states == [RunState.PENDING, RunState.RUNNING, RunState.DONE]
    assert_ended_once(film.reports)


def test_a_run_starts_with_its_exposure_not_with_its_preparation() -> None:
    """R73: what arming and opening take is not charged to the film."""
    film = Film("left")
    film.on("arm left", lambda: film.clock.advance(7.0))
    film.engine.prepare(40.0)
    assert film.engine.status.started_at_s is None
    exposed_at_s = film.clock.wall_s()

    assert film.go().started_at_s == exposed_at_s


@pytest.mark.parametrize(
    ("call", "undone"),
    [
        ("arm left", []),
        ("arm right", ["stop left"]),
        ("open", ["stop left", "stop right"]),
    ],
)
@pytest.mark.parametrize("error", [DeviceError("no answer"), SystemExit(3)])
def test_what_fails_in_preparation_is_raised_and_nothing_is_left(
    call: str, undone: list[str], error: BaseException
) -> None:
    """R56: the caller hears it, before anything is exposed."""
    film = Film()
    film.fail(call, error)

    with pytest.raises(type(error)) as raised:
        film.engine.prepare(40.0)

    assert raised.value is error
    assert film.rig.calls[film.rig.calls.index(call) + 1 :] == undone
    assert film.engine.ended.is_set()
    assert not any(report.state.is_terminal for report in film.reports)


def test_undoing_a_preparation_goes_on_when_a_camera_cannot_be_stopped() -> None:
    film = Film()
    film.fail("open", DiskFull("no space"))
    film.fail("stop left", DeviceError("dead"))

    with pytest.raises(DiskFull):
        film.engine.prepare(40.0)

    assert film.rig.calls[-1] == "stop right"


@pytest.mark.parametrize(
    ("slow", "undone"),
    [
        ("arm left", ["stop left"]),
        ("open", ["stop left", "stop right", "finish"]),
    ],
)
def test_a_preparation_that_takes_too_long_is_undone(
    slow: str, undone: list[str]
) -> None:
    film = Film()
    film.on(slow, lambda: film.clock.advance(41.0))

    with pytest.raises(DeviceTimeout, match="preparing the run took over 40 s"):
        film.engine.prepare(40.0)

    assert film.rig.calls[film.rig.calls.index(slow) + 1 :] == undone


@pytest.mark.parametrize(
    "call", ["start left", "start right", "stop left", "stop right", "finish"]
)
@pytest.mark.parametrize("error", [DeviceError("no answer"), SystemExit(3)])
def test_whatever_fails_in_a_run_every_camera_is_stopped_and_the_film_finished(
    call: str, error: BaseException
) -> None:
    """R62, R99: the failure is in the status, and no step is skipped for it."""
    film = Film()
    film.fail(call, error)

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert ("no answer" in status.fatal_error.text) == isinstance(error, HalError)
    assert film.rig.calls[-3:] == WINDING_UP
    assert_ended_once(film.reports)
    assert film.engine.ended.is_set()


def test_a_film_whose_camera_could_not_be_stopped_is_recorded_as_an_error() -> None:
    film = Film()
    film.fail("stop left", DeviceError("dead"))

    film.run()

    assert film.rig.final_state == "error"


def test_all_that_went_wrong_is_told() -> None:
    film = Film()
    film.fail("start left", DeviceError("first"))
    film.fail("stop left", DeviceError("second"))
    film.fail("finish", DeviceError("third"))

    status = film.run()

    assert status.fatal_error is not None
    assert status.fatal_error.text == "first"
    texts = [error.text for error in status.background_errors]
    assert texts == ["second", "third"]


def cancel_at(film: Film, call: str) -> None:
    before = film.rig.acts.get(call, lambda: None)

    def act() -> None:
        before()
        film.progress.cancel()

    film.on(call, act)


def test_a_run_that_is_cancelled_while_prepared_exposes_nothing() -> None:
    film = Film()
    film.engine.prepare(40.0)
    film.progress.cancel()

    status = film.go()

    assert status.state is RunState.CANCELLED
    assert film.rig.calls[-3:] == WINDING_UP
    assert not any(call.startswith("start") for call in film.rig.calls)


def test_a_cancel_during_preparation_undoes_it() -> None:
    film = Film()
    cancel_at(film, "arm left")

    with pytest.raises(HalError, match="cancelled"):
        film.engine.prepare(40.0)

    assert film.rig.calls == ["arm left", "stop left"]


def test_a_cancelled_run_says_stopping_at_once_and_cancelled_at_the_end() -> None:
    """R95, R98: one stop path; the answer is immediate and the end is told."""
    film = Film(frames=None)
    film.on("start left", lambda: film.progress.received("left", 0, 4))
    film.on("start right", lambda: None)
    film.engine.prepare(40.0)
    film.on("start right", film.progress.cancel)

    status = film.go()

    said = [(report.state, report.step) for report in film.reports]
    assert said.index((RunState.CANCELLING, "stopping")) < len(said) - 1
    assert status.state is RunState.CANCELLED
    assert status.fatal_error is None
    assert film.rig.final_state == "cancelled"
    assert film.rig.calls[-3:] == WINDING_UP
    assert_ended_once(film.reports)


def test_a_cancel_while_winding_up_changes_nothing_of_a_whole_film() -> None:
    for call in ("stop left", "stop right", "finish"):
        film = Film()
        cancel_at(film, call)

        status = film.run()

        assert status.state is RunState.DONE, call
        assert_ended_once(film.reports)


def test_a_cancel_that_comes_when_all_is_stored_is_too_late() -> None:
    film = Film()
    cancel_at(film, "start right")

    assert film.run().state is RunState.DONE


def test_a_late_cancel_does_not_hide_that_verification_failed() -> None:
    film = Film("left")
    cancel_at(film, "start left")
    film.rig.finished = lambda: film.finished(
        left=counts(mismatched=(3,), mismatch_count=1)
    )

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert "read back otherwise than written: 3" in status.fatal_error.text


def test_a_cancelled_film_tells_of_frames_lost_before_the_cancel() -> None:
    film = Film("left", frames=None)
    account = ledger("left", None, stored=(range(3), range(6, 8)))
    cancel_at(film, "start left")
    film.rig.finished = lambda: film.finished(left=account.snapshot())

    status = film.run()

    assert status.state is RunState.CANCELLED
    (told,) = status.background_errors
    assert str(told) == "left: 5 frames stored, 3 missing: 3-5"


def test_a_cancel_does_not_count_frames_that_were_never_taken_as_lost() -> None:
    film = Film("left")
    film.on("start left", film.progress.cancel)

    status = film.run()

    assert status.state is RunState.CANCELLED
    assert status.background_errors == ()


def test_a_silent_camera_fails_the_run_by_name() -> None:
    film = Film()
    film.on("start right", lambda: None)
    before_s = film.clock.monotonic_s()

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error.kind == "DeviceTimeout"
    assert str(status.fatal_error).startswith("right: no frame for 10.")
    assert status.fatal_error.text.endswith(" s: 0 came, 0 are stored")
    assert film.clock.monotonic_s() - before_s == pytest.approx(SILENCE_S, abs=1.0)


def test_a_camera_may_be_silent_for_as_long_as_it_exposes() -> None:
    film = Film("left")
    film.rig.arm = lambda camera, frames, on_request: Armed(10.0, frames)  # type: ignore[method-assign]
    film.on("start left", lambda: None)

    film.run()

    assert film.clock.monotonic_s() == pytest.approx(SILENCE_S + 30.0, abs=1.0)


def test_a_preparation_however_slow_is_not_silence_of_the_camera() -> None:
    film = Film("left")
    film.on("open", lambda: film.clock.advance(30.0))
    film.on("start left", lambda: None)
    film.engine.prepare(40.0)
    beat = film.beat

    def deliver_after_a_while() -> None:
        beat()
        if film.beats == 20:
            film.deliver("left")

    film.beat = deliver_after_a_while  # type: ignore[method-assign]

    assert film.go().state is RunState.DONE


def test_a_film_ends_when_its_time_is_over() -> None:
    """R19."""
    film = Film("left", frames=None, deadline_s=3.0)
    film.on("start left", lambda: film.progress.received("left", 0, 4))

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error.text == "the run took longer than 3 s"


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_silent_recorder_fails_the_run_by_name(has_ended: bool) -> None:
    film = Film("left")

    def deliver() -> None:
        film.progress.received("left", 0, FRAMES - 1)
        film.progress.stored("left", 0, 3)
        if has_ended:
            film.progress.ended("left", FRAMES, None)

    film.on("start left", deliver)

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert "the recorder has stored nothing for " in status.fatal_error.text
    assert "10 frames of left came, 4 are stored" in status.fatal_error.text
    # The camera's and the recorder's own deadlines come first: they know why.
    assert film.clock.monotonic_s() == pytest.approx(STORING_S, abs=1.0)


def test_a_camera_that_fails_ends_the_run_with_its_reason() -> None:
    film = Film()
    film.on("start left", lambda: film.progress.ended("left", 3, PULLED))

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert_same(status.fatal_error, PULLED)
    assert status.background_errors == ()
    assert film.rig.calls[-3:] == WINDING_UP


def test_a_recorder_that_fails_ends_the_run_with_its_reason_once() -> None:
    """R62."""
    film = Film("left")
    film.on("start left", lambda: film.progress.failed("left", NO_SPACE))
    # The recorder says the same again when it is finished.
    film.rig.finished = lambda: FinishedFilm((), film.progress.counts(), (NO_SPACE,))

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert_same(status.fatal_error, NO_SPACE)
    assert status.background_errors == ()


def test_a_second_camera_that_fails_is_told_besides_the_first() -> None:
    film = Film()
    second = msgspec.structs.replace(PULLED, source="right")
    film.on("start left", lambda: film.progress.ended("left", 3, PULLED))
    film.on("stop right", lambda: film.progress.ended("right", 2, second))

    status = film.run()

    assert_same(status.fatal_error, PULLED)
    assert status.background_errors == (second,)


def test_a_camera_that_fails_while_the_film_is_cancelled_is_told() -> None:
    film = Film("left")
    film.on("start left", film.progress.cancel)
    film.on("stop left", lambda: film.progress.ended("left", 0, PULLED))

    status = film.run()

    assert status.state is RunState.CANCELLED
    assert status.background_errors == (PULLED,)


def test_what_a_module_gave_up_by_itself_is_no_cancel() -> None:
    film = Film()
    film.fail("start left", Cancelled("given up"))

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error.kind == "Cancelled"


def test_lost_frames_are_an_error_that_names_them() -> None:
    film = Film("left")
    account = ledger("left", stored=(range(3), range(5, 7), range(8, 10)))

    def deliver() -> None:
        for first, last in ((0, 2), (5, 6), (8, 9)):
            film.progress.received("left", first, last)
            film.progress.stored("left", first, last)
        film.progress.ended("left", 7, None)

    film.on("start left", deliver)
    film.rig.finished = lambda: film.finished(left=account.snapshot())

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    text = "left: 7 of 10 frames stored, 3 missing: 3-4, 7"
    assert str(status.fatal_error) == text


def test_a_film_that_ends_too_early_is_an_error() -> None:
    film = Film("left")
    film.on("start left", lambda: film.deliver("left", received=6))

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert str(status.fatal_error) == "left: 6 of 10 frames stored"


def test_what_the_recorder_found_wrong_at_the_end_is_an_error() -> None:
    film = Film("left")
    film.rig.finished = lambda: FinishedFilm(
        ("film.dax",), film.progress.counts(), (NO_SPACE,)
    )

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error is NO_SPACE
    assert status.files == ("film.dax",)


def test_late_news_after_the_end_change_nothing() -> None:
    film = Film("left")
    film.run()
    ended, reports = film.engine.status, len(film.reports)

    film.progress.received("left", 50, 60)
    assert not film.progress.failed("left", NO_SPACE)
    assert not film.progress.ended("left", 3, PULLED)
    film.progress.cancel()

    assert film.engine.status is ended
    assert len(film.reports) == reports


def test_a_run_after_a_cancelled_one_is_clean() -> None:
    """R67: nothing of the first leaks into the second."""
    first = Film("left")
    first.on("start left", first.progress.cancel)
    assert first.run().state is RunState.CANCELLED

    second = Film("left", rig=first.rig, run_id="run2")

    status = second.run()
    assert status.run_id == "run2"
    assert status.state is RunState.DONE
    assert status.background_errors == ()


def test_the_engine_shows_that_it_is_alive_while_it_waits() -> None:
    film = Film("left")
    film.on("start left", lambda: None)

    film.run()

    # Ten times a second while nothing comes, so that the watchdog does not stir.
    assert film.beats > SILENCE_S * 9


def test_a_listener_that_raises_prevents_no_step_of_the_wind_up() -> None:
    """R99."""
    film = Film()
    film.engine.prepare(40.0)

    def raise_always(_status: RunStatus) -> None:
        raise ValueError("listener")

    film.engine._report = raise_always

    film.engine.run(film.beat)

    assert film.rig.calls[-3:] == WINDING_UP
    assert film.engine.status.state is RunState.ERROR
    assert film.engine.ended.is_set()


def test_a_run_given_up_by_the_watchdog_says_no_more() -> None:
    film = Film("left")
    error = ErrorRecord(kind="WorkerTimeout", text="stalled", source="acquisition")

    def hang() -> None:
        film.progress.ended("left", 3, PULLED)
        film.reports.append(film.engine.abandon(error))

    film.on("start left", hang)
    film.engine.prepare(40.0)

    film.engine.run(film.beat)

    assert film.reports[-1].fatal_error is error
    assert film.reports[-1].background_errors == (PULLED,)
    assert_ended_once(film.reports)
    assert film.rig.calls[-2:] == ["stop left", "finish"]
