"""A `sync` message waits for everything before it and holds everything after it."""

from __future__ import annotations

import threading

from hal.kernel import System
from tests.kernel.bench import (
    HANG_S,
    add,
    answers,
    done,
    in_threads,
    only_error,
    until,
    wait_for,
)
from tests.kernel.vocabulary import Act, ActAtOnce, Noted, NotedToo, Whispered


def test_it_waits_for_all_before_and_holds_all_after_jobs_too(
    system: System, gate: threading.Event
) -> None:
    slow, other = add(system, "slow"), add(system, "other")
    happened: list[str] = []
    second = threading.Event()

    def before() -> None:
        wait_for(gate)
        happened.append("before")

    def barrier() -> None:
        happened.append("barrier began")
        wait_for(second)
        happened.append("barrier ended")

    slow.acts["before"] = lambda: slow.run_job(before)
    other.acts["barrier"] = lambda: other.run_job(barrier)
    slow.acts["after"] = lambda: happened.append("after")
    system.send(Act("before"), to="slow")
    held = system.send(Act("barrier"), to="other", sync=True)
    last = system.send(Act("after"), to="slow")
    assert not held.wait(0.05)
    assert happened == []

    gate.set()
    until(lambda: happened == ["before", "barrier began"])
    assert not last.wait(0.05)
    second.set()
    done(last)

    assert happened == ["before", "barrier began", "barrier ended", "after"]


def test_no_module_sees_a_later_message_before_all_have_ended_the_barrier(
    system: System,
) -> None:
    probes = [add(system, f"module{n}") for n in range(5)]

    def send_all(sender: int) -> None:
        for number in range(40):
            system.send(Noted(f"sender{sender}", number))
            if number % 10 == 0:
                system.send(NotedToo(f"sender{sender}", number), sync=True)

    in_threads(4, send_all)
    last = done(system.send(NotedToo("last", 0), sync=True))

    assert all(len(probe.seen) == 177 for probe in probes)
    assert all(probe.seen == probes[0].seen for probe in probes)
    assert last.errors == ()


def test_urgent_messages_pass_a_barrier(system: System, gate: threading.Event) -> None:
    slow = add(system, "slow")
    add(system, "other")
    slow.acts["wait"] = lambda: slow.run_job(lambda: wait_for(gate))
    system.send(Act("wait"), to="slow", sync=True)
    held = system.send(Act("answer"), to="other")

    assert done(system.send(ActAtOnce("answer"), to="other")).result() == 42
    assert done(system.send(ActAtOnce("answer"), to="slow")).result() == 42
    assert not held.complete

    gate.set()
    assert done(held).result() == 42


def test_a_hung_receiver_of_a_barrier_is_given_up_and_the_rest_released(
    system: System, gate: threading.Event
) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)
    add(system, "good")
    bad.acts["hang"] = lambda: wait_for(gate)

    barrier = system.send(Act("hang"), to="bad", sync=True)
    after = system.send(Act("answer"), to="good")

    assert only_error(barrier).kind == "WorkerTimeout"
    assert done(after).result() == 42


def test_what_is_held_for_longer_than_its_deadline_completes_with_an_error(
    system: System, gate: threading.Event
) -> None:
    slow = add(system, "slow")
    add(system, "other")
    slow.acts["wait"] = lambda: slow.run_job(lambda: wait_for(gate))
    system.send(Act("wait"), to="slow", sync=True)

    held = system.send(Act("answer"), to="other", deadline_s=HANG_S)

    error = only_error(held)
    assert error.kind == "WorkerTimeout"
    assert "held back" in error.text
    assert "barrier" in error.text
    gate.set()
    assert answers(system, "other")


def test_barriers_one_after_the_other_and_sent_from_within(system: System) -> None:
    probe = add(system, "probe")
    inner: list[object] = []
    probe.acts["nest"] = lambda: inner.append(probe.send(Act("answer"), sync=True))

    sent = [system.send(Act("nest"), sync=True) for _ in range(5)]
    last = done(system.send(Act("answer"), sync=True))

    assert all(delivery.errors == () for delivery in map(done, sent))
    assert last.result() == 42
    until(lambda: len(inner) == 5 and all(d.complete for d in inner))  # type: ignore[attr-defined]


def test_a_job_that_asks_through_its_own_barrier_is_told_of_the_deadlock(
    system: System,
) -> None:
    probe = add(system, "probe")
    add(system, "other")
    probe.acts["ask"] = lambda: probe.run_job(
        lambda: probe.ask(Act("answer"), to="other", deadline_s=60.0)
    )

    error = only_error(system.send(Act("ask"), to="probe", sync=True))

    assert error.kind == "DeadlockError"
    assert "probe waits for probe" in error.text
    assert answers(system, "probe")


def test_a_barrier_without_receivers_or_with_a_flaw_holds_nobody(
    system: System,
) -> None:
    add(system, "probe")

    done(system.send(Whispered(), sync=True))
    assert only_error(system.send(Act("answer"), to="nobody", sync=True))

    assert answers(system, "probe")
