"""R9, R13, R14, R22, R107: blocking work on a module's worker."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import pytest

from hal.base import Cancelled, ModuleDead, ModuleState, SystemClock
from hal.kernel import System
from hal.kernel.worker import Job
from tests.kernel.bench import (
    HANG_S,
    Probe,
    Records,
    add,
    answers,
    done,
    of_kind,
    only_error,
    successor,
    until,
    wait_for,
)
from tests.kernel.vocabulary import Act, ActAtOnce, Noted


def hung_in_job(system: System, gate: threading.Event, name: str = "bad") -> Probe:
    """Return a module that was given up because it hangs in a job."""
    bad = add(system, name, deadline_s=HANG_S)
    system.start()
    bad.acts["hang"] = lambda: bad.run_job(lambda: wait_for(gate))
    assert only_error(system.send(Act("hang"), to=name)).kind == "WorkerTimeout"
    until(lambda: bad.is_given_up)
    return bad


def test_a_job_runs_on_the_worker_and_its_result_is_the_response(
    system: System,
) -> None:
    probe = add(system, "probe")
    names: list[str] = []

    def job() -> str:
        names.append(threading.current_thread().name)
        return "result"

    probe.acts["job"] = lambda: probe.run_job(job)

    assert done(system.send(Act("job"))).result() == "result"
    assert names == ["probe/1/worker"]


def test_what_then_returns_is_the_response_and_it_runs_on_the_actor(
    system: System,
) -> None:
    probe = add(system, "probe")
    names: list[str] = []

    def then(result: int) -> int:
        names.append(threading.current_thread().name)
        return result + 1

    probe.acts["job"] = lambda: probe.run_job(lambda: 1, then=then)

    assert done(system.send(Act("job"))).result() == 2
    assert names == ["probe/1"]


def test_then_may_start_another_job_that_belongs_to_the_message(
    system: System,
) -> None:
    probe = add(system, "probe")
    probe.acts["job"] = lambda: probe.run_job(
        lambda: 1, then=lambda _: probe.run_job(lambda: "second")
    )

    assert done(system.send(Act("job"))).result() == "second"


def test_during_a_job_the_normal_lane_waits_and_the_urgent_one_runs(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe")
    probe.acts["job"] = lambda: probe.run_job(lambda: wait_for(gate))
    job = system.send(Act("job"))
    normal = system.send(Act("answer"))

    assert done(system.send(ActAtOnce("answer"))).result() == 42
    assert not normal.wait(0.1)
    assert probe.busy_with == "in job 'act'"

    gate.set()
    assert done(normal).result() == 42
    assert job.complete


def test_jobs_of_urgent_messages_run_in_order_behind_the_one_at_work(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe")
    ran: list[int] = []
    probe.acts["first"] = lambda: probe.run_job(lambda: (wait_for(gate), ran.append(0)))
    system.send(Act("first"))
    until(lambda: probe.busy_with.startswith("in job"))
    sent = []
    for number in range(1, 6):
        probe.acts[str(number)] = lambda n=number: probe.run_job(lambda: ran.append(n))
        sent.append(system.send(ActAtOnce(str(number))))

    gate.set()
    for delivery in sent:
        assert done(delivery).errors == ()

    assert ran == [0, 1, 2, 3, 4, 5]


def test_a_job_may_take_longer_than_its_message_would_wait(system: System) -> None:
    class Patient(Act, frozen=True):
        deadline_s = 0.05  # type: ignore[misc]

    probe = add(system, "probe")
    pause = threading.Event()
    probe.acts["job"] = lambda: probe.run_job(
        lambda: pause.wait(HANG_S), deadline_s=10.0
    )

    assert done(system.send(Patient("job"))).errors == ()


def test_while_a_job_hangs_its_module_does_others_on_a_worker_of_their_own(
    system: System, gate: threading.Event
) -> None:
    again = successor(system, hung_in_job(system, gate))
    names: list[str] = []
    again.acts["job"] = lambda: again.run_job(
        lambda: names.append(threading.current_thread().name)
    )

    assert done(system.send(Act("job"))).errors == ()

    assert names == ["bad/2/worker"]
    assert answers(system, "bad")
    assert system.left_behind() == ("bad",)


def test_a_generation_given_up_is_refused_jobs_and_loops_with_the_reason(
    system: System, gate: threading.Event
) -> None:
    bad = hung_in_job(system, gate)
    ran: list[int] = []

    for begin in (
        lambda: bad.run_job(lambda: ran.append(1)),
        lambda: bad.run_loop(lambda loop: ran.append(2), stall_s=5.0, what="loop"),
    ):
        with pytest.raises(ModuleDead, match="generation 1 of bad was given up"):
            begin()

    assert answers(system, "bad")
    assert ran == []


def test_jobs_queued_behind_one_that_hangs_end_with_the_reason(
    system: System, gate: threading.Event, logged: list[Any]
) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)
    ran: list[int] = []

    def three_jobs() -> None:
        bad.run_job(lambda: wait_for(gate), what="first")
        bad._turns.handling = (
            None  # as from `on_start`: a job that no message waits for
        )
        bad.run_job(lambda: ran.append(1), what="orphan")

    bad.acts["hang"] = three_jobs
    bad.acts["queued"] = lambda: bad.run_job(lambda: ran.append(2))
    system.start()
    system.send(Act("hang"))
    until(lambda: bad.busy_with.startswith("in job"))
    queued = system.send(ActAtOnce("queued"), deadline_s=20.0)

    error = only_error(queued)
    assert error.kind == "ModuleDead"
    assert error.text.startswith("bad was given up: job 'first' of bad has been going")
    # The one that no message waits for is at least told of by the log.
    until(lambda: [e for e in logged if e["event"] == "module given up"])
    (entry,) = [e for e in logged if e["event"] == "module given up"]
    assert (entry["name"], entry["doing"]) == ("bad", "in job 'first'")
    gate.set()
    until(lambda: system.left_behind() == ())
    assert answers(system, "bad")
    assert ran == []


def test_a_module_recovers_from_a_job_that_hangs_and_its_late_end_is_only_noted(
    system: System, gate: threading.Event, records: Records
) -> None:
    again = successor(system, hung_in_job(system, gate))
    until(lambda: of_kind(records, "state", module="bad", was="hung"))
    (hung,) = of_kind(records, "state", module="bad", state="hung")
    assert hung["reason"].startswith("job 'act' of bad has been going on for")
    assert (again.state, again.reason) == (ModuleState.STARTED, "")

    gate.set()

    until(lambda: of_kind(records, "late result", module="bad", what="act"))
    until(lambda: system.left_behind() == ())
    again.acts["job"] = lambda: again.run_job(lambda: "again")
    assert done(system.send(Act("job"))).result() == "again"
    (late,) = of_kind(records, "late result", module="bad")
    assert late["generation"] == 1
    assert (again.generation, again.state) == (2, ModuleState.STARTED)


def test_a_job_that_ended_in_time_is_never_late_because_its_actor_is_busy(
    system: System, gate: threading.Event
) -> None:
    # The job ends at once, but the actor is in an urgent handler until long after
    # the job's deadline.
    probe = add(system, "probe", deadline_s=60.0)
    began = threading.Event()
    probe.acts["job"] = lambda: probe.run_job(
        lambda: wait_for(began), deadline_s=HANG_S
    )
    probe.acts["busy"] = lambda: wait_for(gate)
    job = system.send(Act("job"))
    until(lambda: probe.busy_with.startswith("in job"))
    system.send(ActAtOnce("busy"), deadline_s=60.0)
    until(lambda: probe._turns.handling)
    began.set()

    late_s = system.clock.monotonic_s() + 2 * HANG_S
    until(lambda: system.clock.monotonic_s() > late_s)
    gate.set()

    assert done(job).errors == ()
    assert probe.state is ModuleState.LOADED


def test_many_modules_hang_and_others_still_get_workers(
    system: System, gate: threading.Event
) -> None:
    for number in range(12):
        bad = add(system, f"bad{number}", deadline_s=HANG_S)
        bad.acts["hang"] = lambda bad=bad: bad.run_job(lambda: wait_for(gate))
        system.send(Act("hang"), to=f"bad{number}")
    good = add(system, "good")
    good.acts["job"] = lambda: good.run_job(lambda: 1)

    assert done(system.send(Act("job"), to="good")).result() == 1


def test_a_failed_job_without_message_is_logged(
    system: System, logged: list[Any]
) -> None:
    class Starter(Probe):
        def on_start(self) -> None:
            self.run_job(lambda: 1 / 0, what="warm up")

    system.add(Starter, "starter")

    until(lambda: [e for e in logged if e["event"] == "job failed"])
    assert answers(system, "starter")


def test_a_slow_handler_is_warned_about(system: System, logged: list[Any]) -> None:
    probe = add(system, "probe")
    pause = threading.Event()
    probe.acts["slow"] = lambda: pause.wait(0.05)

    done(system.send(Act("slow")))

    until(lambda: [e for e in logged if e["event"] == "slow handler"])
    (entry,) = [e for e in logged if e["event"] == "slow handler"]
    assert (entry["level"], entry["module"], entry["type"]) == (
        "warning",
        "probe",
        "act",
    )
    assert entry["took_s"] > 0.03


@pytest.mark.parametrize("act", ["raise", "hang"])
def test_other_modules_see_neither_error_nor_hang(
    system: System, gate: threading.Event, act: str
) -> None:
    bad, good = add(system, "bad", deadline_s=HANG_S), add(system, "good")

    def misbehave() -> None:
        if act == "raise":
            raise ValueError("boom")
        wait_for(gate)

    bad.on_noted = None  # type: ignore[assignment,method-assign]
    bad.acts["act"] = misbehave
    only_error(system.send(Act("act"), to="bad"))

    delivery = done(system.send(Noted("all", 1), deadline_s=HANG_S))

    assert delivery.tickets["good"].how == "done"
    assert good.seen == [("noted", "all", 1)]
    assert good.state is ModuleState.LOADED


def test_a_job_that_was_given_up_before_it_began_never_begins() -> None:
    # Its generation may have been given up between the order and the worker's turn, and
    # the successor may be opening the device by now.
    called: list[str] = []
    ended: list[Job] = []
    job = Job(
        "bad",
        lambda: called.append("driver"),
        what="move",
        deadline_s=1.0,
        delivery=None,
        then=None,
        context=contextvars.copy_context(),
        clock=SystemClock(),
        on_end=ended.append,
        on_expire=lambda _job, _error: None,
    )
    job.given_up = True

    job.run()

    assert called == []
    assert ended == [job]
    assert isinstance(job.error, Cancelled)
