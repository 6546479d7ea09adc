"""R13, R14, R111, R112: what hangs is found, dumped, given up; HAL carries on."""

from __future__ import annotations

import inspect
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hal.base import ErrorRecord, ModuleState
from hal.kernel import Broker, System, Trace, Watchdog
from hal.testing import FakeClock
from tests.kernel.bench import (
    HANG_S,
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


class Sleeper:
    """An activity that never ends by itself."""

    module, kind, what, delivery_id = "bad", "job", "sleep", None

    def __init__(self, deadline_at_s: float, started_s: float = 0.0) -> None:
        self.started_s = started_s
        self.deadline_at_s = deadline_at_s
        self.errors: list[ErrorRecord] = []

    def expire(self, error: ErrorRecord) -> None:
        self.errors.append(error)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(monotonic_s=100.0)


def watchdog_of(clock: FakeClock, folder: Path | None = None) -> Watchdog:
    """Return a watchdog whose scans the test makes itself."""
    return Watchdog(Broker(clock=clock), Trace(clock), clock, folder)


@pytest.mark.parametrize("where", ["handler", "job"])
def test_the_error_and_the_file_show_the_line_that_hangs(
    system: System,
    gate: threading.Event,
    log_folder: Path,
    records: Records,
    where: str,
) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)

    def hang_here() -> None:
        wait_for(gate)

    acts = {"handler": hang_here, "job": lambda: bad.run_job(hang_here)}
    bad.acts["hang"] = acts[where]
    line = inspect.getsourcelines(hang_here)[1] + 1

    error = only_error(system.send(Act("hang")))

    thread = {"handler": "Thread bad/1 ", "job": "Thread bad/1/worker "}[where]
    assert f"{where} 'act' of bad has been going on for" in error.text
    part = error.dump.split(thread)[1].split("\nThread ")[0]
    assert f'File "{__file__}", line {line}, in hang_here' in part
    (path,) = log_folder.glob("dump_*.txt")
    assert str(path) in error.text
    assert error.data["dump_file"] == str(path)
    assert path.read_text(encoding="utf-8") == f"Hung: bad\n\n{error.dump}"
    until(lambda: of_kind(records, "late", module="bad", activity=where))


@pytest.mark.parametrize("where", ["handler", "job"])
def test_it_is_found_soon_after_its_deadline(
    system: System, gate: threading.Event, where: str
) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)
    bad.acts["handler"] = lambda: wait_for(gate)
    bad.acts["job"] = lambda: bad.run_job(lambda: wait_for(gate))
    started_s = time.monotonic()

    done(system.send(Act(where)))

    took_s = time.monotonic() - started_s
    assert HANG_S <= took_s < HANG_S + 1.0


def test_a_loop_in_python_is_found_too(system: System, gate: threading.Event) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)

    def spin() -> None:
        while not gate.is_set():
            pass

    bad.acts["spin"] = spin

    error = only_error(system.send(Act("spin"), deadline_s=30.0))
    gate.set()

    assert "in spin" in error.dump


def test_others_answer_quickly_while_one_hangs(
    system: System, gate: threading.Event
) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)
    add(system, "good")
    bad.acts["hang"] = lambda: wait_for(gate)
    only_error(system.send(Act("hang"), to="bad"))

    times = []
    for _ in range(11):
        started_s = time.monotonic()
        assert answers(system, "good")
        times.append(time.monotonic() - started_s)

    assert sorted(times)[5] < 0.05


def test_state_and_reason_tell_of_the_hang_and_its_end(
    system: System, gate: threading.Event, records: Records
) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)
    bad.acts["hang"] = lambda: wait_for(gate)
    system.start()
    error = only_error(system.send(Act("hang")))

    again = successor(system, bad)
    until(lambda: of_kind(records, "restarted", module="bad"))
    told = of_kind(records, "state", module="bad")
    states = [(record["was"], record["state"]) for record in told]
    assert states[2:4] == [("started", "hung"), ("hung", "restarting")]
    assert states[-1][1] == "started"
    assert told[2]["reason"] == told[3]["reason"] == error.text
    assert error.text.startswith("handler 'act' of bad has been going on for")
    assert (again.state, again.reason) == (ModuleState.STARTED, "")
    # The call itself has not ended, and HAL knows.
    assert bad.busy_with == "in handler of 'act'"
    assert again.busy_with == ""
    assert system.left_behind() == ("bad",)

    gate.set()
    until(lambda: system.left_behind() == ())
    assert bad.busy_with == ""


