"""Endless work: loops that beat, stall, serve jobs, and end exactly once."""

from __future__ import annotations

import threading
from typing import Any

from hal.base import ErrorRecord, ModuleState
from hal.kernel import Loop, System
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
from tests.kernel.vocabulary import Act

Ends = list[tuple[Loop, ErrorRecord | None]]


def beating(loop: Loop) -> None:
    while not loop.wait(0.02):
        loop.beat()
        loop.serve_jobs()


def start(
    system: System,
    probe: Probe,
    fn: Any,
    *,
    stall_s: float = HANG_S,
    serves_jobs: bool = False,
) -> tuple[Loop, Ends]:
    """Start `fn` as a loop of `probe` and return it, and how it will have ended."""
    ends: Ends = []
    loops: list[Loop] = []
    probe.acts["loop"] = lambda: loops.append(
        probe.run_loop(
            fn,
            stall_s=stall_s,
            what="loop",
            on_end=lambda loop, error: ends.append((loop, error)),
            serves_jobs=serves_jobs,
        )
    )
    assert done(system.send(Act("loop"), to=probe.name)).errors == ()
    return loops[0], ends


def test_a_loop_that_beats_runs_as_long_as_it_likes_with_the_lane_open(
    system: System,
) -> None:
    probe = add(system, "probe")
    loop, ends = start(system, probe, beating)
    until(lambda: system.clock.monotonic_s() > loop.started_s)
    begun_s = system.clock.monotonic_s()

    until(lambda: system.clock.monotonic_s() > begun_s + 3 * HANG_S)
    assert answers(system, "probe")
    assert probe.loops == (loop,)
    assert ends == []
    loop.stop()

    until(lambda: ends == [(loop, None)])
    assert probe.loops == ()


def test_a_loop_that_raises_tells_its_module_why(system: System) -> None:
    probe = add(system, "probe")

    def fail(loop: Loop) -> None:
        raise SystemExit("camera unplugged")

    loop, ends = start(system, probe, fail)

    until(lambda: ends)
    ((ended, error),) = ends
    assert ended is loop
    assert error is not None
    assert "camera unplugged" in error.text
    assert error.source == "probe"
    assert answers(system, "probe")


def test_a_loop_without_on_end_that_fails_is_logged(
    system: System, logged: list[Any]
) -> None:
    probe = add(system, "probe")

    def fail(loop: Loop) -> None:
        raise ValueError("boom")

    probe.acts["loop"] = lambda: probe.run_loop(fail, stall_s=5.0, what="loop") and None
    done(system.send(Act("loop")))

    until(lambda: [e for e in logged if e["event"] == "loop failed"])


def test_a_stalled_loop_is_dumped_and_ends_once_its_late_end_is_only_noted(
    system: System, gate: threading.Event, records: Records
) -> None:
    probe = add(system, "probe")
    system.start()
    loop, ends = start(system, probe, lambda loop: wait_for(gate))

    until(lambda: ends)
    error = ends[0][1]
    assert error is not None
    assert error.kind == "WorkerTimeout"
    assert "loop 'loop' of probe has not beaten for" in error.text
    assert "probe/1/loop" in error.dump
    assert "test_loops.py" in error.dump
    assert loop.stopping.is_set()
    again = successor(system, probe)
    until(lambda: of_kind(records, "restarted", module="probe"))
    (hung,) = of_kind(records, "state", module="probe", state="hung")
    assert hung["reason"] == error.text
    assert answers(system, "probe")
    assert system.left_behind() == ("probe",)

    gate.set()

    until(lambda: of_kind(records, "late result", module="probe", what="loop"))
    until(lambda: system.left_behind() == ())
    assert len(ends) == 1
    assert (again.state, again.loops) == (ModuleState.STARTED, ())


def test_on_end_that_raises_harms_nobody(system: System, logged: list[Any]) -> None:
    probe = add(system, "probe")
    probe.acts["loop"] = lambda: (
        probe.run_loop(
            lambda loop: None, stall_s=5.0, what="loop", on_end=lambda *_: 1 / 0
        )
        and None
    )
    done(system.send(Act("loop")))

    until(lambda: [e for e in logged if e.get("what") == "taking a message"])
    assert answers(system, "probe")
    assert probe.loops == ()


