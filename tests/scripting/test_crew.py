"""Calls on other threads, and waiting for them."""

from __future__ import annotations

import threading

import pytest

from hal.base import SystemClock, SystemThreads
from hal.scripting.crew import Crew, Latch

PATIENCE_S = 20.0


@pytest.fixture
def crew():
    made = Crew(SystemThreads(), SystemClock())
    yield made
    made.close()


def test_a_latch_wakes_all_who_wait_now_and_later():
    latch = Latch(SystemClock())
    woken = []
    threads = [
        threading.Thread(target=lambda: woken.append(latch.wait(PATIENCE_S)))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    assert not latch.wait(0.0)
    latch.set()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert woken == [True] * 5
    assert latch.wait()


def test_a_call_returns_or_raises_what_it_does_on_another_thread(crew):
    assert crew.call(threading.current_thread) is not threading.current_thread()
    assert crew.call(threading.current_thread).name == "hal/script1"
    with pytest.raises(ZeroDivisionError):
        crew.call(lambda: 1 / 0)


def test_there_are_as_many_threads_as_calls_at_a_time(crew):
    inner = crew.call(lambda: crew.call(lambda: threading.current_thread().name))

    assert inner == "hal/script2"


def test_a_call_that_comes_with_the_end_is_made_and_its_thread_goes(crew):
    entered, go_on = threading.Event(), threading.Event()
    results = []

    def slow() -> str:
        entered.set()
        go_on.wait(PATIENCE_S)
        return "slow"

    caller = threading.Thread(target=lambda: results.append(crew.call(slow)))
    caller.start()
    entered.wait(PATIENCE_S)
    crew.close()
    late = crew.call(threading.current_thread)
    go_on.set()
    caller.join(PATIENCE_S)
    late.join(PATIENCE_S)

    assert results == ["slow"]
    assert not late.is_alive()
