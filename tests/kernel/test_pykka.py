"""Modules are pykka actors: what pykka promises holds, what it breaks does not."""

from __future__ import annotations

import queue
import signal
import sys
import threading
from typing import Any

import pykka
import pytest

from hal.base import ModuleState
from hal.kernel import System
from tests.kernel.bench import (
    Probe,
    add_module,
    answers,
    done,
    has_thread,
    only_error,
    until,
    wait_for,
)
from tests.kernel.vocabulary import Act, Noted


class Receiving(Probe):
    """Also takes what pykka's `tell` and `ask` bring."""

    def on_receive(self, message: Any) -> Any:
        return self.acts[message]()

    def add_up(self, a: int, b: int) -> int:
        return a + b

    def fail(self) -> None:
        raise ValueError("boom")


@pytest.fixture
def probe(system: System) -> Receiving:
    probe = add_module(system, Receiving, "probe")
    assert isinstance(probe, Receiving)
    return probe


def raising(exc: BaseException) -> Any:
    def act() -> None:
        raise exc

    return act


def test_tell_and_ask_reach_the_module(probe: Receiving) -> None:
    told: list[str] = []
    probe.acts["note"] = lambda: told.append(threading.current_thread().name)

    probe.actor_ref.tell("note")
    assert probe.actor_ref.ask("answer", timeout=10.0) == 42

    assert told == ["probe/1"]


def test_a_proxy_calls_reads_and_sets(probe: Receiving) -> None:
    proxy = probe.actor_ref.proxy()

    assert proxy.add_up(1, 2).get(timeout=10.0) == 3
    assert proxy.name.get(timeout=10.0) == "probe"
    proxy.mark = 7
    assert probe.mark == 7  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="boom"):
        proxy.fail().get(timeout=10.0)
    proxy.fail.defer()
    assert proxy.add_up(3, 4).get(timeout=10.0) == 7


@pytest.mark.parametrize(
    "exc", [ValueError("boom"), SystemExit(1), KeyboardInterrupt(), MemoryError()]
)
def test_an_exception_on_tell_is_logged_and_kills_no_actor(
    system: System, probe: Receiving, exc: BaseException, logged: list[Any]
) -> None:
    other = add_module(system, Receiving, "other")
    probe.acts["boom"] = raising(exc)

    probe.actor_ref.tell("boom")

    until(lambda: [e for e in logged if e["event"] == "a pykka message failed"])
    assert answers(system, "probe")
    assert answers(system, "other")
    assert probe.actor_ref.is_alive()
    assert other.actor_ref.is_alive()


def test_sys_exit_on_ask_reaches_the_asker_and_nobody_else(
    system: System, probe: Receiving
) -> None:
    add_module(system, Receiving, "other")
    probe.acts["exit"] = lambda: sys.exit(3)

    with pytest.raises(SystemExit):
        probe.actor_ref.ask("exit", timeout=10.0)

    assert answers(system, "probe")
    assert answers(system, "other")


def test_a_reply_set_from_outside_does_not_break_the_actor(
    system: System, probe: Receiving, gate: threading.Event
) -> None:
    probe.acts["wait"] = lambda: wait_for(gate)
    for what in ("wait", "boom"):
        future = probe.actor_ref.ask(what, block=False)
        future.set("from outside")
        gate.set()

    assert probe.actor_ref.ask("answer", timeout=10.0) == 42
    assert answers(system, "probe")
    with pytest.raises(queue.Full):
        future.set(1)


def test_stop_overtakes_what_is_queued(
    system: System, probe: Receiving, gate: threading.Event
) -> None:
    probe.acts["wait"] = lambda: wait_for(gate)
    probe.actor_ref.tell("wait")
    until(lambda: len(probe.seat.mailbox) == 0)
    asked = [probe.actor_ref.ask("answer", block=False) for _ in range(50)]
    sent = [system.send(Noted("queued", n)) for n in range(50)]
    stopped = probe.actor_ref.stop(block=False)

    gate.set()

    assert stopped.get(timeout=10.0) is True
    for future in asked:
        with pytest.raises(pykka.ActorDeadError):
            future.get(timeout=10.0)
    assert all(only_error(delivery).kind == "ModuleDead" for delivery in sent)
    assert probe.seen == []


