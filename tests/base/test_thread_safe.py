"""R24, R25, R110: a value and a flag shared by threads; no step is half done."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import pytest

from hal.base import ThreadSafeFlag, ThreadSafeValue
from hal.testing import FakeClock, wait_until
from hal.testing.contracts._halting import Background

PATIENCE_S = 20.0


def in_threads(count: int, work: Callable[[int], object]) -> None:
    """Run `work(0)` ... `work(count - 1)` at once and wait for all."""
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait(PATIENCE_S)
        work(number)

    threads = [Background(lambda n=number: run(n)) for number in range(count)]
    for thread in threads:
        assert thread.join(PATIENCE_S)
        assert thread.error is None


# -- value ----------------------------------------------------------------------------


def test_a_value_is_read_replaced_updated_and_taken() -> None:
    value: ThreadSafeValue[int | None] = ThreadSafeValue(1)
    assert value.get() == 1

    value.set(2)
    assert value.update(lambda old: (old or 0) + 5) == 7

    assert value.get_and_clear() == 7
    assert value.get() is None
    assert value.get_and_clear() is None


@pytest.mark.usefixtures("_switching_often")
def test_no_update_of_many_threads_is_lost() -> None:
    value = ThreadSafeValue(0)

    def plus_one(old: int) -> int:
        return old + 1

    in_threads(8, lambda _: [value.update(plus_one) for _ in range(2_000)])

    assert value.get() == 16_000


@pytest.mark.usefixtures("_switching_often")
def test_what_is_put_in_is_taken_out_by_one_thread() -> None:
    value: ThreadSafeValue[int | None] = ThreadSafeValue(None)
    taken: list[list[int]] = [[] for _ in range(6)]
    done = threading.Event()

    def take(number: int) -> None:
        while not done.is_set():
            if (item := value.get_and_clear()) is not None:
                taken[number].append(item)

    def work(number: int) -> None:
        if number:
            take(number)
            return
        for item in range(2_000):
            value.set(item)
        wait_until(lambda: value.get() is None)
        done.set()

    in_threads(6, work)

    every = [item for items in taken for item in items]
    assert len(every) == len(set(every))
    assert max(every) == 1_999


def test_an_update_that_raises_leaves_the_value_and_the_lock_as_they_were() -> None:
    value = ThreadSafeValue(1)

    with pytest.raises(ZeroDivisionError):
        value.update(lambda old: old // 0)

    assert Background(lambda: value.set(2)).join(PATIENCE_S)
    assert value.get() == 2


def test_within_locked_the_value_can_be_read_and_set() -> None:
    value = ThreadSafeValue(1)

    with value.locked() as before:
        value.set(before + 1)
        assert value.update(lambda old: old * 10) == 20

    assert value.get() == 20


def lock_and_leave(value: ThreadSafeValue[int | None]) -> None:
    with value.locked():
        pass


USES: dict[str, Callable[[ThreadSafeValue[int | None]], object]] = {
    "get": lambda value: value.get(),
    "set": lambda value: value.set(2),
    "update": lambda value: value.update(lambda _: 2),
    "take": lambda value: value.get_and_clear(),
    "lock": lock_and_leave,
}


@pytest.mark.parametrize("use", USES)
def test_others_wait_while_the_value_is_locked(use: str) -> None:
    value: ThreadSafeValue[int | None] = ThreadSafeValue(1)
    with value.locked():
        other = Background(lambda: USES[use](value))
        assert not other.join(0.05)
        assert value.get() == 1

    assert other.join(PATIENCE_S)
    assert other.error is None


def test_an_error_within_locked_opens_the_lock() -> None:
    value = ThreadSafeValue(1)

    with pytest.raises(RuntimeError), value.locked():
        raise RuntimeError

    assert Background(lambda: value.set(2)).join(PATIENCE_S)


# -- flag -----------------------------------------------------------------------------


def test_a_flag_is_up_after_set_and_down_after_clear() -> None:
    flag = ThreadSafeFlag()
    assert not flag.is_set()
    assert not flag.wait(0.0)

    flag.set()
    flag.set()
    assert flag.is_set()
    assert flag.wait(0.0)
    assert flag.wait(0.0)  # waiting takes nothing away

    flag.clear()
    assert not flag.is_set()


def test_a_flag_is_taken_once_however_often_it_was_set() -> None:
    flag = ThreadSafeFlag()
    flag.set()
    flag.set()

    assert flag.wait_and_clear(0.0)
    assert not flag.is_set()
    assert not flag.wait_and_clear(0.0)


@pytest.mark.parametrize("take", [False, True])
def test_waiting_ends_as_soon_as_the_flag_is_up(take: bool) -> None:
    clock = FakeClock()
    flag = ThreadSafeFlag(clock)
    answers: list[bool] = []
    wait = flag.wait_and_clear if take else flag.wait
    waiter = Background(lambda: answers.append(wait(math.inf)))
    wait_until(lambda: clock.waiting)

    flag.set()

    assert waiter.join(PATIENCE_S)
    assert answers == [True]
    assert flag.is_set() is not take


def test_a_flag_wakes_all_who_wait_also_without_any_limit() -> None:
    flag = ThreadSafeFlag()
    answers: list[bool] = []
    waiters = [
        Background(lambda: answers.append(flag.wait(math.inf))) for _ in range(5)
    ]
    wait_until(lambda: len(flag._waiting) == 5)

    flag.set()

    assert all(waiter.join(PATIENCE_S) for waiter in waiters)
    assert answers == [True] * 5


def test_a_flag_that_comes_just_after_the_look_is_not_overlooked() -> None:
    class Late(ThreadSafeFlag):
        looks = 0

        def _look(self, take: bool) -> bool:
            found = super()._look(take)
            self.looks += 1
            if self.looks == 1:
                self.set()
            return found

    flag = Late()
    answers: list[bool] = []
    waiter = Background(lambda: answers.append(flag.wait(PATIENCE_S)))

    assert waiter.join(PATIENCE_S / 2)
    assert answers == [True]


def test_waiting_ends_with_its_time() -> None:
    clock = FakeClock()
    flag = ThreadSafeFlag(clock)
    answers: list[bool] = []
    waiter = Background(lambda: answers.append(flag.wait(100.0)))

    for passed_s in (60.0, 39.0):
        wait_until(lambda: clock.waiting)
        clock.advance(passed_s)
    assert not waiter.join(0.05)
    clock.advance(1.1)

    assert waiter.join(PATIENCE_S)
    assert answers == [False]


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, -math.inf, math.nan])
def test_no_time_means_to_look_once(timeout_s: float) -> None:
    flag = ThreadSafeFlag()
    assert not flag.wait(timeout_s)

    flag.set()
    assert flag.wait_and_clear(timeout_s)


class Nervous(FakeClock):
    """A clock whose waiting ends for no reason, as that of threads may."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.advance(1.0)
        return True


