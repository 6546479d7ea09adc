"""R13: a second process dumps, makes safe and ends what the first one cannot."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from hal.base import ModuleState, SafeStateCall, SystemClock
from hal.kernel import Safeguards, System, sentinel_process
from hal.kernel.sentinel import Sentinel
from tests.kernel.bench import PATIENCE_S, until
from tests.kernel.guarded import Lamp, LampModule, guarded, ignores

SAFE = "tests.kernel.safe_states"
QUICK = {"told_after_s": 0.6, "kill_after_s": 1.5}
FOREVER_S = 600.0


def lamp(name: str, function: str, **arguments: object) -> tuple[str, str, object]:
    return name, f"{SAFE}:{function}", arguments


def test_what_never_gives_the_gil_back_is_ended_with_dump_report_and_safe_state(
    tmp_path: Path,
) -> None:
    done = tmp_path / "safe.txt"
    lamps = [lamp("lamp", "write_safe", path=str(done))]
    with guarded(
        tmp_path / "logs",
        hang="hang_in_c_with_gil",
        hang_s=FOREVER_S,
        lamps=lamps,
        safeguards=QUICK,
    ) as process:
        process.said("ready")
        process.order("hang job")
        process.said("hangs")
        began_s = time.monotonic()
        assert process.ended() == -signal.SIGKILL
        took_s = time.monotonic() - began_s
        process.reported("killed")

    assert 1.0 < took_s < 20.0
    report = process.report()
    assert [r["event"] for r in report] == ["no beat", "frozen", "safe state", "killed"]
    assert {r["pid"] for r in report} == {process.process.pid}
    assert report[2]["module"] == "lamp"
    assert report[2]["entry"] == f"{SAFE}:write_safe"
    assert report[2]["outcome"] == "applied"
    assert report[3]["why"].startswith("no beat for ")
    assert done.read_text() == "safe\n"
    dump = Path(report[1]["dump"]).read_text()
    stack = dump.split("Thread bad/1/worker (ident")[1].split("\nThread ")[0]
    assert "in hang_in_c_with_gil" in stack
    assert dump.count("Thread bad/1/worker (ident") == 1


def test_a_process_that_is_killed_leaves_its_devices_safe(tmp_path: Path) -> None:
    done = tmp_path / "safe.txt"
    lamps = [lamp("lamp", "write_safe", path=str(done), text="off")]
    with guarded(tmp_path / "logs", lamps=lamps) as process:
        sentinel = psutil.Process(process.said("ready"))
        # It listens to nobody but the pipe.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            until(lambda number=number: ignores(sentinel.pid, number))
            sentinel.send_signal(number)
        process.process.kill()
        process.reported("safe state")
        sentinel.wait(PATIENCE_S)

    assert [r["event"] for r in process.report()] == ["died", "safe state"]
    assert done.read_text() == "off"


def test_a_process_forked_off_does_not_hide_the_death(tmp_path: Path) -> None:
    with guarded(tmp_path) as process:
        process.said("ready")
        process.order("fork")
        forked = process.said("forked")
        try:
            process.process.kill()
            process.reported("died")
        finally:
            os.kill(forked, signal.SIGKILL)


def test_an_orderly_end_needs_no_sentinel(tmp_path: Path) -> None:
    done = tmp_path / "safe.txt"
    lamps = [lamp("lamp", "write_safe", path=str(done))]
    with guarded(tmp_path / "logs", lamps=lamps) as process:
        sentinel = process.said("ready")
        process.order("stop")
        assert process.said("problems") == []
        assert not psutil.pid_exists(sentinel)  # not even as a zombie
        process.order("")
        assert process.ended() == 0

    assert process.report() == []
    assert not done.exists()


def test_what_comes_back_in_time_is_left_alone(tmp_path: Path) -> None:
    done = tmp_path / "safe.txt"
    lamps = [lamp("lamp", "write_safe", path=str(done))]
    with guarded(
        tmp_path / "logs",
        hang="hang_in_c_with_gil",
        hang_s=1.5,
        lamps=lamps,
        safeguards={"told_after_s": 0.5, "kill_after_s": 60.0},
    ) as process:
        process.said("ready")
        process.order("hang job")
        assert process.said("others") == [{"good": 42}] * 20
        process.reported("came back")
        process.order("stop")
        process.said("problems")

    assert [r["event"] for r in process.report()] == ["no beat", "came back"]
    assert not done.exists()


def test_a_process_that_beats_is_left_alone(tmp_path: Path) -> None:
    with guarded(
        tmp_path, deadline_s=60.0, hang_s=3.0, is_patient=True, safeguards=QUICK
    ) as process:
        process.said("ready")
        process.order("hang job")
        assert process.said("outcome") == {"bad": "ended"}
        process.order("stop")
        process.said("problems")

    assert process.report() == []


def test_a_safe_state_that_fails_or_hangs_keeps_none_of_the_others(
    tmp_path: Path,
) -> None:
    done = tmp_path / "safe.txt"
    lamps = [
        lamp("hanging", "never_be_safe"),
        lamp("refusing", "refuse_to_be_safe"),
        ("missing", "no.such.module:function", {}),
        lamp("lamp", "write_safe", path=str(done)),
    ]
    with guarded(
        tmp_path / "logs", lamps=lamps, safeguards={"safe_state_s": 3.0}
    ) as process:
        sentinel = psutil.Process(process.said("ready"))
        process.process.kill()
        sentinel.wait(PATIENCE_S)

    outcomes = {
        r["module"]: r["outcome"]
        for r in process.report()
        if r["event"] == "safe state"
    }
    assert outcomes["hanging"] == "not ended in time"
    assert outcomes["refusing"] == "failed with 1: RuntimeError: no such port"
    assert "ModuleNotFoundError" in outcomes["missing"]
    assert outcomes["lamp"] == "applied"
    assert done.read_text() == "safe\n"


def test_what_failed_is_tried_again_once_the_process_is_gone(tmp_path: Path) -> None:
    lamps = [lamp("refusing", "refuse_to_be_safe")]
    with guarded(
        tmp_path,
        hang="hang_in_c_with_gil",
        hang_s=FOREVER_S,
        lamps=lamps,
        safeguards=QUICK,
    ) as process:
        sentinel = psutil.Process(process.said("ready"))
        process.order("hang job")
        assert process.ended() == -signal.SIGKILL
        sentinel.wait(PATIENCE_S)

    events = [r["event"] for r in process.report()]
    assert events == ["no beat", "frozen", "safe state", "killed", "safe state"]


def test_a_sentinel_that_dies_is_replaced_and_told_of_once(tmp_path: Path) -> None:
    with guarded(tmp_path, safeguards={"restart_after_s": 0.1}) as process:
        pid = process.said("ready")
        for _ in range(3):
            os.kill(pid, signal.SIGKILL)
            process.order(f"sentinel {pid}")
            pid = process.said("sentinel")
        process.order("log the sentinel has died and is started anew")
        entries = process.said("log")
        process.order("hang handler")
        assert process.said("others") == [{"good": 42}] * 20

    told = [e for e in entries if "sentinel" in e["event"]]
    assert [(e["level"], e["code"]) for e in told] == [("warning", "-9")]


@contextlib.contextmanager
def running(sentinel: Sentinel) -> Iterator[Sentinel]:
    sentinel.start()
    try:
        yield sentinel
    finally:
        sentinel.stop()


NEVER = Safeguards(
    told_after_s=FOREVER_S, kill_after_s=FOREVER_S, restart_after_s=FOREVER_S
)


class CountingClock(SystemClock):
    """Counts the turns of who waits by it."""

    waits = 0

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.waits += 1
        return super().wait(event, timeout_s)


def test_it_is_not_started_anew_too_often(tmp_path: Path) -> None:
    clock = CountingClock()
    with running(Sentinel(NEVER, tmp_path, clock, None)) as sentinel:
        os.kill(sentinel.pid, signal.SIGKILL)
        until(lambda: sentinel.pid is None)
        seen = clock.waits
        until(lambda: clock.waits > seen + 3)

        assert sentinel.pid is None


def test_one_that_does_not_listen_is_no_obstacle_to_the_end(tmp_path: Path) -> None:
    call = SafeStateCall(f"{SAFE}:write_safe", {"path": "x" * 1_000_000})
    sentinel = Sentinel(NEVER, tmp_path, SystemClock(), None, lambda: [call])
    with running(sentinel):
        pid = sentinel.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        until(lambda: sentinel._unsent)  # the pipe is full
        began_s = time.monotonic()

    assert time.monotonic() - began_s < 5.0
    assert not psutil.pid_exists(pid)


def test_what_the_pipe_has_no_room_for_comes_later(tmp_path: Path) -> None:
    call = SafeStateCall(f"{SAFE}:write_safe", {"path": "x" * 1_000_000})
    calls: list[SafeStateCall] = []
    clock = CountingClock()
    sentinel = Sentinel(NEVER, tmp_path, clock, None, lambda: list(calls))
    with running(sentinel):
        pid = sentinel.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        calls.append(call)
        until(lambda: sentinel._unsent)
        seen = clock.waits
        until(lambda: clock.waits > seen + 3)  # no turn waits for room
        os.kill(pid, signal.SIGCONT)
        until(lambda: not sentinel._unsent)
        calls.clear()
        until(lambda: not sentinel._told)

        # A line that was cut would have been its end.
        assert sentinel.pid == pid
    assert list(tmp_path.iterdir()) == []


def test_without_a_python_to_start_hal_runs_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    monkeypatch.setattr(sys, "_base_executable", str(tmp_path / "missing"))
    restless = Safeguards(restart_after_s=0.0)
    with running(Sentinel(restless, tmp_path, SystemClock(), None)) as sentinel:
        started_s = sentinel._started_s
        until(lambda: sentinel._started_s > started_s)

        assert sentinel.pid is None
    assert [entry["event"] for entry in logged] == ["no sentinel"]


class RareTurns(sentinel_process.Pipe):
    """Nothing is heard, and every turn comes a thousand seconds late; then `bye`."""

    now_s = 0.0
    left = 5

    def take(self, timeout_s: float) -> tuple[list[bytes], bool]:
        self.now_s += 1_000.0
        self.left -= 1
        return ([b"bye"] if self.left == 0 else []), False


def test_time_that_the_sentinel_slept_through_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = RareTurns()
    time_there = SimpleNamespace(monotonic=lambda: turns.now_s)
    monkeypatch.setattr(sentinel_process, "time", time_there)
    orders = {
        "pid": os.getpid(),
        "folder": str(tmp_path),
        "dump_signal": 0,
        "told_after_s": 5.0,
        "kill_after_s": FOREVER_S,
    }

    sentinel_process.Guard(orders, turns).run()

    assert list(tmp_path.iterdir()) == []


ASLEEP = """
import faulthandler, signal, sys, threading, time
def sleep_on():
    time.sleep(600)
