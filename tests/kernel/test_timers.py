"""R101, R105: messages for later, on a thread that needs no event loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hal.base import SystemClock
from hal.kernel import System, Timers
from hal.testing import FakeClock
from tests.kernel.bench import Records, add, done, in_threads, of_kind, until
from tests.kernel.vocabulary import Act, Noted


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timers(clock: FakeClock) -> Iterator[Timers]:
    timers = Timers(clock)
    timers.start()
    yield timers
    timers.stop()


def pass_time(clock: FakeClock, timers: Timers, seconds: float) -> None:
    """Advance once the timer thread has taken note of everything, and let it act."""
    until(lambda: clock.waiting and not timers._changed.is_set())
    clock.advance(seconds)


def test_a_module_gets_its_own_message_later(system: System) -> None:
    probe = add(system, "probe")
    other = add(system, "other")
    times: list[float] = []
    probe.acts["tick"] = lambda: times.append(system.clock.monotonic_s())
    probe.acts["start"] = lambda: probe.after(0.3, Act("tick")) and None
    started_s = system.clock.monotonic_s()

    done(system.send(Act("start"), to="probe"))

    until(lambda: times)
    assert times[0] - started_s >= 0.3
    assert other.seen == []


def test_timers_fire_in_the_order_of_their_times(
    clock: FakeClock, timers: Timers
) -> None:
    fired: list[int] = []
    for number in (3, 1, 2, 5, 4):
        timers.after(number * 10.0, lambda n=number: fired.append(n))

    pass_time(clock, timers, 25.0)
    until(lambda: fired == [1, 2])
    pass_time(clock, timers, 100.0)
    until(lambda: fired == [1, 2, 3, 4, 5])


def test_a_sooner_timer_shortens_the_wait_for_a_later_one(
    clock: FakeClock, timers: Timers
) -> None:
    fired: list[str] = []
    timers.after(1_000.0, lambda: fired.append("late"))
    until(lambda: clock.waiting)
    timers.after(1.0, lambda: fired.append("soon"))

    pass_time(clock, timers, 2.0)

    until(lambda: fired == ["soon"])


def test_a_cancelled_timer_never_fires_and_equal_ones_keep_apart(
    clock: FakeClock, timers: Timers
) -> None:
    fired: list[int] = []
    handles = [
        timers.after(1.0, lambda n=number: fired.append(n)) for number in range(4)
    ]
    handles[2].cancel()
    handles[2].cancel()

    pass_time(clock, timers, 2.0)
    until(lambda: len(fired) == 3)

    assert fired == [0, 1, 3]
    handles[0].fire()
    assert fired == [0, 1, 3]


def test_a_timer_that_raises_does_not_stop_the_others(
    clock: FakeClock, timers: Timers, logged: list[Any]
) -> None:
    fired: list[int] = []
    timers.after(1.0, lambda: fired.append(1 // 0))
    timers.after(1.0, lambda: fired.append(2))

    pass_time(clock, timers, 2.0)

    until(lambda: fired == [2])
    assert [entry["event"] for entry in logged] == ["timer failed"]


def test_timers_may_be_set_from_many_threads(clock: FakeClock, timers: Timers) -> None:
    fired: list[int] = []

    def set_some(thread: int) -> None:
        for number in range(50):
            timers.after(1.0, lambda n=number: fired.append(n))

    in_threads(4, set_some)
    pass_time(clock, timers, 2.0)

    until(lambda: len(fired) == 200)


def test_stopping_is_quick_whenever_it_comes() -> None:
    # A stop that falls between the thread's look at its flag and its wait must not
    # be overlooked: it would cost the whole idle time.
    clock = SystemClock()
    for _ in range(100):
        timers = Timers(clock)
        timers.start()
        timers.after(0.0, lambda: None)
        started_s = clock.monotonic_s()
        timers.stop()
        assert clock.monotonic_s() - started_s < 1.5
    assert "hal/timers" not in {thread.name for thread in threading.enumerate()}


def test_a_timer_of_a_stopped_module_harms_nobody(
    system: System, records: Records
) -> None:
    probe, other = add(system, "probe"), add(system, "other")
    probe.acts["start"] = lambda: probe.after(0.05, Act("answer")) and None
    done(system.send(Act("start"), to="probe"))
    probe.actor_ref.stop(timeout=5.0)

    until(lambda: of_kind(records, "delivery", **{"from": "probe"}))
    done(system.send(Noted("all", 1)))
    assert other.seen == [("noted", "all", 1)]


def test_a_timer_for_ever_does_not_stop_the_others() -> None:
    timers, fired = Timers(SystemClock()), threading.Event()
    timers.start()
    timers.after(float("inf"), lambda: None)
    timers.after(1e12, lambda: None)
    until(lambda: not timers._changed.is_set())  # its thread has taken note

    timers.after(0.01, fired.set)

    assert fired.wait(20.0)
    timers.stop()
