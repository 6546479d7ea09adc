"""A module in a process of its own says and hears what it would in HAL's."""

from __future__ import annotations

import os
from typing import Any

import pytest

from hal.base import DeviceError, ModuleState, WorkerTimeout
from hal.isolation import gateway_class
from hal.kernel import How, StopModule, System
from hal.testing import Probe, running_hal
from tests.isolation.bench import (
    add,
    ask,
    done,
    gateway,
    isolated_part,
    only_error,
    send,
    until,
)
from tests.isolation.puppets import (
    Do,
    DoAsJob,
    DoAtOnce,
    Happened,
    Puppet,
    PuppetHeard,
    PuppetShown,
)


@pytest.fixture
def puppet(system: System) -> System:
    add(system, "puppet")
    assert system.start() == ()
    return system


def test_it_runs_in_another_process_and_answers(puppet: System) -> None:
    assert ask(puppet, Do("answer"), "puppet") == 42
    shown = ask(puppet, Do("show"), "puppet")

    assert isinstance(shown, PuppetShown)
    assert shown.number == gateway(puppet, "puppet").pid != os.getpid()
    assert shown.text == "puppet/1"


def test_its_jobs_run_on_the_main_thread_of_its_process(puppet: System) -> None:
    assert ask(puppet, DoAsJob("is_main"), "puppet") is True
    assert ask(puppet, DoAsJob("show"), "puppet").text == "puppet/1/worker"
    assert ask(puppet, Do("is_main"), "puppet") is False


def test_its_state_is_that_of_the_module(puppet: System) -> None:
    assert puppet.module("puppet").state is ModuleState.STARTED

    puppet.stop()

    assert puppet.module("puppet").state is ModuleState.STOPPED


def test_its_errors_are_the_modules_own(puppet: System) -> None:
    error = only_error(send(puppet, Do("raise"), "puppet"))

    assert (error.kind, error.text) == ("DeviceError", "the lamp has burst")
    assert error.source == "puppet"
    assert error.data == {"lamp": 3}
    assert "do_raise" in error.traceback
    with pytest.raises(DeviceError):
        ask(puppet, Do("raise"), "puppet")


def test_its_events_reach_everybody_with_who_caused_them(system: System) -> None:
    system.add(Probe, "probe")
    add(system, "puppet")
    add(system, "other")
    system.start()
    probe = system.module("probe")
    assert isinstance(probe, Probe)

    records: list[Any] = []
    system.trace.listen(records.append)
    done(send(system, Do("tell 7"), "puppet"))

    # The other one has heard it, in its process, and has told so.
    assert probe.wait_for(PuppetHeard, lambda e: e.who == "other") == PuppetHeard(
        "other", 7
    )
    assert probe.wait_for(Happened) == Happened("puppet", 7)
    assert ask(system, Do("count"), "other") == 1
    by_type: dict[str, Any] = {}

    def all_told() -> bool:
        for record in list(records):
            if record["kind"] == "delivery":
                by_type.setdefault(record["type"], record)
        return {"do", "happened", "puppet heard"} <= by_type.keys()

    until(all_told)
    do, happened = by_type["do"], by_type["happened"]
    assert happened["cause"] == do["id"]
    assert by_type["puppet heard"]["cause"] == happened["id"]
    assert happened["id"].startswith("puppet.1#")
    assert happened["from"] == "puppet"


def test_it_can_ask_others_and_itself_be_asked(system: System) -> None:
    add(system, "puppet")
    add(system, "other")
    system.start()

    assert ask(system, DoAsJob("ask other"), "puppet") == 42


def test_a_circle_of_waiting_modules_is_found(system: System) -> None:
    add(system, "puppet")
    add(system, "other")
    system.start()

    itself = only_error(send(system, DoAsJob("ask puppet"), "puppet"))
    assert itself.kind == "DeadlockError"
    assert "puppet waits for puppet" in itself.text

    one = send(system, DoAsJob("askslowly other"), "puppet")
    two = send(system, DoAsJob("askslowly puppet"), "other")
    errors = [*done(one).errors, *done(two).errors]
    assert {error.kind for error in errors} == {"DeadlockError"}
    assert len(errors) == 1  # the other one got its answer