faulthandler.register(signal.SIGUSR1, open(sys.argv[1], "w"))
thread = threading.Thread(target=sleep_on, daemon=True)
thread.start()
print(thread.native_id, flush=True)
sleep_on()
"""


class OneBeat(sentinel_process.Pipe):
    """One beat is heard, by which a dump is soon due, and then nothing."""

    def __init__(self, process: subprocess.Popen[str], beats_in: str) -> None:
        self.process = process
        self.beats = [f". 0.05 {beats_in} 15".encode()]

    def take(self, timeout_s: float) -> tuple[list[bytes], bool]:
        beats, self.beats = self.beats, []
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.0 if beats else timeout_s)
        return beats, self.process.returncode is not None


@pytest.mark.parametrize("dump_signal", [int(signal.SIGUSR1), 0])
def test_stacks_are_taken_before_the_end_at_the_latest_and_not_while_threads_may_run(
    tmp_path: Path, dump_signal: int
) -> None:
    """Not every silence is a hold: here, the thread that beats sleeps."""
    path = tmp_path / "heartbeat.txt"
    with subprocess.Popen(
        [sys.executable, "-c", ASLEEP, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        orders = {
            "pid": process.pid,
            "folder": str(tmp_path),
            "dump_file": str(path),
            "names_file": "",
            "dump_signal": dump_signal,
            "told_after_s": 0.3,
            "kill_after_s": 0.6,
            "python": sys.executable,
            "path": [],
            "safe_state_s": 1.0,
        }
        pipe = OneBeat(process, process.stdout.readline().strip())
        sentinel_process.Guard(orders, pipe).run()

    assert process.returncode == -signal.SIGKILL
    (report,) = tmp_path.glob("sentinel_*.ndjson")
    notes = [json.loads(line) for line in report.read_text().splitlines()]
    assert [note["event"] for note in notes] == ["no beat", "frozen", "killed"]
    assert notes[0]["dump"] == ""
    if dump_signal:
        assert "in sleep_on" in Path(notes[1]["dump"]).read_text()
    else:  # as on Windows
        assert notes[1]["dump"] == ""


def test_what_runs_in_the_sentinel_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(Path(sentinel_process.__file__).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }

    assert imported <= sys.stdlib_module_names


@pytest.fixture
def system() -> Iterator[System]:
    system = System()
    system.run_kernel()
    yield system
    system.stop()


def test_an_open_device_is_named_to_the_sentinel_and_a_closed_one_is_not(
    system: System,
) -> None:
    call = SafeStateCall(f"{SAFE}:write_safe", {"path": "x"})
    system.add(LampModule, "lamp", driver=Lamp(call))
    assert system.outside_safe_states() == []

    system.start()
    (told,) = system.outside_safe_states()
    assert (told.module, told.entry, told.arguments) == (
        "lamp",
        call.entry,
        {"path": "x"},
    )

    system.stop()
    assert system.outside_safe_states() == []


class StuckClock(SystemClock):
    """Keeps the sentinel's thread from its next turn."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if threading.current_thread().name == "hal/sentinel":
            timeout_s = PATIENCE_S
        return super().wait(event, timeout_s)


def test_it_knows_the_devices_when_the_start_is_over(tmp_path: Path) -> None:
    guards = Safeguards(heartbeat=False)
    system = System(clock=StuckClock(), log_folder=tmp_path, safeguards=guards)
    system.run_kernel()
    try:
        system.add(LampModule, "lamp", driver=Lamp(SafeStateCall("a:b")))
        system.start()
        assert system.sentinel is not None
        assert [call.module for call in system.sentinel._told] == ["lamp"]
    finally:
        system.stop()


def test_a_driver_that_cannot_say_how_it_is_made_safe_says_why(system: System) -> None:
    class Vague(Lamp):
        def outside_safe_state(self) -> SafeStateCall:
            return SafeStateCall("switch it off")

    system.add(LampModule, "lamp", driver=Vague(SafeStateCall("a:b")))

    (problem,) = system.start()

    assert "expected package.module:function, got 'switch it off'" in problem.text
    assert system.module("lamp").state is ModuleState.DEGRADED
    assert system.outside_safe_states() == []
