import math
import threading

import pytest

from hal.base import SystemClock
from hal.testing import FakeClock
from hal.testing.contracts._halting import Background


def until_somebody_waits(clock: FakeClock, count: int = 1) -> None:
    real = SystemClock()
    deadline_s = real.monotonic_s() + 5.0
    while clock.waiting < count:
        assert real.monotonic_s() < deadline_s


def test_stands_still_until_it_is_advanced() -> None:
    clock = FakeClock(monotonic_s=10.0, wall_s=1000.0)
    assert (clock.monotonic_s(), clock.wall_s()) == (10.0, 1000.0)

    clock.advance(2.5)

    assert (clock.monotonic_s(), clock.wall_s()) == (12.5, 1002.5)


def test_wait_returns_true_as_soon_as_the_event_is_set() -> None:
    clock, event = FakeClock(), threading.Event()
    answers: list[bool] = []
    waiter = Background(lambda: answers.append(clock.wait(event, 1e9)))
    until_somebody_waits(clock)

    event.set()

    assert waiter.join(5.0)
    assert answers == [True]
    assert clock.waiting == 0


def test_wait_returns_false_once_fake_time_has_passed() -> None:
    clock, event = FakeClock(), threading.Event()
    answers: list[bool] = []
    waiter = Background(lambda: answers.append(clock.wait(event, 10.0)))
    until_somebody_waits(clock)

    clock.advance(9.9)
    assert not waiter.join(0.05)
    clock.advance(0.2)

    assert waiter.join(5.0)
    assert answers == [False]


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, math.nan])
def test_wait_for_no_time_returns_at_once(timeout_s: float) -> None:
    clock, event = FakeClock(), threading.Event()

    assert not clock.wait(event, timeout_s)

    event.set()
    assert clock.wait(event, timeout_s)


def test_several_threads_wait_each_for_its_own_time() -> None:
    clock, event = FakeClock(), threading.Event()
    waiters = [Background(lambda s=s: clock.wait(event, s)) for s in (1.0, 2.0)]
    until_somebody_waits(clock, 2)

    clock.advance(1.5)

    assert waiters[0].join(5.0)
    assert waiters[1].is_running
    event.set()
    assert waiters[1].join(5.0)


@pytest.mark.parametrize("seconds", [-0.1, math.nan, math.inf])
def test_time_does_not_go_back(seconds: float) -> None:
    clock = FakeClock()

    with pytest.raises(ValueError, match="advance"):
        clock.advance(seconds)

    assert clock.monotonic_s() == 0.0
