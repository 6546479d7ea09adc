"""R13, R14: code that holds the GIL is dumped too, and told from a pause."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from hal.base import SystemClock
from hal.kernel.heartbeat import Heartbeat, was_on_time
from hal.kernel.sentinel_process import name_threads
from tests.kernel.bench import until
from tests.kernel.guarded import HANGS, guarded
from tests.system.disks import mounted

HOLDERS = ("hang_in_c_with_gil", "hang_in_regex")
ALONE = {"sentinel": False}


def stack_of(dump: str, thread: str) -> str:
    """Return the stack of one thread, from either kind of dump."""
    assert f"Thread {thread} (ident" in dump, dump
    return re.split(r"\n\n?(?=Thread )", dump.split(f"Thread {thread} (ident")[1])[0]


def names_line(stack: str, function: str) -> bool:
    pattern = rf'File "[^"]*bench/hangs\.py", line \d+,? in {function}$'
    return re.search(pattern, stack, re.M) is not None


@pytest.mark.parametrize("hang", HANGS)
def test_every_way_to_hang_is_dumped_with_function_line_and_thread(
    tmp_path: Path, hang: str
) -> None:
    with guarded(tmp_path, hang=hang, safeguards=ALONE) as process:
        process.said("ready")
        process.order("hang job")
        assert process.said("others") == [{"good": 42}] * 20
        ((text, dump, data),) = process.said("outcome")

    assert "job 'act' of bad has been going on for" in text
    assert names_line(stack_of(dump, "bad/1/worker"), hang)
    assert dump in Path(data["dump_file"]).read_text()
    assert data["dump_file"] in text
    assert dump.startswith("Timeout (") == (hang in HOLDERS)


@pytest.mark.parametrize("hang", HOLDERS)
def test_a_handler_that_holds_the_gil_is_given_up_with_what_it_did(
    tmp_path: Path, hang: str
) -> None:
    with guarded(tmp_path, hang=hang, safeguards=ALONE) as process:
        process.said("ready")
        process.order("hang handler")
        assert process.said("others") == [{"good": 42}] * 20
        ((_, dump, data),) = process.said("outcome")

    assert names_line(stack_of(dump, "bad/1"), hang)
    assert data["activity"] == "handler"


@pytest.mark.parametrize(
    ("first_s", "deadline_s"),
    [
        (0.0, 0.5),  # nothing has been looked at since it began
        (0.6, 1.2),  # some ticks have passed
    ],
)
def test_the_dump_comes_just_after_the_earliest_deadline(
    tmp_path: Path, first_s: float, deadline_s: float
) -> None:
    with guarded(
        tmp_path,
        hang="hang_in_c_with_gil",
        deadline_s=deadline_s,
        first_s=first_s,
        safeguards={**ALONE, "standstill_s": 60.0},
    ) as process:
        process.said("ready")
        process.order("hang job")
        ((_, dump, _),) = process.said("outcome")

    armed = re.match(r"Timeout \(0:00:(\d\d\.\d+)\)!", dump)
    assert armed is not None, dump
    # What was left of the deadline when the interpreter was last to be had.
    assert 0.04 < float(armed[1]) < deadline_s - first_s + 0.15


def test_a_hold_that_made_nobody_late_is_reported_and_harms_nobody(
    tmp_path: Path,
) -> None:
    with guarded(
        tmp_path,
        hang="hang_in_c_with_gil",
        hang_s=1.7,
        is_patient=True,
        deadline_s=60.0,
        safeguards=ALONE,
    ) as process:
        process.said("ready")
        process.order("hang job")
        assert process.said("others") == [{"good": 42}] * 20
        assert process.said("outcome") == {"bad": "ended"}
        process.order("log the process stood still")
        entries = process.said("log")
        process.order("trace standstill")
        (record,) = process.said("trace")

    (entry,) = [e for e in entries if e["event"] == "the process stood still"]
    assert entry["level"] == "warning"
    assert 1.0 < float(entry["stood_s"]) < 20.0
    assert record["dump"] in entry["dump"]
    assert str(record["stood_s"]) == entry["stood_s"]
    dump = Path(record["dump"])
    assert names_line(stack_of(dump.read_text(), "bad/1/worker"), "hang_in_c_with_gil")
    assert dump.stat().st_mtime < entry_time(process.folder, record) - 0.3


def entry_time(folder: Path, record: dict[str, Any]) -> float:
    """Return the wall time of a trace record."""
    (path,) = folder.glob("trace_*.jsonl")
    header = json.loads(path.read_text().splitlines()[0])
    return float(header["wall_s"] + record["t_s"] - header["mono_s"])


def test_a_process_that_was_stopped_is_not_taken_for_hung(tmp_path: Path) -> None:
    safeguards = {"dump_after_s": 0.5, "kill_after_s": 1.0}
    with guarded(tmp_path, deadline_s=1.5, safeguards=safeguards) as process:
        process.said("ready")
        pid = process.process.pid
        process.order("hang read")
        process.said("reads")
        os.kill(pid, signal.SIGSTOP)
        until(lambda: state_of(pid) == "T")
        stopped_s = time.monotonic()
        until(lambda: time.monotonic() - stopped_s > 3.0)  # the pause itself
        process.order("go on")
        os.kill(pid, signal.SIGCONT)
        assert process.said("outcome") == {"bad": "go on\n"}
        process.order("stop")
        assert process.said("problems") == []
        process.order("")
        assert process.ended() == 0

    assert process.report() == []
    assert list(tmp_path.glob("dump_*")) == []


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_nothing_is_left_in_the_folder_but_what_is_news(tmp_path: Path) -> None:
    with guarded(tmp_path, safeguards=ALONE) as process:
        process.said("ready")
        kept = {path.name.split("_")[0] for path in tmp_path.iterdir()}
        process.order("stop")
        process.order("")
        assert process.ended() == 0

    assert kept == {"trace", "heartbeat"}
    assert {path.name.split("_")[0] for path in tmp_path.iterdir()} == {"trace"}


@pytest.mark.parametrize("hang", ["hang_in_sleep", "hang_in_c_with_gil"])
def test_without_a_stderr_or_a_log_folder_the_error_has_the_stacks(
    tmp_path: Path, hang: str
) -> None:
    folder = tmp_path / "logs"
    with guarded(folder, hang=hang, safeguards=ALONE) as process:
        process.said("ready")
        process.order("stderr")
        process.order(f"remove {folder}")
        until(lambda: not folder.exists())
        folder.write_text("a file where the folder was")
        process.order("hang job")
        ((text, dump, data),) = process.said("outcome")

    assert names_line(stack_of(dump, "bad/1/worker"), hang)
    assert data["dump_file"] == ""
    assert f"no dump file in {folder}: " in text


@pytest.mark.parametrize("hang", ["hang_in_sleep", "hang_in_c_with_gil"])
def test_on_a_full_disk_the_error_has_the_stacks(tmp_path: Path, hang: str) -> None:
    with (
        mounted(tmp_path, "size=1m") as disk,
        guarded(tmp_path, before=disk.enter, hang=hang, safeguards=ALONE) as process,
    ):
        process.said("ready")
        fill_up(disk.outside / "filler")
        process.order("hang job")
        ((text, dump, data),) = process.said("outcome")

    assert names_line(stack_of(dump, "bad/1/worker"), hang)
    assert data["dump_file"] == ""
    assert "No space left on device" in text


def fill_up(path: Path) -> None:
    """Leave no room on the disk of `path`."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_stacks_can_be_asked_for_from_outside(tmp_path: Path) -> None:
    with guarded(tmp_path, safeguards=ALONE) as process:
        process.said("ready")
        os.kill(process.process.pid, signal.SIGUSR1)
        process.order("log stacks written")
        entries = process.said("log")

    (path,) = tmp_path.glob("dump_*.txt")
    assert "Thread bad/1/worker (ident" in path.read_text()
    assert [str(path) in e["dump"] for e in entries if e["level"] == "info"] == [True]