def test_who_waits_for_a_long_job_elsewhere_waits_as_long_as_it_may(
    system: System,
) -> None:
    add(system, "puppet", deadline_s=0.5)
    add(system, "other", deadline_s=0.5)
    system.start()

    job = DoAsJob("asklong other 6", deadline_s=20.0)

    assert ask(system, job, "puppet") == "slept"


def test_it_knows_all_modules(system: System) -> None:
    add(system, "puppet")
    system.start()
    assert ask(system, Do("names"), "puppet") == ["puppet"]

    system.add(Probe, "later")

    assert ask(system, Do("names"), "puppet") == ["puppet", "later"]
    assert ask(system, Do("roles probe"), "puppet") == ["later"]


def test_a_stop_overtakes_and_cancels_what_waits(puppet: System) -> None:
    running = send(puppet, DoAsJob("sleep 0.4"), "puppet")
    waiting = [send(puppet, Do("answer"), "puppet") for _ in range(20)]
    assert ask(puppet, DoAtOnce("answer"), "puppet") == 42
    assert not running.complete

    stop = send(puppet, StopModule(), "puppet")

    assert {only_error(delivery).kind for delivery in waiting} == {"Cancelled"}
    assert done(stop).errors == ()
    # It had begun or not, on a busy machine.
    assert only_error(running).kind in ("ModuleDead", "Cancelled")


def test_order_is_kept(system: System) -> None:
    system.add(Probe, "probe")
    add(system, "puppet")
    system.start()
    probe = system.module("probe")
    assert isinstance(probe, Probe)

    sent = [system.send(Happened("test", n)) for n in range(300)]
    for delivery in sent:
        done(delivery)
    ask(system, Do("count"), "puppet")

    assert [event.number for event in probe.heard(PuppetHeard)] == list(range(300))


def test_a_late_sender_is_told_where_the_child_is(puppet: System) -> None:
    delivery = send(puppet, Do("sleep 1"), "puppet", deadline_s=0.2)

    error = only_error(delivery)

    assert error.kind == WorkerTimeout.__name__
    assert "do_sleep" in error.dump
    (ticket,) = delivery.tickets.values()
    assert ticket.how is How.TIMEOUT
    # The module itself has 5 s: it goes on.
    assert ask(puppet, Do("answer"), "puppet") == 42
    assert puppet.module("puppet").generation == 1


def test_parameters_are_set_there_and_kept_for_the_next_generation() -> None:
    from hal.kernel import CommitParameters, DescribeParameters, ProposeParameters

    with running_hal(isolated_part("puppet", Puppet)) as hal:
        hal.ask(ProposeParameters("t1", {"title": "new", "gain": 2.0}), to="puppet")
        hal.ask(CommitParameters("t1"), to="puppet")
        hal.system.restart("puppet")
        until(lambda: hal.system.module("puppet").generation == 2)

        assert hal.ask(Do("title"), to="puppet", deadline_s=20.0) == "new"
        listed: Any = hal.ask(DescribeParameters(), to="puppet")
        assert {s.name: s.value for s in listed.specs} == {"title": "new", "gain": 2.0}


def test_what_it_logs_and_traces_is_in_hals_trace(
    puppet: System, records: list[Any]
) -> None:
    from hal.kernel import CommitParameters, ProposeParameters

    ask(puppet, ProposeParameters("t1", {"gain": 3.0}), "puppet")
    ask(puppet, CommitParameters("t1"), "puppet")

    until(lambda: any(r["kind"] == "parameters" for r in records))
    (noted,) = [r for r in records if r["kind"] == "parameters"]
    assert noted["values"] == {"gain": 3.0}
    assert noted["process"] == "puppet.1"


def test_its_process_is_in_the_statistics(puppet: System) -> None:
    (found,) = puppet.statistics()

    assert found.pid == gateway(puppet, "puppet").pid
    assert found.cpu_s > 0.0
    assert 10.0 < found.memory_mb < 1000.0


def test_a_gateway_handles_what_its_module_handles() -> None:
    made = gateway_class(Puppet)

    assert made is gateway_class(Puppet)
    assert made.role == Puppet.role
