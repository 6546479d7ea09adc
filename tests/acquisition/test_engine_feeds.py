"""The film engine with feeds: beside the cameras, without being one."""

from __future__ import annotations

import pytest

from hal.acquisition import RunState
from hal.acquisition.run_engine import SILENCE_S
from hal.base import DeviceError, ErrorRecord
from tests.acquisition.scripted import FRAMES, Film, ledger

MEANS = FRAMES // 4


def film_with_feeds() -> Film:
    """A film of one camera, whose mean is saved, and of that a slice."""
    film = Film("left")
    film.rig.made_of = {"mean": "left", "part": "left"}
    film.rig.planned = {"mean": MEANS, "part": MEANS}
    film.on("stop mean", lambda: film.deliver("mean", MEANS))
    film.on("stop part", lambda: film.deliver("part", MEANS))
    return film


def deliver_all(film: Film) -> None:
    film.deliver("left")
    film.deliver("mean", MEANS)
    film.deliver("part", MEANS)


def test_feeds_are_armed_after_started_before_and_stopped_after_their_source() -> None:
    film = film_with_feeds()
    film.on("start left", lambda: deliver_all(film))

    status = film.run()

    assert film.rig.calls == [
        *("arm left", "arm mean", "arm part", "open"),
        *("start part", "start mean", "start left"),
        *("stop left", "stop mean", "stop part", "finish"),
    ]
    assert (status.state, status.fatal_error) == (RunState.DONE, None)


def test_a_feed_has_an_account_of_its_own_and_counts_for_no_camera() -> None:
    film = film_with_feeds()
    film.on("start left", lambda: deliver_all(film))

    status = film.run()

    assert {n: c.planned for n, c in status.frames.items()} == {
        "left": FRAMES,
        "mean": MEANS,
        "part": MEANS,
    }
    assert status.n_events_consumed == FRAMES
    assert status.n_frames_received == FRAMES


def test_a_film_is_not_over_before_its_feeds_are_stored() -> None:
    film = film_with_feeds()
    film.on("start left", lambda: film.deliver("left"))
    film.engine.prepare(40.0)
    beat = film.beat

    def deliver_after_a_while() -> None:
        beat()
        if film.beats == 20:
            film.deliver("mean", MEANS)
            film.deliver("part", MEANS)

    film.beat = deliver_after_a_while  # type: ignore[method-assign]

    assert film.go().state is RunState.DONE
    assert film.beats > 20


def test_what_a_feed_lacks_fails_the_run_by_its_name() -> None:
    film = film_with_feeds()
    film.on("start left", lambda: deliver_all(film))
    short = ledger("mean", MEANS, stored=(range(1, MEANS),)).snapshot()
    film.rig.finished = lambda: film.finished(mean=short)

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert status.fatal_error.source == "mean"
    assert "1 missing: 0" in status.fatal_error.text


def test_a_feed_that_fails_ends_the_run_and_the_cameras_are_stopped_first() -> None:
    film = film_with_feeds()
    why = ErrorRecord.from_exception(DeviceError("no memory"), "mean")
    film.on("start left", lambda: film.progress.ended("mean", 0, why))

    status = film.run()

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert (status.fatal_error.source, status.fatal_error.text) == ("mean", "no memory")
    assert film.rig.calls[-4:] == ["stop left", "stop mean", "stop part", "finish"]


@pytest.mark.parametrize("call", ["arm mean", "arm part", "open"])
def test_a_preparation_that_fails_leaves_no_feed_armed(call: str) -> None:
    film = film_with_feeds()
    film.fail(call, DeviceError("no memory"))

    with pytest.raises(DeviceError, match="no memory"):
        film.engine.prepare(40.0)

    armed = [c.split()[1] for c in film.rig.calls if c.startswith("arm")]
    stopped = [c.split()[1] for c in film.rig.calls if c.startswith("stop")]
    assert stopped == (armed if call == "open" else armed[:-1])


def test_a_feed_may_be_silent_for_as_long_as_its_camera_goes_on() -> None:
    """The mean of very many frames is rare."""
    film = film_with_feeds()
    film.on("start left", lambda: None)
    film.engine.prepare(40.0)
    beat = film.beat

    def deliver_slowly() -> None:
        beat()
        film.clock.advance(SILENCE_S / 2)
        if film.beats <= FRAMES:
            film.progress.received("left", film.beats - 1, film.beats - 1)
            film.progress.stored("left", film.beats - 1, film.beats - 1)
        if film.beats == FRAMES:
            deliver_all(film)

    film.beat = deliver_slowly  # type: ignore[method-assign]

    status = film.go()
    assert status.state is RunState.DONE, status.fatal_error


def test_a_feed_that_never_ends_after_its_camera_is_found_out() -> None:
    film = film_with_feeds()
    film.on("start left", lambda: film.deliver("left"))

    status = film.run()

    assert status.fatal_error is not None
    assert status.fatal_error.source == "mean"
    assert "no frame for 10" in status.fatal_error.text


def test_a_camera_held_up_by_a_feed_that_is_not_stored_is_not_silent() -> None:
    """The feed knows better why, and says so when its patience ends."""
    film = film_with_feeds()
    film.on("start left", lambda: film.progress.received("mean", 0, 0))
    film.engine.prepare(40.0)
    beat = film.beat

    def fail_after_a_while() -> None:
        beat()
        if film.clock.monotonic_s() > 3 * SILENCE_S:
            why = ErrorRecord.from_exception(DeviceError("held up"), "mean")
            film.progress.ended("mean", 1, why)

    film.beat = fail_after_a_while  # type: ignore[method-assign]

    status = film.go()
    assert status.fatal_error is not None
    assert status.fatal_error.text == "held up"


def test_a_cancel_after_all_is_stored_is_too_late_with_feeds_as_well() -> None:
    film = film_with_feeds()

    def deliver_and_cancel() -> None:
        deliver_all(film)
        film.progress.cancel()

    film.on("start left", deliver_and_cancel)

    assert film.run().state is RunState.DONE
