"""R13, R14, R103, R107: what hangs is replaced; its late result changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hal.base import HalError, ModuleDead
from hal.kernel import How, Loop, System
from tests.kernel.bench import (
    HANG_S,
    Records,
    add,
    done,
    has_thread,
    of_kind,
    only_error,
    until,
    wait_for,
)
from tests.kernel.supervised import (
    Pooled,
    Script,
    Scripted,
    add_scripted,
    both_dispatchers,
    check_outcomes,
    ended_once,
    module_of,
    until_generation,
)
from tests.kernel.vocabulary import Act, ActAtOnce, Noted

PLACES = ("handler", "urgent handler", "job", "loop", "serving loop")


def hanging(script: Script, gate: threading.Event, place: str) -> Act | ActAtOnce:
    """Return the message that makes a module hang in that place."""

    def hang_here() -> object:
        wait_for(gate)
        return "too late"

    def loop_here(loop: Loop) -> None:
        wait_for(gate)

    def start_loop(module: Scripted, *, serves_jobs: bool) -> None:
        module.run_loop(loop_here, stall_s=HANG_S, what="grab", serves_jobs=serves_jobs)

    script.acts |= {
        "handler": lambda _: hang_here(),
        "urgent handler": lambda _: hang_here(),
        "job": lambda module: module.run_job(hang_here),
        "loop": partial(start_loop, serves_jobs=False),
        "serving loop": partial(start_loop, serves_jobs=True),
    }
    return ActAtOnce(place) if place == "urgent handler" else Act(place)


@both_dispatchers
@pytest.mark.parametrize("place", PLACES)
def test_what_hangs_is_succeeded_and_its_late_result_only_noted(
    system: System,
    gate: threading.Event,
    records: Records,
    kind: type[Scripted],
    place: str,
) -> None:
    script = add_scripted(system, "bad", kind, deadline_s=HANG_S)
    first = module_of(system, "bad")

    hung = done(system.send(hanging(script, gate, place), to="bad", deadline_s=30.0))
    until_generation(system, "bad", 2)

    assert done(system.send(Act("answer"), to="bad")).result() == 42
    if "loop" in place:  # the message that started it had its answer at once
        assert hung.errors == ()
    else:
        (error,) = hung.errors
        assert (error.kind, error.source) == ("WorkerTimeout", "bad")
        assert ", in hang_here" in error.dump
        assert hung.tickets["bad"].how is How.TIMEOUT
    outcome = (hung.errors, dict(hung.responses), hung.tickets["bad"].how)

    gate.set()

    until(lambda: of_kind(records, "late result", module="bad", generation=1))
    until(lambda: not has_thread(first))
    assert (hung.errors, hung.responses, hung.tickets["bad"].how) == outcome
    assert first.seat.generation == 2
    assert system.left_behind() == ()
    assert done(system.send(Act("answer"), to="bad")).result() == 42
    activity = place.split()[-1]
    (late,) = of_kind(records, "late", module="bad", activity=activity)
    assert late["dump"]
    assert len(of_kind(records, "late result", module="bad")) == 1
    assert len(of_kind(records, "given up", module="bad")) == 1
    assert ended_once(records)


@both_dispatchers
@pytest.mark.parametrize("place", PLACES)
def test_the_successor_takes_what_was_queued_in_the_same_order(
    system: System, gate: threading.Event, kind: type[Scripted], place: str
) -> None:
    script = add_scripted(system, "bad", kind, deadline_s=HANG_S)
    hung = system.send(hanging(script, gate, place), to="bad", deadline_s=30.0)
    if "loop" in place:  # it leaves the lane open: a job closes it
        done(hung)
        script.acts["block"] = lambda module: module.run_job(lambda: wait_for(gate))
        system.send(Act("block"), to="bad", deadline_s=30.0)
    sent = [system.send(Noted("test", number), to="bad") for number in range(200)]

    for delivery in sent:
        assert done(delivery).errors == ()

    assert script.seen == [(number, 2) for number in range(200)]


@pytest.mark.parametrize("which", ["then", "on_end", "reply"])
def test_a_callback_on_the_actor_that_hangs_is_found_like_a_handler(
    system: System, gate: threading.Event, which: str
) -> None:
    script = add_scripted(system, "bad", deadline_s=HANG_S)

    def hang(*_of_what: object) -> None:
        wait_for(gate)

    script.acts |= {
        "then": lambda module: module.run_job(lambda: 1, then=hang),
        "on_end": lambda module: (
            module.run_loop(lambda _: None, stall_s=5.0, what="short", on_end=hang)
            and None
        ),
        "reply": lambda module: module.send(Noted("bad", 1), reply=hang) and None,
    }
    system.send(Act(which), to="bad", deadline_s=30.0)

    until(lambda: system.module("bad").generation >= 2, timeout_s=5.0)

    assert done(system.send(Act("answer"), to="bad")).result() == 42
    gate.set()
    until(lambda: not system.left_behind())


@both_dispatchers
def test_a_job_that_waits_for_the_loop_that_hangs_ends_with_its_module(
    system: System, gate: threading.Event, kind: type[Scripted]
) -> None:
    script = add_scripted(system, "bad", kind)
    done(system.send(hanging(script, gate, "serving loop"), to="bad"))
    ran: list[str] = []
    script.acts["job"] = lambda module: module.run_job(lambda: ran.append("job"))

    error = only_error(system.send(Act("job"), to="bad"))
    gate.set()

    assert error.kind == "ModuleDead"
    assert "loop 'grab' of bad has not beaten" in error.text
    assert done(system.send(Act("answer"), to="bad")).result() == 42
    assert ran == []


def test_a_loop_tells_its_module_that_it_stalls_before_that_is_given_up(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad")
    told: list[Any] = []

    def start(module: Scripted) -> None:
        module.run_loop(
            lambda _: wait_for(gate),
            stall_s=HANG_S,
            what="grab",
            on_end=lambda loop, error: told.append((error, module.is_given_up)),
        )

    script.acts["grab"] = start
    done(system.send(Act("grab"), to="bad"))
    until_generation(system, "bad", 2)
    gate.set()
    until(lambda: not system.left_behind())

    ((error, was_given_up),) = told
    assert error.kind == "WorkerTimeout"
    assert not was_given_up


@pytest.mark.parametrize(
    "what", ["send", "ask", "run_job", "run_loop", "after", "state", "parameter"]
)
def test_what_a_zombie_does_reaches_nobody(
    system: System, gate: threading.Event, records: Records, what: str
) -> None:
    listener = add(system, "listener")
    script = add_scripted(system, "bad", deadline_s=HANG_S)
    came: list[object] = []
    ran: list[str] = []

    def ask(module: Scripted) -> object:
        problems: list[object] = []

        def asking() -> None:
            try:
                module.ask(Noted("zombie", 1), to="listener")
            except HalError as exc:
                problems.append(exc)

        thread = threading.Thread(target=asking)  # its own may not wait
        thread.start()
        thread.join(10.0)
        (problem,) = problems
        assert isinstance(problem, HalError)
        raise problem

    deeds: dict[str, Callable[[Scripted], object]] = {
        "send": lambda module: module.send(Noted("zombie", 1), to="listener"),
        "ask": ask,
        "run_job": lambda module: module.run_job(lambda: ran.append("job")),
        "run_loop": lambda module: module.run_loop(
            lambda _: ran.append("loop"), stall_s=1.0, what="zombie"
        ),
        "after": lambda module: module.after(0.0, Noted("zombie", 1)),
        "state": lambda module: module.set_state("zombie"),  # type: ignore[arg-type]
        "parameter": lambda module: module.commit_own({"title": "zombie"}),
    }

    def come_back(module: Scripted) -> object:
        wait_for(gate)
        try:
            came.append(deeds[what](module))
        except HalError as exc:
            came.append(exc)
        return "too late"

    script.acts["hang"] = come_back
    hung = system.send(Act("hang"), to="bad")
    only_error(hung)
    successor = until_generation(system, "bad", 2)
    until(lambda: of_kind(records, "restarted", module="bad"))
    state = successor.state
    gate.set()
    until(lambda: of_kind(records, "late result", module="bad", generation=1))
    assert done(system.send(Act("answer"), to="listener")).result() == 42

    assert listener.seen == []
    assert script.seen == []
    assert ran == []
    assert hung.responses == {}
    assert successor.state is state
    assert "title" not in successor.seat.arguments
    (result,) = came
    if what == "send":
        (error,) = result.errors  # type: ignore[attr-defined]
        assert (error.kind, error.source) == ("ModuleDead", "bad")
        assert error.text.startswith("generation 1 of bad was given up")
    elif what in ("ask", "run_job", "run_loop"):
        assert isinstance(result, ModuleDead)


def test_replies_and_own_calls_of_a_zombie_are_dropped(
    system: System, gate: threading.Event
) -> None:
    other = add(system, "other")
    answer_now = threading.Event()
    other.acts["wait"] = lambda: wait_for(answer_now)
    script = add_scripted(system, "bad", deadline_s=HANG_S)
    heard: list[str] = []
    was_made: list[str] = []

    def ask_and_hang(module: Scripted) -> None:
        module.send(Act("wait"), to="other", reply=lambda _: heard.append("reply"))
        module.post_own(lambda: heard.append("own"), lambda: was_made.append("late"))
        wait_for(gate)

    script.acts["hang"] = ask_and_hang
    only_error(system.send(Act("hang"), to="bad"))
    until_generation(system, "bad", 2)
    answer_now.set()
    gate.set()
    done(system.send(Act("answer"), to="other"))
    done(system.send(Act("answer"), to="bad"))

    assert heard == []
    assert was_made == ["late"]


@both_dispatchers
def test_only_one_generation_at_a_time_takes_from_the_mailbox(
    system: System, gate: threading.Event, kind: type[Scripted]
) -> None:
    script = add_scripted(system, "bad", kind, deadline_s=HANG_S)
    mailbox = module_of(system, "bad").seat.mailbox
    take, taking = mailbox.take, threading.Lock()
    takers: list[str] = []
    crowds: list[str] = []

    def checked(*, normal: bool) -> object:
        name = threading.current_thread().name
        if not taking.acquire(blocking=False):
            crowds.append(name)
            return take(normal=normal)
        try:
            takers.append(name)
            return take(normal=normal)
        finally:
            taking.release()

    mailbox.take = checked  # type: ignore[method-assign,assignment]
    message = hanging(script, gate, "handler")
    for generation in range(2, 5):
        sent = system.send(message, to="bad", deadline_s=30.0)
        for number in range(100):
            system.send(Noted("test", number), to="bad")
        only_error(sent)
        until_generation(system, "bad", generation)
    gate.set()
    until(lambda: not system.left_behind())
    for number in range(100):
        system.send(Noted("test", number), to="bad")
    done(system.send(Act("answer"), to="bad"))

    assert crowds == []
    order = list(dict.fromkeys(takers))
    assert order == ["bad/1", "bad/2", "bad/3", "bad/4"]
    # Not once did an earlier one come back to it.
    assert takers == sorted(takers)
    assert [generation for _, generation in script.seen] == sorted(
        generation for _, generation in script.seen
    )


def test_a_senders_shorter_deadline_ends_the_message_and_not_the_module(
    system: System, gate: threading.Event, records: Records
) -> None:
    script = add_scripted(system, "slow", deadline_s=30.0)
    message = hanging(script, gate, "handler")

    sent = system.send(message, to="slow", deadline_s=0.1)
    error = only_error(sent)
    gate.set()

    assert error.kind == "WorkerTimeout"
    assert ", in hang_here" in error.dump
    until(lambda: of_kind(records, "late result", module="slow", generation=1))
    assert done(system.send(Act("answer"), to="slow")).result() == 42
    assert system.module("slow").generation == 1
    assert of_kind(records, "given up") == []
    check_outcomes(sent)


def test_a_module_that_hangs_after_its_sender_left_is_still_given_up(
    system: System, gate: threading.Event, records: Records
) -> None:
    script = add_scripted(system, "bad", deadline_s=2 * HANG_S)
    sent = system.send(hanging(script, gate, "handler"), to="bad", deadline_s=0.1)
    only_error(sent)

    until_generation(system, "bad", 2)

    assert len(sent.errors) == 1
    assert done(system.send(Act("answer"), to="bad")).result() == 42


def test_a_call_into_a_dead_generation_is_not_made_by_the_next(
    system: System, gate: threading.Event
) -> None:
    """A job's end that waits in the mailbox is for the generation it belongs to."""
    script = add_scripted(system, "bad", deadline_s=HANG_S)
    ended: list[int] = []

    def job_then_hang(module: Scripted) -> None:
        module.run_job(lambda: 1, then=lambda _: ended.append(module.generation))
        wait_for(gate)

    script.acts["hang"] = job_then_hang
    only_error(system.send(Act("hang"), to="bad"))
    until_generation(system, "bad", 2)
    assert done(system.send(Act("answer"), to="bad")).result() == 42
    gate.set()
    until(lambda: not system.left_behind())

    assert ended == []
    assert script.generations_of("make") == [1, 2]