def test_jobs_run_on_the_thread_of_the_loop_that_serves_them(
    system: System,
) -> None:
    probe = add(system, "probe")
    names: list[str] = []
    probe.acts["job"] = lambda: probe.run_job(
        lambda: names.append(threading.current_thread().name)
    )
    # The first job starts the worker's thread, as opening a device does.
    done(system.send(Act("job")))
    loop, ends = start(system, probe, beating, serves_jobs=True)

    for _ in range(5):
        assert done(system.send(Act("job"))).errors == ()
    loop.stop()
    until(lambda: ends)
    assert done(system.send(Act("job"))).errors == ()

    # The loop has the worker for a while: a driver never sees two threads.
    assert names == ["probe/1/worker"] * 7


def test_a_job_that_waits_while_the_loop_ends_runs_on_the_worker_afterwards(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe")
    happened: list[str] = []

    def grab(loop: Loop) -> None:
        loop.stopping.wait(60.0)
        wait_for(gate)
        loop.serve_jobs()
        happened.append("loop ended")

    loop, ends = start(system, probe, grab, stall_s=60.0, serves_jobs=True)
    probe.acts["job"] = lambda: probe.run_job(
        lambda: happened.append(threading.current_thread().name)
    )
    loop.stop()
    job = system.send(Act("job"))
    until(lambda: probe.busy_with.startswith("in job"))

    gate.set()

    assert done(job).errors == ()
    assert happened == ["loop ended", "probe/1/worker"]
    assert len(ends) == 1


def test_a_job_given_up_before_the_loop_served_it_is_never_run(
    system: System, gate: threading.Event, records: Records
) -> None:
    probe = add(system, "probe")
    ran: list[int] = []

    def grab(loop: Loop) -> None:
        wait_for(gate)
        loop.serve_jobs()
        beating(loop)

    start(system, probe, grab, stall_s=60.0, serves_jobs=True)
    probe.acts["job"] = lambda: probe.run_job(lambda: ran.append(1), deadline_s=HANG_S)
    assert only_error(system.send(Act("job"))).kind == "WorkerTimeout"
    until(lambda: probe.is_given_up)

    gate.set()

    until(lambda: of_kind(records, "late result", module="probe", what="loop"))
    until(lambda: system.left_behind() == ())
    assert answers(system, "probe")
    assert ran == []


def test_a_job_that_waits_for_a_loop_that_stalls_is_never_run_and_told_why(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe")
    system.start()
    ran: list[int] = []
    _, ends = start(system, probe, lambda loop: wait_for(gate), serves_jobs=True)
    probe.acts["job"] = lambda: probe.run_job(lambda: ran.append(1), deadline_s=60.0)

    error = only_error(system.send(Act("job")))

    assert error.kind == "ModuleDead"
    assert error.text.startswith(
        "probe was given up: loop 'loop' of probe has not beaten for"
    )
    again = successor(system, probe)
    again.acts["job"] = lambda: again.run_job(lambda: 1)
    assert done(system.send(Act("job"))).result() == 1
    gate.set()
    until(lambda: system.left_behind() == ())
    assert done(system.send(Act("job"))).result() == 1
    assert len(ends) == 1
    assert ran == []


def test_a_job_queued_behind_the_order_to_end_never_runs_on_the_loop(
    system: System,
) -> None:
    probe = add(system, "probe")
    polls = threading.Event()
    threads: list[str] = []
    probe.acts["note"] = lambda: probe.run_job(
        lambda: threads.append(threading.current_thread().name)
    )

    def serving_to_the_end(loop: Loop) -> None:
        while not polls.wait(0.0005):  # deaf to `stopping`, as between two frames
            loop.beat()
            loop.serve_jobs()

    loop, ends = start(system, probe, serving_to_the_end, serves_jobs=True)
    loop.stop()
    noted = system.send(Act("note"), to="probe")
    assert not noted.wait(0.1)
    polls.set()
    assert done(noted).errors == ()
    until(lambda: len(ends) == 1)

    assert threads == ["probe/1/worker"]
