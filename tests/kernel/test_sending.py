"""Sending never blocks, and never runs a handler on the sender's thread."""

from __future__ import annotations

import _thread
import gc
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hal.kernel import Delivery, System
from tests.kernel.bench import add, answers, done, in_threads, until, wait_for
from tests.kernel.vocabulary import Act, Noted, Shouted


@pytest.fixture
def quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_handlers_never_run_on_the_thread_of_the_sender(system: System) -> None:
    probe = add(system, "probe")
    threads: set[str] = set()
    probe.acts["where"] = lambda: threads.add(threading.current_thread().name)

    for _ in range(100):
        done(system.send(Act("where")))

    assert threads == {probe.thread_name}
    assert threading.current_thread().name not in threads


def test_sending_returns_at_once_while_every_module_hangs(
    system: System, gate: threading.Event
) -> None:
    for name in ("one", "two", "three"):
        add(system, name).acts["wait"] = lambda: wait_for(gate)
        system.send(Act("wait"), to=name)

    started_s = time.monotonic()
    for number in range(1_000):
        system.send(Noted("many", number))

    assert time.monotonic() - started_s < 2.0
    assert not gate.is_set()


def test_sending_returns_at_once_while_another_thread_pumps(system: System) -> None:
    probe = add(system, "probe")
    system.broker._pumping.acquire()
    try:
        sent = [system.send(Noted("many", n)) for n in range(100)]
        assert not any(delivery.accepted for delivery in sent)
    finally:
        system.broker._pumping.release()
    system.broker.pump()

    until(lambda: len(probe.seen) == 100)


def test_an_object_may_send_when_it_is_collected_during_a_pump(
    system: System, quick_switches: None
) -> None:
    probe = add(system, "probe")
    sent: list[Delivery] = []

    class Dying:
        def __init__(self) -> None:
            self.itself = self  # a cycle, so that the collector finds it somewhere

        def __del__(self) -> None:
            sent.append(system.send(Noted("dying", len(sent))))

    threshold = gc.get_threshold()
    gc.set_threshold(5, 2, 2)
    try:
        for number in range(400):
            Dying()
            sent.append(system.send(Shouted("living", number)))
    finally:
        gc.set_threshold(*threshold)
    # Another thread may be collecting: then a call of it does nothing.
    until(lambda: (gc.collect(), len(sent) == 800)[1])

    assert all(done(delivery).errors == () for delivery in sent)
    until(lambda: len(probe.seen) == 800)


# By a thread, because the timer of pytest-timeout is the one that rings here.
@pytest.mark.timeout(60, method="thread")
def test_a_signal_handler_may_send_while_its_thread_sends(system: System) -> None:
    probe = add(system, "probe")
    sent: list[Delivery] = []
    rung: list[Delivery] = []

    def ring(_number: int, _frame: Any) -> None:
        rung.append(system.send(Shouted("alarm", len(rung))))

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        deadline_s = time.monotonic() + 10.0
        while len(rung) < 500 and time.monotonic() < deadline_s:
            sent.append(system.send(Noted("main", len(sent))))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)

    assert len(rung) >= 500
    total = len(sent) + len(rung)
    until(lambda: len(probe.seen) == total)
    assert all(done(delivery).errors == () for delivery in sent + rung)
    numbers = [n for kind, _, n in probe.seen if kind == "noted"]
    assert numbers == list(range(len(sent)))


def test_a_foreign_thread_without_context_may_send(system: System) -> None:
    # As an SDK's callback: started in C, unknown to `threading`.
    probe = add(system, "probe")
    sent: list[Delivery] = []

    def callback() -> None:
        sent.append(system.broker.send(Noted("sdk", 1), principal="hal", handoff=True))
        sent.append(system.send(Noted("sdk", 2)))

    _thread.start_new_thread(callback, ())

    until(lambda: len(probe.seen) == 2)
    assert [(delivery.cause, delivery.run_id) for delivery in sent] == [
        (None, None)
    ] * 2


def test_many_threads_at_the_shortest_switch_interval_lose_nothing(
    system: System, quick_switches: None
) -> None:
    probes = [add(system, f"module{n}") for n in range(4)]
    sent: list[Delivery] = []

    def send_all(sender: int) -> None:
        for number in range(150):
            message = (Noted, Shouted)[number % 2](f"sender{sender}", number)
            sent.append(system.send(message, sync=number % 50 == 0))

    in_threads(6, send_all)

    assert all(done(delivery).errors == () for delivery in sent)
    until(lambda: all(len(probe.seen) == 900 for probe in probes))
    until(lambda: not system.broker.open_deliveries())
    assert answers(system, "module0")


def test_a_message_handed_off_is_routed_though_the_router_is_gone(
    system: System,
) -> None:
    probe = add(system, "probe")
    system.broker.stop()

    system.broker.send(Noted("late", 1), principal="hal", handoff=True)

    until(lambda: probe.seen == [("noted", "late", 1)])