def test_a_flood_of_hangs_writes_few_files_and_every_error_has_its_stacks(
    clock: FakeClock, tmp_path: Path
) -> None:
    watchdog = watchdog_of(clock, tmp_path)
    errors = []

    for number in range(30):
        # Every other one hung already when the last file was written.
        began_s = clock.monotonic_s() if number % 2 else 0.0
        late = Sleeper(deadline_at_s=clock.monotonic_s(), started_s=began_s)
        watchdog.watch(late)
        clock.advance(0.05)
        watchdog.scan()
        errors += late.errors

    files = sorted(str(path) for path in tmp_path.glob("dump_*.txt"))
    assert len(files) == 10
    assert [error.data["dump_file"] for error in errors[:10]] == files
    assert {error.data["dump_file"] for error in errors[10::2]} == {files[-1]}
    assert {error.data["dump_file"] for error in errors[11::2]} == {""}
    assert errors[-1].text.endswith("more than 10 dumps in a minute, 20 left out")
    assert files[-1] in errors[-2].text
    assert all("MainThread" in error.dump for error in errors)


def test_a_folder_that_takes_no_file_costs_the_file_only(
    clock: FakeClock, tmp_path: Path, logged: list[Any]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    watchdog, late = watchdog_of(clock, blocked), Sleeper(deadline_at_s=100.0)
    watchdog.watch(late)
    clock.advance(0.05)

    watchdog.scan()

    assert late.errors[0].data["dump_file"] == ""
    assert f"no dump file in {blocked}: " in late.errors[0].text
    assert "MainThread" in late.errors[0].dump
    assert [entry["event"] for entry in logged] == ["thread dump not written"]


def test_a_paused_machine_is_no_hang(clock: FakeClock) -> None:
    watchdog, job = watchdog_of(clock), Sleeper(deadline_at_s=101.0)
    watchdog.watch(job)
    clock.advance(0.05)
    watchdog.scan()

    clock.advance(3_600.0)
    watchdog.scan()
    assert job.errors == []

    clock.advance(0.05)
    watchdog.scan()
    assert len(job.errors) == 1  # it did not use its second chance


def test_a_machine_always_slow_does_not_put_the_watchdog_to_sleep(
    clock: FakeClock,
) -> None:
    watchdog, job = watchdog_of(clock), Sleeper(deadline_at_s=101.0)
    watchdog.watch(job)

    for _ in range(2):
        clock.advance(5.0)
        watchdog.scan()

    assert len(job.errors) == 1


def test_what_ended_in_time_is_not_given_up(clock: FakeClock) -> None:
    watchdog, job = watchdog_of(clock), Sleeper(deadline_at_s=100.5)
    watchdog.watch(job)
    watchdog.unwatch(job)
    watchdog.unwatch(job)

    clock.advance(1.0)
    watchdog.scan()

    assert job.errors == []


def test_a_scan_that_fails_is_logged_and_the_next_one_works(
    system: System, gate: threading.Event, logged: list[Any]
) -> None:
    bad = add(system, "bad", deadline_s=HANG_S)

    class Evil(Sleeper):
        def expire(self, error: ErrorRecord) -> None:
            raise RuntimeError("expire")

    system.watchdog.watch(Evil(deadline_at_s=0.0))
    until(lambda: [e for e in logged if e["event"] == "watchdog scan failed"])

    bad.acts["hang"] = lambda: wait_for(gate)
    assert only_error(system.send(Act("hang"))).kind == "WorkerTimeout"


def test_every_way_to_hang_ends_with_one_outcome_and_one_dump_each(
    system: System, gate: threading.Event, log_folder: Path
) -> None:
    sent = []
    for number in range(5):
        bad = add(system, f"bad{number}", deadline_s=HANG_S)
        bad.acts["hang"] = lambda: wait_for(gate)
        sent.append(system.send(Act("hang"), to=f"bad{number}"))

    for number, delivery in enumerate(sent):
        error = only_error(delivery)
        assert error.source == f"bad{number}"
        assert f"Thread bad{number}/1 " in error.dump