@pytest.mark.parametrize("take", [False, True])
def test_waking_without_a_reason_is_no_flag(take: bool) -> None:
    clock = Nervous()
    flag = ThreadSafeFlag(clock)
    wait = flag.wait_and_clear if take else flag.wait

    assert not wait(9.5)
    assert clock.monotonic_s() == 10.0


def test_of_many_who_wait_one_takes_the_flag_and_the_others_wait_on() -> None:
    clock = FakeClock()
    flag = ThreadSafeFlag(clock)
    answers: list[bool] = []
    waiters = [
        Background(lambda: answers.append(flag.wait_and_clear(50.0))) for _ in range(5)
    ]
    wait_until(lambda: clock.waiting == 5)

    flag.set()
    wait_until(lambda: answers)
    clock.advance(51.0)

    assert all(waiter.join(PATIENCE_S) for waiter in waiters)
    assert sorted(answers) == [False] * 4 + [True]


@pytest.mark.usefixtures("_switching_often")
def test_each_flag_is_taken_by_exactly_one_thread() -> None:
    flag, rounds = ThreadSafeFlag(), 300
    took: list[int] = []
    done = threading.Event()

    def work(number: int) -> None:
        if number:
            while not done.is_set():
                if flag.wait_and_clear(0.0):
                    took.append(number)
            return
        for _ in range(rounds):
            flag.set()
            while flag.is_set():
                pass
        done.set()

    in_threads(4, work)

    assert len(took) == rounds
    assert not flag.is_set()


def test_those_who_gave_up_waiting_leave_nothing_behind() -> None:
    flag = ThreadSafeFlag()

    for _ in range(10):
        flag.wait(0.0)

    assert flag._waiting == []
