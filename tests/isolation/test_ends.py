"""Whatever becomes of the process of a module, HAL says so and begins it anew."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from hal.base import ErrorRecord, ModuleState
from hal.kernel import Delivery, RestartPolicy, StopModule, System
from tests.isolation.bench import (
    add,
    ask,
    done,
    gateway,
    is_there,
    only_error,
    send,
    until,
    until_works,
)
from tests.isolation.puppets import (
    DeadOnArrival,
    Do,
    DoAsJob,
    DoAtOnce,
    NeverMade,
    Puppet,
    SlowToMake,
)

HANG_S = 1.0


@pytest.fixture
def puppet(system: System) -> System:
    add(system, "puppet", deadline_s=HANG_S)
    add(system, "bystander")
    assert system.start() == ()
    return system


def end_of(puppet: System, delivery: Delivery) -> ErrorRecord:
    """Return why the message ended; the module must be back, the neighbour as ever."""
    pid = gateway(puppet, "bystander").pid
    error = only_error(delivery)
    until_works(puppet, "puppet", 2)
    assert ask(puppet, Do("answer"), "bystander") == 42
    assert gateway(puppet, "bystander").pid == pid
    return error


def test_a_process_that_is_killed_is_begun_anew(puppet: System) -> None:
    pid = gateway(puppet, "puppet").pid
    delivery = send(puppet, DoAsJob("hang", deadline_s=60.0), "puppet")
    until(lambda: puppet.module("puppet").busy_with)

    os.kill(pid, signal.SIGKILL)

    error = end_of(puppet, delivery)
    assert error.kind == "ModuleDead"
    assert f"process {pid} of puppet was killed by SIGKILL" in error.text
    assert not is_there(pid)


def test_a_crash_in_c_shows_its_stacks(puppet: System, log_folder: Path) -> None:
    delivery = send(puppet, DoAsJob("segv"), "puppet")

    error = end_of(puppet, delivery)

    assert error.kind == "ModuleDead"
    assert "was killed by SIGSEGV" in error.text
    (path,) = log_folder.glob("output_*_puppet.1.txt")
    assert str(path) in error.text
    assert "Fatal Python error: Segmentation fault" in path.read_text()
    assert "do_segv" in path.read_text()


def test_what_it_said_last_is_in_the_error(puppet: System) -> None:
    ask(puppet, Do("say licence server lost"), "puppet")

    error = end_of(puppet, send(puppet, Do("exit 3"), "puppet"))

    assert "ended with exit code 3" in error.text
    assert "licence server lost" in error.text


def test_a_stopped_process_is_found_silent_and_killed(puppet: System) -> None:
    pid = gateway(puppet, "puppet").pid

    error = end_of(puppet, send(puppet, Do("stop"), "puppet", deadline_s=30.0))

    assert error.kind == "ModuleDead"
    assert f"process {pid} of puppet is silent for" in error.text
    assert not is_there(pid)


def test_a_call_that_holds_the_interpreter_is_shown_and_ended(
    puppet: System, records: list[Any]
) -> None:
    delivery = send(puppet, DoAsJob("hold"), "puppet", deadline_s=30.0)
    started_s = time.monotonic()

    error = end_of(puppet, delivery)

    assert "is silent for" in error.text
    assert time.monotonic() - started_s < 15.0
    (given_up,) = [r for r in records if r["kind"] == "given up"]
    dump = Path(str(given_up["why"]).rpartition(" in ")[2])
    assert "do_hold" in dump.read_text()


def test_a_hung_handler_is_dumped_by_its_own_process(puppet: System) -> None:
    pid = gateway(puppet, "puppet").pid

    error = end_of(puppet, send(puppet, Do("hang"), "puppet"))

    assert error.kind == "WorkerTimeout"
    assert "do_hang" in error.dump
    assert "handler 'do' of puppet has been going on for" in error.text
    until(lambda: not is_there(pid))


def test_a_hung_job_is_dumped_by_its_own_process(puppet: System) -> None:
    job = DoAsJob("hang", deadline_s=0.3)

    error = end_of(puppet, send(puppet, job, "puppet"))

    assert error.kind == "WorkerTimeout"
    assert "do_hang" in error.dump


def test_a_job_may_take_longer_than_the_module_if_it_says_so(puppet: System) -> None:
    assert ask(puppet, DoAsJob("sleep 2.5", deadline_s=10.0), "puppet") == "slept"
    assert puppet.module("puppet").generation == 1


def test_a_job_may_hold_the_interpreter_as_long_as_it_may_take(
    puppet: System,
) -> None:
    job = DoAsJob("hold 4", deadline_s=20.0)

    assert ask(puppet, job, "puppet", deadline_s=30.0) == "held"
    assert puppet.module("puppet").generation == 1


def test_what_waited_is_done_by_the_next_generation(puppet: System) -> None:
    died = send(puppet, DoAsJob("exit 3"), "puppet", deadline_s=30.0)
    waited = [send(puppet, Do("answer"), "puppet", deadline_s=30.0) for _ in range(5)]

    assert only_error(died).kind == "ModuleDead"
    for delivery in waited:
        assert done(delivery).result() == 42


def test_garbage_on_the_pipe_ends_the_process(puppet: System) -> None:
    pid = gateway(puppet, "puppet").pid

    error = end_of(puppet, send(puppet, Do("garbage hello"), "puppet"))

    assert "garbage" in error.text
    until(lambda: not is_there(pid))


def test_a_process_that_closes_its_pipe_is_ended(puppet: System) -> None:
    pid = gateway(puppet, "puppet").pid

    end_of(puppet, send(puppet, Do("shut"), "puppet"))

    until(lambda: not is_there(pid))


def test_a_process_may_say_as_much_as_it_likes(
    puppet: System, log_folder: Path
) -> None:
    job = DoAsJob("fill 30", deadline_s=60.0)

    assert ask(puppet, job, "puppet") == "filled"

    (path,) = log_folder.glob("output_*_puppet.1.txt")
    assert path.stat().st_size == 10_000_000


def test_allocating_without_end_stops_at_the_limit(system: System) -> None:
    add(system, "puppet", memory_mb=500.0)
    system.start()

    error = only_error(send(system, DoAsJob("allocate"), "puppet", deadline_s=30.0))

    assert "MemoryError" in error.text or error.kind == "ModuleDead"
    (found,) = system.statistics()
    assert found.memory_mb < 500.0
    until_works(system, "puppet", 1)


def test_a_module_that_cannot_be_made_there_says_why(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAL_TEST_PARENT", str(os.getpid()))
    policy = RestartPolicy(intensity=1, backoff_s=0.0)
    add(system, "broken", NeverMade, restart=policy)

    system.start()

    until(lambda: system.module("broken").state is ModuleState.FAILED)
    assert "the SDK is too old" in system.module("broken").reason


def test_one_that_dies_at_every_start_has_failed_and_hal_lives(system: System) -> None:
    policy = RestartPolicy(intensity=2, backoff_s=0.0)
    add(system, "dead", DeadOnArrival, restart=policy)
    add(system, "bystander")

    problems = system.start()

    assert problems
    until(lambda: system.module("dead").state is ModuleState.FAILED)
    assert "ended with exit code 7" in system.module("dead").reason
    assert "no licence found" in system.module("dead").reason
    assert ask(system, Do("answer"), "bystander") == 42


@pytest.mark.parametrize("intensity", [0, 3])
def test_one_that_cannot_be_made_at_the_start_is_not_tried_again(
    system: System, monkeypatch: pytest.MonkeyPatch, records: list[Any], intensity: int
) -> None:
    monkeypatch.setenv("HAL_TEST_PARENT", str(os.getpid()))
    policy = RestartPolicy(intensity=intensity, backoff_s=0.0)
    add(system, "broken", NeverMade, restart=policy)
    add(system, "bystander")

    (problem,) = system.start()

    assert (problem.kind, problem.source) == ("StartError", "broken")
    assert "the SDK is too old" in problem.text
    until(lambda: system.module("broken").state is ModuleState.FAILED)
    assert system.module("broken").reason == problem.text
    assert system.module("broken").generation == 1
    assert ask(system, Do("answer"), "bystander") == 42
    assert only_error(send(system, Do("answer"), "broken")).kind == "ModuleDead"


def test_one_that_was_refused_can_be_tried_again_on_demand(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAL_TEST_PARENT", str(os.getpid()))
    add(system, "broken", NeverMade)
    system.start()
    until(lambda: system.module("broken").state is ModuleState.FAILED)
    monkeypatch.delenv("HAL_TEST_PARENT")

    system.restart("broken")

    until_works(system, "broken", 2)


def test_what_outlasts_its_senders_patience_keeps_the_lane_closed(
    puppet: System,
) -> None:
    job = DoAsJob("sleep 1.5", deadline_s=30.0)
    overrun = send(puppet, job, "puppet", deadline_s=0.3)
    waiting = send(puppet, Do("answer"), "puppet", deadline_s=30.0)
    assert only_error(overrun).kind == "WorkerTimeout"

    # It has not gone to the child, where it would die with it.
    assert len(puppet.module("puppet").seat.mailbox) == 1
    os.kill(gateway(puppet, "puppet").pid, signal.SIGKILL)

    assert done(waiting).result() == 42
    assert puppet.module("puppet").generation == 2


def test_the_lane_opens_when_what_outlasted_its_sender_has_ended(
    puppet: System,
) -> None:
    job = DoAsJob("sleep 0.8", deadline_s=30.0)
    overrun = send(puppet, job, "puppet", deadline_s=0.2)
    handler = Do("sleep 0.6")

    assert only_error(overrun).kind == "WorkerTimeout"
    assert ask(puppet, Do("answer"), "puppet", deadline_s=30.0) == 42
    assert only_error(send(puppet, handler, "puppet", deadline_s=0.2)).kind == (
        "WorkerTimeout"
    )
    assert ask(puppet, Do("answer"), "puppet", deadline_s=30.0) == 42
    assert puppet.module("puppet").generation == 1


def is_stopped(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_process_stopped_by_a_signal_is_found_before_its_deadline(
    system: System,
) -> None:
    add(system, "puppet", deadline_s=20.0)
    system.start()
    pid = gateway(system, "puppet").pid
    os.kill(pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    # The stop reaches its threads one after another: none may answer any more.
    until(lambda: all(map(is_stopped, Path(f"/proc/{pid}/task").iterdir())))

    delivery = send(system, Do("answer"), "puppet", deadline_s=30.0)

    assert "a signal stopped it" in only_error(delivery).text
    until_works(system, "puppet", 2)
    assert time.monotonic() - stopped_s < 10.0


def test_a_class_that_cannot_be_imported_there_is_refused_at_once(
    system: System,
) -> None:
    class Local(Puppet):
        pass

    with pytest.raises(Exception, match="cannot be run in a process of its own"):
        add(system, "puppet", Local)


def test_a_slow_start_is_no_hang(system: System) -> None:
    add(system, "puppet", SlowToMake, deadline_s=0.3)

    assert system.start() == ()
    assert ask(system, Do("answer"), "puppet") == 42


def test_a_restart_that_is_asked_for_ends_the_process_in_order(
    puppet: System,
) -> None:
    pid = gateway(puppet, "puppet").pid

    puppet.restart("puppet")

    assert until_works(puppet, "puppet", 2).pid != pid
    assert not is_there(pid)


@pytest.mark.parametrize("deafness", ["ignore", "stubborn"])
def test_a_process_that_will_not_end_is_killed(system: System, deafness: str) -> None:
    add(system, "puppet")
    system.start()
    pid = gateway(system, "puppet").pid
    ask(system, Do("ignore"), "puppet")
    if deafness == "stubborn":
        ask(system, DoAtOnce("stubborn"), "puppet")
    started_s = time.monotonic()

    system.stop()

    assert time.monotonic() - started_s < 5.0
    assert not is_there(pid)


def test_a_hung_module_does_not_hold_up_the_end_of_hal(
    system: System, log_folder: Path
) -> None:
    add(system, "puppet", deadline_s=60.0)
    system.start()
    pid = gateway(system, "puppet").pid
    ask(system, Do("ignore"), "puppet")
    send(system, DoAsJob("hold", deadline_s=60.0), "puppet", deadline_s=60.0)
    until(lambda: list(log_folder.glob("output_*_puppet.1.txt")))

    started_s = time.monotonic()
    system.stop()

    assert time.monotonic() - started_s < 5.0
    until(lambda: not is_there(pid))


def test_pykkas_own_stop_ends_the_process(puppet: System) -> None:
    pid = gateway(puppet, "puppet").pid

    puppet.module("puppet").actor_ref.stop()

    until(lambda: not is_there(pid))


def test_a_stopped_module_stays_stopped(puppet: System) -> None:
    pid = gateway(puppet, "puppet").pid

    assert done(send(puppet, StopModule(), "puppet")).errors == ()

    assert not is_there(pid)
    assert only_error(send(puppet, Do("answer"), "puppet")).kind == "ModuleDead"
    assert puppet.module("puppet").generation == 1
