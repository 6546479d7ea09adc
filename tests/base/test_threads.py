"""Calls that must share a thread share one, started when it is first needed."""

from __future__ import annotations

import threading
import time

from hal.base import SystemThreads


def test_calls_are_made_in_order_on_one_thread() -> None:
    serial = SystemThreads().serial("one")
    seen: list[tuple[int, str]] = []
    done = threading.Event()
    assert "one" not in {thread.name for thread in threading.enumerate()}

    for number in range(100):
        serial.put(lambda n=number: seen.append((n, threading.current_thread().name)))
    serial.put(done.set)

    assert done.wait(20.0)
    assert seen == [(number, "one") for number in range(100)]
    serial.stop()


def test_a_stopped_one_makes_the_calls_it_got_and_ends() -> None:
    serial = SystemThreads().serial("two")
    done = threading.Event()
    serial.put(lambda: time.sleep(0.05))
    serial.put(done.set)

    serial.stop()

    assert done.wait(20.0)


def test_one_that_was_never_used_has_no_thread() -> None:
    serial = SystemThreads().serial("three")

    serial.stop()

    assert "three" not in {thread.name for thread in threading.enumerate()}