def test_two_hundred_hangs_in_a_row_exhaust_nothing(
    system: System, gate: threading.Event
) -> None:
    modules = {
        f"{kind.__name__.lower()}{n}": kind
        for kind in (Scripted, Pooled)
        for n in (1, 2)
    }
    scripts = {
        name: add_scripted(system, name, kind, deadline_s=0.05)
        for name, kind in modules.items()
    }
    bystander = add_scripted(system, "bystander", Pooled)
    before = threading.active_count()

    for generation in range(2, 52):
        sent = [
            system.send(hanging(scripts[name], gate, "handler"), to=name)
            for name in modules
        ]
        for delivery in sent:
            assert only_error(delivery).kind == "WorkerTimeout"
        for name in modules:
            until_generation(system, name, generation)
    assert threading.active_count() >= before + 200  # they do hang
    for name in ("bystander", *modules):
        assert done(system.send(Act("answer"), to=name)).result() == 42

    gate.set()

    until(lambda: not system.left_behind())
    until(lambda: threading.active_count() <= before)
    assert bystander.most_inside == 1
    assert {module.name: module.generation for module in system.modules} == {
        "bystander": 1
    } | dict.fromkeys(modules, 51)


def test_the_line_that_hangs_is_in_the_dump_with_its_generation(
    system: System, gate: threading.Event
) -> None:
    script = add_scripted(system, "bad", deadline_s=HANG_S)
    message = hanging(script, gate, "handler")
    only_error(system.send(message, to="bad"))
    until_generation(system, "bad", 2)

    error = only_error(system.send(message, to="bad", deadline_s=30.0))

    for generation in (1, 2):  # the first is still there
        part = error.dump.split(f"Thread bad/{generation} ")[1].split("\nThread ")[0]
        assert ", in hang_here" in part