def test_a_process_has_one_heartbeat(tmp_path: Path, logged: list[Any]) -> None:
    first = Heartbeat(tmp_path, "first", SystemClock(), 60.0)
    second = Heartbeat(tmp_path, "second", SystemClock(), 60.0)
    try:
        assert first.enable()
        assert not second.enable()
    finally:
        second.disable()
        first.disable()

    assert [entry["event"] for entry in logged] == ["no heartbeat"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_costs_the_heartbeat_only(
    tmp_path: Path, logged: list[Any]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    heartbeat = Heartbeat(blocked, "main", SystemClock(), 60.0)

    assert not heartbeat.enable()
    assert heartbeat.look(lambda: 0.0) is None
    heartbeat.hasten(0.0)
    heartbeat.disable()

    assert [entry["event"] for entry in logged] == ["no heartbeat"]


def test_what_killed_processes_left_is_bounded(tmp_path: Path) -> None:
    for number in range(60):
        path = tmp_path / f"heartbeat_{number:02d}_main.txt"
        path.write_text("")
        os.utime(path, (number, number))
    heartbeat = Heartbeat(tmp_path, "new", SystemClock(), 60.0)
    heartbeat.enable()
    heartbeat.disable()

    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [f"heartbeat_{n:02d}_main.txt" for n in range(20, 60)]


@pytest.mark.parametrize(
    ("due_s", "written_s", "now_s", "on_time"),
    [
        (10.0, 10.01, 10.6, True),  # held for another 0.6 s
        (10.0, 13.0, 13.0, False),  # paused, written on waking up
        (10.0, 12.99, 13.0, False),
        (10.0, 9.0, 9.01, True),  # asked for by signal
        (10.0, 10.2, 15.0, True),  # a busy machine
    ],
)
def test_a_dump_at_the_end_of_a_pause_is_told_from_one_on_time(
    due_s: float, written_s: float, now_s: float, on_time: bool
) -> None:
    assert was_on_time(due_s, written_s, now_s) is on_time


def test_names_of_threads_are_put_in_whatever_python_wrote() -> None:
    python_3_11 = 'Thread 0x0000ff (most recent call first):\n  File "x", line 1 in f\n'
    python_3_14 = "Current thread 0x00ff [bad] (most recent call first):\n"
    unknown = "Thread 0x01 (most recent call first):\n"

    named = name_threads(python_3_11 + python_3_14 + unknown, {255: "bad/1"})

    assert named.startswith("Thread bad/1 (ident 255, most recent call first):\n  File")
    assert named.count("Thread bad/1 (ident 255, most recent call first):\n") == 2
    assert "Thread (not known by name) (ident 1, most recent" in named
