"""R1, R2, R3, R36: every delivery ends exactly once, whatever its receiver does."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pytest

from hal.base import (
    Cancelled,
    DeviceError,
    ErrorRecord,
    IdSource,
    LimitError,
    SystemClock,
)
from hal.kernel import Delivery, How, System
from tests.kernel.bench import (
    HANG_S,
    Probe,
    Records,
    add,
    answers,
    done,
    has_thread,
    in_threads,
    of_kind,
    only_error,
    successor,
    until,
    wait_for,
)
from tests.kernel.vocabulary import Act, ActAtOnce, Measured, Noted, Whispered


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class PluginError(DeviceError):
    def __init__(self, axis: str) -> None:
        super().__init__(f"axis {axis} is stuck", axis=axis)


def raising(exc: BaseException) -> Callable[[], NoReturn]:
    def act() -> NoReturn:
        raise exc

    return act


def recurse() -> int:
    return 1 + recurse()


def fill_memory() -> object:
    return [0] * (1 << 60)


def nested() -> list[Any]:
    value: list[Any] = []
    for _ in range(50_000):
        value = [value]
    return value


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "raise": (raising(ValueError("boom")), "HandlerFailed"),
    "HAL's own error": (raising(LimitError("too far", x_um=3.0)), "LimitError"),
    "a plugin's error": (raising(PluginError("x")), "PluginError"),
    "SystemExit": (raising(SystemExit(3)), "HandlerFailed"),
    "KeyboardInterrupt": (raising(KeyboardInterrupt()), "HandlerFailed"),
    "GeneratorExit": (raising(GeneratorExit()), "HandlerFailed"),
    "recursion": (recurse, "HandlerFailed"),
    "memory": (fill_memory, "HandlerFailed"),
    "no text": (raising(Unprintable()), "HandlerFailed"),
    "text that is not UTF-8": (raising(OSError("b\udcff.dax")), "HandlerFailed"),
    "odd data": (
        raising(DeviceError("odd", a=1 << 70, b=Unprintable(), c=math.nan)),
        "DeviceError",
    ),
    "live object": (object, "InvalidMessage"),
    "array": (lambda: np.zeros(3), "InvalidMessage"),
    "huge number": (lambda: 1 << 70, "InvalidMessage"),
    "nested too deep": (nested, "InvalidMessage"),
    "record with NaN": (lambda: Measured("dose", math.nan), "InvalidMessage"),
    "ill-typed record": (lambda: Measured(3, 1.0), "InvalidMessage"),  # type: ignore[arg-type]
    "unknown record": (lambda: {"record": "no such"}, "InvalidMessage"),
    "nameless record": (lambda: {"record": [1]}, "InvalidMessage"),
}


def in_handler(probe: Probe, act: Callable[[], object]) -> Callable[[], object]:
    return act


def in_job(probe: Probe, act: Callable[[], object]) -> Callable[[], object]:
    return lambda: probe.run_job(act)


def after_job(probe: Probe, act: Callable[[], object]) -> Callable[[], object]:
    return lambda: probe.run_job(lambda: None, then=lambda _: act())


PLACES = [in_handler, in_job, after_job]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_receiver_does_is_attached_and_harms_nobody(
    system: System, fault: str, place: Any
) -> None:
    act, kind = FAULTS[fault]
    if fault == "nameless record":
        kind = ""  # plain data that only looks like a record
    bad, good = add(system, "bad"), add(system, "good")
    bad.acts["fault"] = place(bad, act)

    delivery = done(system.send(Act("fault"), to="bad"))

    assert [error.kind for error in delivery.errors] == ([kind] if kind else [])
    assert all(error.source == "bad" for error in delivery.errors)
    assert delivery.pending == ()
    assert delivery.tickets["bad"].how is (How.FAILED if kind else How.DONE)
    assert answers(system, "bad")
    assert answers(system, "good")
    assert good.state == bad.state


def test_every_delivery_leaves_one_record_whatever_became_of_it(
    system: System, records: Records
) -> None:
    probe = add(system, "probe")
    sent = []
    for place in PLACES:
        for name, (act, _) in FAULTS.items():
            probe.acts[name] = place(probe, act)
            sent.append(str(done(system.send(Act(name))).id))
    last = str(done(system.send(Act("answer"))).id)
    until(lambda: of_kind(records, "delivery", id=last))

    ids = [record["id"] for record in of_kind(records, "delivery", type="act")]
    assert ids == [*sent, last]


def test_an_error_carries_source_text_stack_and_data(system: System) -> None:
    bad = add(system, "bad")
    bad.acts["fault"] = raising(LimitError("too far", x_um=3.0))

    delivery = done(system.send(Act("fault")))

    (error,) = delivery.errors
    assert (error.source, error.text, error.data) == ("bad", "too far", {"x_um": 3.0})
    assert "test_completion.py" in error.traceback
    with pytest.raises(LimitError, match="bad: too far"):
        delivery.result()


def test_a_response_reaches_the_sender_as_its_own_class(system: System) -> None:
    probe = add(system, "probe")
    probe.acts["measure"] = lambda: Measured("dose", 1.5)

    assert done(system.send(Act("measure"))).result() == Measured("dose", 1.5)


def test_every_receiver_of_an_event_has_an_outcome_of_its_own(
    system: System,
) -> None:
    names = [f"module{n}" for n in range(6)]
    probes = [add(system, name) for name in names]
    for probe in probes[::2]:
        probe.on_noted = None  # type: ignore[assignment,method-assign]
        probe.seen = None  # type: ignore[assignment]

    delivery = done(system.send(Noted("all", 1)))

    assert set(delivery.tickets) == set(names)
    assert all(ticket.how for ticket in delivery.tickets.values())
    assert {error.source for error in delivery.errors} == set(names[::2])
    assert [len(probe.seen) for probe in probes[1::2]] == [1, 1, 1]


def test_an_event_that_nobody_wants_is_complete_without_error(
    system: System,
) -> None:
    add(system, "probe")

    delivery = done(system.send(Whispered()))

    assert (delivery.errors, delivery.tickets) == ((), {})


@pytest.mark.parametrize("place", [in_handler, in_job])
def test_a_hang_is_given_up_and_its_late_result_changes_nothing(
    system: System, records: Records, gate: threading.Event, place: Any
) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)
    add(system, "good")
    system.start()

    def hang() -> int:
        wait_for(gate)
        return 1

    bad.acts["hang"] = place(bad, hang)
    delivery = system.send(Act("hang"), to="bad")

    error = only_error(delivery)
    assert error.kind == "WorkerTimeout"
    assert delivery.tickets["bad"].how is How.TIMEOUT
    assert delivery.tickets["bad"].by == "watchdog"
    assert answers(system, "good")
    until(lambda: of_kind(records, "state", module="bad", state="hung"))
    assert answers(system, "bad")  # its successor does, while the call goes on
    before = (delivery.errors, dict(delivery.responses), delivery.done_s)

    gate.set()

    until(lambda: of_kind(records, "late result", module="bad"))
    assert (delivery.errors, dict(delivery.responses), delivery.done_s) == before
    assert len(of_kind(records, "delivery", id=str(delivery.id))) == 1
    assert successor(system, bad).generation == 2
    assert answers(system, "bad")


def test_what_is_queued_in_a_stopped_module_completes_as_dead(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe")
    probe.acts["wait"] = lambda: wait_for(gate)
    first = system.send(Act("wait"))
    until(lambda: probe.busy_with)
    queued = [system.send(Noted("queued", n)) for n in range(20)]

    probe.actor_ref.stop(block=False)
    gate.set()

    assert done(first).errors == ()
    for delivery in queued:
        assert only_error(delivery).kind == "ModuleDead"
        assert delivery.tickets["probe"].how is How.DEAD
    assert probe.seen == []


def test_a_message_to_a_stopped_module_completes_as_dead(system: System) -> None:
    add(system, "other")
    probe = add(system, "probe")
    assert probe.actor_ref.stop(timeout=5.0)
    until(lambda: not has_thread(probe))

    error = only_error(system.send(Act("answer"), to="probe"))

    assert (error.kind, error.source) == ("ModuleDead", "probe")


def test_a_message_to_a_removed_module_completes_as_dead(system: System) -> None:
    probe = add(system, "probe")
    add(system, "other")
    system.broker.remove("probe", "probe was taken out")

    error = only_error(system.send(Act("answer"), to="probe"))
    assert (error.kind, error.text) == ("ModuleDead", "probe was taken out")
    assert list(done(system.send(Noted("all", 1))).tickets) == ["other"]
    assert probe.seen == []


def test_a_job_of_a_stopped_module_completes_as_dead_and_is_late(
    system: System, gate: threading.Event, records: Records, log_folder: Any
) -> None:
    probe = add(system, "probe", deadline_s=1.0)
    probe.acts["job"] = lambda: probe.run_job(lambda: wait_for(gate))
    delivery = system.send(Act("job"))
    until(lambda: probe.busy_with.startswith("in job"))

    assert probe.actor_ref.stop(timeout=5.0)
    assert only_error(delivery).kind == "ModuleDead"
    gate.set()
    until(lambda: "probe/1/worker" not in {t.name for t in threading.enumerate()})

    # What has ended is not reported as hanging later on.
    system.watchdog.scan()
    assert not system.watchdog._watched


def test_one_ticket_is_claimed_by_exactly_one_of_many_threads() -> None:
    for _ in range(15):
        ends: list[Delivery] = []
        delivery = Delivery(
            IdSource().next(),
            Noted("race", 1),
            principal="hal",
            clock=SystemClock(),
            deadline_s=5.0,
        )
        delivery.on_complete = ends.append
        delivery.issue(("one", "two", "three"), 0.0)
        won: list[str] = []

        def claim_all(n: int, delivery: Delivery = delivery, won: Any = won) -> None:
            error = ErrorRecord(kind="HandlerFailed", text=str(n), source="test")
            for name in ("one", "two", "three"):
                if delivery.claim(name, How.FAILED, str(n), error=error):
                    won.append(name)

        in_threads(6, claim_all)

        assert sorted(won) == ["one", "three", "two"]
        assert ends == [delivery]
        assert delivery.complete
        assert len(delivery.errors) == 3


def test_an_observer_that_raises_hurts_neither_sender_nor_receiver(
    system: System, logged: list[Any]
) -> None:
    add(system, "probe")

    for message in (Act("answer"), Act("no such act"), Whispered()):
        done(
            system.broker.send(
                message,
                principal="hal",
                on_complete=raising(RuntimeError("observer")),  # type: ignore[arg-type]
            )
        )

    assert answers(system, "probe")
    until(lambda: any("observer" in str(entry) for entry in logged))


def test_two_jobs_of_one_handler_both_belong_to_its_message(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe")
    ran: list[int] = []

    def act() -> None:
        probe.run_job(lambda: ran.append(1))
        probe.run_job(lambda: (wait_for(gate), ran.append(2)))

    probe.acts["two jobs"] = act
    delivery = system.send(Act("two jobs"))
    until(lambda: ran == [1])
    assert not delivery.wait(0.1)

    gate.set()

    assert done(delivery).errors == ()
    assert ran == [1, 2]


def test_a_message_of_the_urgent_lane_completes_like_any_other(
    system: System,
) -> None:
    probe = add(system, "probe")
    probe.acts["fault"] = raising(ValueError("boom"))

    assert only_error(system.send(ActAtOnce("fault"))).kind == "HandlerFailed"
    assert done(system.send(ActAtOnce("answer"))).result() == 42


def test_a_cancellation_is_the_result_where_there_is_no_response(
    system: System,
) -> None:
    probe = add(system, "probe")

    def give_up() -> NoReturn:
        raise Cancelled("given up on purpose")

    probe.acts["give up"] = give_up
    delivery = done(system.send(Act("give up"), to="probe"))

    with pytest.raises(Cancelled, match="on purpose"):
        delivery.result()
