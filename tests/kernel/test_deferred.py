"""A handler may leave its ticket open for somebody else to end."""

from __future__ import annotations

import threading

import pytest

from hal.base import StateError
from hal.kernel import (
    Delivery,
    Dispatching,
    How,
    Outcome,
    System,
    pack_response,
)
from tests.kernel.bench import (
    Probe,
    Records,
    add,
    add_module,
    done,
    in_threads,
    of_kind,
    only_error,
    successor,
    until,
)
from tests.kernel.supervised import EAGER
from tests.kernel.vocabulary import Act, Noted


class InlineProbe(Probe):
    """Has no thread: whoever sends runs its handlers."""

    dispatching = Dispatching.INLINE


def outcome(delivery: Delivery, name: str, response: object = None) -> Outcome:
    packed = pack_response(response)
    return Outcome(delivery.id, name, How.DONE, "elsewhere", packed, None)


def deferring(system: System, name: str = "probe") -> tuple[Probe, list[Delivery]]:
    """Return a module that leaves open what it is told to, and what it has left."""
    probe, left = add(system, name, restart=EAGER), []
    probe.acts["defer"] = lambda: left.append(probe.defer())
    system.start()
    return probe, left


def test_it_ends_when_and_how_the_other_says(system: System) -> None:
    probe, left = deferring(system)
    delivery = system.send(Act("defer"))
    until(lambda: left)
    assert not delivery.complete
    assert probe.busy_with == "waiting for the end of 'act'"

    assert probe.settle(outcome(left[0], "probe", 7))

    assert done(delivery).result() == 7
    assert delivery.tickets["probe"].by == "elsewhere"
    assert probe.busy_with == ""


def test_others_are_handled_meanwhile(system: System) -> None:
    _, left = deferring(system)
    delivery = system.send(Act("defer"))

    assert done(system.send(Act("answer"))).result() == 42
    assert not delivery.complete
    assert left


def test_it_ends_once(system: System, records: Records) -> None:
    probe, left = deferring(system)
    delivery = system.send(Act("defer"))
    until(lambda: left)
    results: list[bool] = []

    in_threads(8, lambda n: results.append(probe.settle(outcome(left[0], "probe", n))))

    assert sorted(results) == [False] * 7 + [True]
    assert done(delivery).errors == ()
    until(lambda: len(of_kind(records, "late result", module="probe")) == 7)


def test_its_deadline_holds(system: System) -> None:
    probe, left = deferring(system)

    delivery = system.send(Act("defer"), deadline_s=0.1)

    assert only_error(delivery).kind == "WorkerTimeout"
    assert "waiting for the end of 'act'" in only_error(delivery).text
    assert not probe.settle(outcome(left[0], "probe"))


def test_it_dies_with_its_generation(system: System) -> None:
    probe, left = deferring(system)
    delivery = system.send(Act("defer"))
    until(lambda: left)

    probe.fail(StateError("no more"))
    system.send(Noted("x", 1))  # its thread looks up

    assert only_error(delivery).kind == "ModuleDead"
    successor(system, probe)
    assert not probe.settle(outcome(left[0], "probe"))


def test_it_dies_with_its_module_at_the_end(system: System) -> None:
    probe, left = deferring(system)
    delivery = system.send(Act("defer"))
    until(lambda: left)

    probe.actor_ref.stop()

    assert only_error(delivery).kind == "ModuleDead"


def test_one_that_defers_and_raises_has_failed(system: System) -> None:
    probe, _ = deferring(system)

    def both() -> None:
        probe.defer()
        raise StateError("not now")

    probe.acts["both"] = both

    assert only_error(system.send(Act("both"))).text == "not now"
    assert probe.busy_with == ""


def test_outside_a_handler_there_is_nothing_to_defer(system: System) -> None:
    probe, _ = deferring(system)

    with pytest.raises(StateError, match="no message is being handled"):
        probe.defer()


def test_an_inline_module_handles_on_the_thread_that_sends(system: System) -> None:
    probe = add_module(system, InlineProbe, "inline")
    system.start()
    threads = []
    probe.acts["where"] = lambda: threads.append(threading.get_ident())

    delivery = system.send(Act("where"))

    assert delivery.complete
    assert threads == [threading.get_ident()]


def test_an_inline_module_handles_one_at_a_time_and_all_in_order(
    system: System,
) -> None:
    probe = add_module(system, InlineProbe, "inline")
    system.start()
    inside: list[int] = []
    most: list[int] = []

    def act() -> None:
        inside.append(1)
        most.append(len(inside))
        inside.pop()

    probe.acts["act"] = act
    sent: list[Delivery] = []

    def work(number: int) -> None:
        for count in range(300):
            sent.append(system.send(Act("act")))
            sent.append(system.send(Noted(str(number), count)))

    in_threads(4, work)

    for delivery in sent:
        done(delivery)
    assert max(most) == 1
    for number in range(4):
        mine = [n for _, who, n in probe.seen if who == str(number)]
        assert mine == list(range(300))


def test_an_inline_module_may_send_to_itself_without_end_of_stack(
    system: System,
) -> None:
    probe = add_module(system, InlineProbe, "inline")
    system.start()

    def again() -> None:
        if len(probe.seen) < 2000:
            probe.seen.append(("", "", 0))
            probe.send(Act("again"))

    probe.acts["again"] = again
    done(system.send(Act("again")))

    until(lambda: len(probe.seen) == 2000)