def test_stop_comes_through_while_a_job_runs(
    system: System, probe: Receiving, gate: threading.Event
) -> None:
    probe.acts["job"] = lambda: probe.run_job(lambda: wait_for(gate))
    job = system.send(Act("job"))
    until(lambda: probe.busy_with)

    assert probe.actor_ref.stop(timeout=10.0) is True
    assert only_error(job).kind == "ModuleDead"


def test_asking_a_stopped_module_raises_instead_of_waiting(probe: Receiving) -> None:
    assert probe.actor_ref.stop(timeout=10.0) is True
    until(lambda: not has_thread(probe))

    with pytest.raises(pykka.ActorDeadError):
        probe.actor_ref.ask("answer", timeout=10.0)
    with pytest.raises(pykka.ActorDeadError):
        probe.actor_ref.tell("answer")
    assert probe.actor_ref.stop(timeout=10.0) is False
    # Also where the question passed pykka's own check just before the stop.
    future = Receiving._create_future()
    probe.actor_inbox.put(pykka._envelope.Envelope("answer", reply_to=future))
    with pytest.raises(pykka.ActorDeadError):
        future.get(timeout=10.0)


def test_asking_while_the_module_stops_always_ends(system: System) -> None:
    for number in range(30):
        probe = add_module(system, Receiving, f"probe{number}")
        futures: list[Any] = []

        def ask(probe: Receiving = probe, futures: list[Any] = futures) -> None:
            for _ in range(20):
                futures.append(probe.actor_ref.ask("answer", block=False))

        asking = threading.Thread(target=ask)
        asking.start()
        probe.actor_ref.stop(timeout=10.0)
        asking.join(10.0)

        for future in futures:
            try:
                assert future.get(timeout=10.0) == 42
            except pykka.ActorDeadError:
                continue


def test_on_start_that_raises_is_logged_and_the_module_begins_anew(
    system: System, logged: list[Any]
) -> None:
    class BrokenOnce(Probe):
        def on_start(self) -> None:
            if self.generation == 1:
                raise ValueError("no")

    system.add(BrokenOnce, "broken")

    assert answers(system, "broken")
    assert system.module("broken").generation == 2
    (entry,) = [e for e in logged if e["event"] == "on_start failed"]
    assert (entry["level"], entry["module"]) == ("error", "broken")
    assert "ValueError: no" in entry["exception"]


def test_on_start_that_always_raises_ends_the_module_with_the_reason(
    system: System, logged: list[Any]
) -> None:
    class Broken(Probe):
        def on_start(self) -> None:
            raise ValueError("no")

    system.add(Broken, "broken")
    add_module(system, Receiving, "other")

    until(lambda: system.module("broken").state is ModuleState.FAILED)
    error = only_error(system.send(Act("answer"), to="broken"))
    assert error.kind == "ModuleDead"
    assert error.text == f"broken has failed: {system.module('broken').reason}"
    assert system.module("broken").reason.endswith("the last: ValueError: no")
    # Each attempt is one line.
    assert len([e for e in logged if e["event"] == "on_start failed"]) == 4
    assert answers(system, "other")


def test_module_threads_are_daemons_with_telling_names(probe: Receiving) -> None:
    assert probe.actor_ref.ask("answer", timeout=10.0) == 42

    (thread,) = [t for t in threading.enumerate() if t.name.startswith("probe/")]
    assert thread.name == probe.thread_name == "probe/1"
    assert thread.daemon


def test_a_stopped_module_leaves_no_thread(system: System, probe: Receiving) -> None:
    probe.acts["job"] = lambda: probe.run_job(lambda: None)
    done(system.send(Act("job")))
    probe.actor_ref.stop(timeout=10.0)

    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("probe/")])


# By a thread, because the timer of pytest-timeout is the one that rings here.
@pytest.mark.timeout(60, method="thread")
def test_a_signal_handler_may_tell_while_its_thread_tells(probe: Receiving) -> None:
    # A mailbox with a lock written in Python would deadlock here.
    told: list[str] = []
    probe.acts["note"] = lambda: told.append("note")
    rung: list[int] = []

    def ring(_number: int, _frame: Any) -> None:
        probe.actor_ref.tell("note")
        rung.append(1)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    sent = 0
    try:
        while len(rung) < 400:
            probe.actor_ref.tell("note")
            sent += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)

    until(lambda: len(told) == sent + len(rung))
