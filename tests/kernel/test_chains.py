"""A chain sends each message when the one before has completed."""

from __future__ import annotations

import threading

from hal.kernel import System
from tests.kernel.bench import HANG_S, add, done, only_error, until, wait_for
from tests.kernel.vocabulary import Act, PlaceProbe, Whimsical


def test_the_next_is_sent_when_the_previous_has_completed(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe")
    happened: list[str] = []
    probe.acts["first"] = lambda: probe.run_job(
        lambda: (wait_for(gate), happened.append("first"))
    )
    probe.acts["second"] = lambda: happened.append("second")

    first, second = system.broker.send_chain(
        (Act("first"), Act("second")), principal="hal"
    )
    until(lambda: probe.busy_with)
    assert not second.accepted
    gate.set()
    done(second)

    assert happened == ["first", "second"]
    assert first.complete
    assert second.sent_s >= (first.done_s or 0.0)


def test_a_failed_a_hung_and_an_unhandled_link_do_not_break_the_chain(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe", deadline_s=HANG_S)
    probe.acts["hang"] = lambda: probe.run_job(lambda: wait_for(gate))

    chain = system.broker.send_chain(
        (Act("no such act"), Whimsical(), Act("hang"), Act("answer")), principal="hal"
    )
    done(chain[-1])

    kinds = [[error.kind for error in link.errors] for link in chain]
    assert kinds == [["HandlerFailed"], ["Unhandled"], ["WorkerTimeout"], []]
    assert chain[-1].result() == 42


def test_an_invalid_link_first_or_in_the_middle_is_only_its_own_failure(
    system: System,
) -> None:
    add(system, "probe")
    wrong = PlaceProbe(x_um=-1.0)

    chain = system.broker.send_chain(
        (wrong, Act("answer"), wrong, wrong, Act("answer")), principal="hal"
    )
    done(chain[-1])

    kinds = [[error.kind for error in link.errors] for link in chain]
    invalid = ["InvalidMessage"]
    assert kinds == [invalid, [], invalid, invalid, []]


def test_the_deadline_of_a_link_begins_when_it_is_sent(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe", deadline_s=60.0)
    probe.acts["wait"] = lambda: probe.run_job(lambda: wait_for(gate))
    chain = system.broker.send_chain((Act("wait"), Act("answer")), principal="hal")
    chain[1].deadline_s = HANG_S
    until(lambda: probe.busy_with)

    late_s = chain[1].sent_s + 2 * HANG_S
    until(lambda: system.clock.monotonic_s() > late_s)
    gate.set()

    assert done(chain[1]).errors == ()


def test_an_empty_chain_is_nothing(system: System) -> None:
    add(system, "probe")
    assert system.broker.send_chain((), principal="hal") == ()
    assert only_error(system.send(Act("no such act")))
