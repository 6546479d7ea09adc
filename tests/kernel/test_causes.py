"""R44: cause and run_id follow what a message sets going."""

from __future__ import annotations

import threading

import pytest

from hal.base import DeadlockError, LimitError, StateError
from hal.kernel import Delivery, Loop, System
from tests.kernel.bench import (
    HANG_S,
    Records,
    add,
    done,
    of_kind,
    only_error,
    until,
    wait_for,
)
from tests.kernel.vocabulary import Act, ActInRun, Noted


def sent_within_run(system: System, where: str) -> tuple[Delivery, Delivery]:
    """Return a request that is part of a run, and what its receiver sent then."""
    probe = add(system, "probe")
    sent: list[Delivery] = []

    def send(*_: object) -> None:
        sent.append(probe.send(Noted(where, 1)))

    def loop(loop: Loop) -> None:
        if where == "loop":
            send()

    acts = {
        "handler": send,
        "job": lambda: probe.run_job(send),
        "then": lambda: probe.run_job(lambda: None, then=send),
        "loop": lambda: probe.run_loop(loop, stall_s=5.0, what="loop") and None,
        "end of loop": lambda: (
            probe.run_loop(loop, stall_s=5.0, what="loop", on_end=send) and None
        ),
        "reply": lambda: probe.send(Act("answer"), reply=send) and None,
    }
    probe.acts["act"] = acts[where]
    request = done(system.send(ActInRun("act", run_id="run7")))
    until(lambda: sent)
    assert request.errors == ()
    return request, done(sent[0])


@pytest.mark.parametrize(
    "where", ["handler", "job", "then", "loop", "end of loop", "reply"]
)
def test_what_is_sent_on_the_way_names_its_cause_and_run(
    system: System, where: str
) -> None:
    request, sent = sent_within_run(system, where)

    assert sent.run_id == "run7"
    assert sent.principal == "probe"
    if where == "reply":
        assert sent.cause != request.id  # the cause is the message replied to
        assert sent.cause is not None
    else:
        assert sent.cause == request.id


def test_a_job_started_by_a_reply_is_done_and_knows_its_run(system: System) -> None:
    probe, _ = add(system, "probe"), add(system, "other")
    sent: list[Delivery] = []

    def replied(_: Delivery) -> None:
        probe.run_job(lambda: sent.append(probe.send(Noted("job", 1))))

    probe.acts["ask"] = lambda: (
        probe.send(Act("answer"), to="other", reply=replied) and None
    )
    done(system.send(ActInRun("ask", run_id="run7"), to="probe"))

    until(lambda: sent)
    assert sent[0].run_id == "run7"


def test_the_cause_ends_with_the_handler(system: System) -> None:
    probe = add(system, "probe")
    sent: list[Delivery] = []
    probe.acts["later"] = lambda: probe.after(0.0, Act("send")) and None
    probe.acts["send"] = lambda: sent.append(probe.send(Noted("timer", 1)))

    done(system.send(ActInRun("later", run_id="run7")))

    until(lambda: sent)
    assert sent[0].run_id is None


def test_a_job_may_ask_and_gets_response_or_error(system: System) -> None:
    asker, other = add(system, "asker"), add(system, "other")

    def refuse() -> None:
        raise LimitError("too far", x_um=1.0)

    other.acts["refuse"] = refuse

    def ask() -> str:
        assert asker.ask(Act("answer"), to="other") == 42
        with pytest.raises(LimitError, match="too far"):
            asker.ask(Act("refuse"), to="other")
        return "asked"

    asker.acts["ask"] = lambda: asker.run_job(ask)

    assert done(system.send(Act("ask"), to="asker")).result() == "asked"


def test_a_job_that_asks_its_own_module_is_told_of_the_deadlock(
    system: System,
) -> None:
    probe = add(system, "probe")

    def ask() -> None:
        with pytest.raises(DeadlockError, match="probe waits for probe"):
            probe.ask(Act("answer"), deadline_s=60.0)

    probe.acts["ask"] = lambda: probe.run_job(ask)

    assert done(system.send(Act("ask"))).errors == ()


def test_a_handler_may_not_ask(system: System) -> None:
    probe = add(system, "probe")
    probe.acts["ask"] = lambda: probe.ask(Act("answer"))

    error = only_error(system.send(Act("ask")))

    assert error.kind == StateError.__name__
    assert "must not wait" in error.text


def test_a_reply_is_called_on_the_actor_with_the_outcome(system: System) -> None:
    probe, other = add(system, "probe"), add(system, "other")
    replies: list[tuple[object, object]] = []

    def replied(delivery: Delivery) -> None:
        replies.append((threading.current_thread().name, delivery.responses))

    probe.acts["ask"] = lambda: (
        probe.send(Act("answer"), to="other", reply=replied) and None
    )
    done(system.send(Act("ask"), to="probe"))

    until(lambda: replies)
    assert replies == [(probe.thread_name, {"other": 42})]
    assert other.name == "other"


def test_a_reply_is_also_called_when_the_receiver_hangs(
    system: System, gate: threading.Event, records: Records
) -> None:
    probe, bad = add(system, "probe"), add(system, "bad", deadline_s=HANG_S)
    bad.acts["hang"] = lambda: wait_for(gate)
    replies: list[str] = []
    probe.acts["ask"] = lambda: (
        probe.send(
            Act("hang"),
            to="bad",
            reply=lambda done: replies.append(done.errors[0].kind),
        )
        and None
    )

    done(system.send(Act("ask"), to="probe"))
    until(lambda: replies)
    gate.set()
    until(lambda: of_kind(records, "late result", module="bad"))

    assert replies == ["WorkerTimeout"]  # once, though it ended late


def test_a_failure_without_reply_is_logged(system: System, logged: list[dict]) -> None:  # type: ignore[type-arg]
    probe = add(system, "probe")
    probe.acts["send"] = lambda: probe.send(Act("no such act")) and None

    done(system.send(Act("send")))

    until(lambda: [e for e in logged if e["event"] == "message failed"])


def test_waiting_lasts_as_long_as_a_receiver_was_given(system: System) -> None:
    # A job with a deadline beyond the message's own: whoever waits must not give up.
    probe = add(system, "probe")
    probe.acts["job"] = lambda: probe.run_job(lambda: 1, deadline_s=500.0)
    delivery = system.send(Act("job"))
    until(lambda: delivery.tickets)
    done(delivery)

    ticket = delivery.tickets["probe"]
    assert ticket.deadline_at_s > delivery.deadline_at_s + 400.0
    assert delivery._patience_s() > 400.0
