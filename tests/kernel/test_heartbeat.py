"""R13, R14: code that holds the GIL is dumped too, and told from a pause."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from hal.base import ErrorRecord, SystemClock
from hal.kernel import System
from hal.kernel.heartbeat import Heartbeat, Standstill
from hal.kernel.sentinel_process import name_threads
from hal.kernel.watchdog import Watchdog
from tests.kernel.bench import until
from tests.kernel.guarded import HANGS, guarded
from tests.system.disks import mounted

HOLDERS = ("hang_in_c_with_gil", "hang_in_regex")
FROM_C = "most recent call first"


def hold_s(hang: str) -> float:
    """Return how long to hang; computing takes longer on a busy machine."""
    return 1.0 if hang == "hang_in_regex" else 2.0


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
    with guarded(tmp_path, hang=hang, hang_s=hold_s(hang)) as process:
        process.said("ready")
        process.order("hang job")
        assert process.said("others") == [{"good": 42}] * 20
        ((text, dump, data),) = process.said("outcome")

    assert "job 'act' of bad has been going on for" in text
    assert names_line(stack_of(dump, "bad/1/worker"), hang)
    assert dump in Path(data["dump_file"]).read_text()
    assert data["dump_file"] in text
    assert (FROM_C in dump) == (hang in HOLDERS)


@pytest.mark.parametrize("hang", HOLDERS)
def test_a_handler_that_holds_the_gil_is_given_up_with_what_it_did(
    tmp_path: Path, hang: str
) -> None:
    with guarded(tmp_path, hang=hang, hang_s=hold_s(hang)) as process:
        process.said("ready")
        process.order("hang handler")
        assert process.said("others") == [{"good": 42}] * 20
        ((_, dump, data),) = process.said("outcome")

    assert names_line(stack_of(dump, "bad/1"), hang)
    assert data["activity"] == "handler"


@pytest.mark.parametrize(
    ("first_s", "deadline_s"),
    [
        (0.0, 0.5),  # no beat was sent since it began
        (0.6, 1.2),  # some were
    ],
)
def test_the_dump_comes_just_after_the_earliest_deadline(
    tmp_path: Path, first_s: float, deadline_s: float
) -> None:
    with guarded(
        tmp_path,
        hang="hang_in_c_with_gil",
        hang_s=3.0,
        deadline_s=deadline_s,
        first_s=first_s,
        safeguards={"standstill_s": 60.0},
    ) as process:
        process.said("ready")
        process.order("hang job")
        began_s = process.said("hangs")
        ((_, dump, data),) = process.said("outcome")

    assert names_line(stack_of(dump, "bad/1/worker"), "hang_in_c_with_gil")
    taken_s = Path(data["dump_file"]).stat().st_mtime - began_s
    assert deadline_s / 2 < taken_s < first_s + 2.5


def test_a_hold_that_made_nobody_late_is_reported_and_harms_nobody(
    tmp_path: Path,
) -> None:
    with guarded(
        tmp_path,
        hang="hang_in_c_with_gil",
        hang_s=2.5,
        is_patient=True,
        deadline_s=60.0,
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
    safeguards = {"told_after_s": 0.5, "kill_after_s": 1.0}
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


def test_short_pauses_are_not_taken_for_a_hold_of_the_interpreter(
    tmp_path: Path,
) -> None:
    """Stacks that C writes while threads run can crash the process."""
    moments = random.Random(1)
    with guarded(tmp_path, safeguards={"standstill_s": 0.1}) as process:
        process.said("ready")
        pid = process.process.pid
        for _ in range(20):
            os.kill(pid, signal.SIGSTOP)
            wait_about(moments.uniform(0.05, 0.4))
            os.kill(pid, signal.SIGCONT)
            wait_about(moments.uniform(0.0, 0.1))
        process.order("hang handler")
        assert process.said("others") == [{"good": 42}] * 20
        (heartbeat,) = tmp_path.glob("heartbeat_*_main.txt")
        not_taken = heartbeat.read_text().strip()
        process.order("stop")
        assert process.said("problems") == []

    assert not_taken == ""
    assert not [p for p in tmp_path.glob("dump_*") if FROM_C in p.read_text()]


def wait_about(duration_s: float) -> None:
    """Wait so long: the pause itself, or the time between two."""
    end_s = time.monotonic() + duration_s
    until(lambda: time.monotonic() > end_s)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_nothing_is_left_in_the_folder_but_what_is_news(tmp_path: Path) -> None:
    with guarded(tmp_path) as process:
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
    with guarded(folder, hang=hang, hang_s=2.0) as process:
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
        guarded(tmp_path, before=disk.enter, hang=hang, hang_s=2.0) as process,
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
    with guarded(tmp_path) as process:
        process.said("ready")
        os.kill(process.process.pid, signal.SIGUSR1)
        process.order("log stacks written")
        entries = process.said("log")

    (path,) = tmp_path.glob("dump_*.txt")
    assert "Thread bad/1/worker (ident" in path.read_text()
    assert [str(path) in e["dump"] for e in entries if e["level"] == "info"] == [True]


class ShortHold(Heartbeat):
    """Finds stacks that were written a moment ago."""

    def look(self) -> Standstill:
        return Standstill("the stacks", time.time(), 0.15)


class LateAtOnce:
    """Something that was due long ago."""

    module, kind, what, delivery_id = "bad", "job", "act", None
    started_s, deadline_at_s = 0.0, 0.1
    error: ErrorRecord | None = None

    def expire(self, error: ErrorRecord) -> None:
        self.error = error


def test_what_is_late_after_a_short_hold_has_the_stacks_of_the_hold(
    tmp_path: Path,
) -> None:
    system = System(log_folder=tmp_path)
    hold = ShortHold(tmp_path, "main", SystemClock())
    watchdog = Watchdog(
        system.broker, system.trace, SystemClock(), tmp_path, heartbeat=hold
    )
    late = LateAtOnce()
    watchdog.watch(late)

    watchdog.scan()

    assert late.error is not None
    assert late.error.dump == "the stacks"


def test_a_process_has_one_heartbeat(tmp_path: Path, logged: list[Any]) -> None:
    first = Heartbeat(tmp_path, "first", SystemClock())
    second = Heartbeat(tmp_path, "second", SystemClock())
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
    heartbeat = Heartbeat(blocked, "main", SystemClock())

    assert not heartbeat.enable()
    assert heartbeat.look() is None
    heartbeat.disable()

    assert [entry["event"] for entry in logged] == ["no heartbeat"]


def test_what_killed_processes_left_is_bounded(tmp_path: Path) -> None:
    for number in range(60):
        path = tmp_path / f"heartbeat_{number:02d}_main.txt"
        path.write_text("")
        os.utime(path, (number, number))
    heartbeat = Heartbeat(tmp_path, "new", SystemClock())
    heartbeat.enable()
    heartbeat.disable()

    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [f"heartbeat_{n:02d}_main.txt" for n in range(20, 60)]


def test_names_of_threads_are_put_in_whatever_python_wrote() -> None:
    python_3_11 = 'Thread 0x0000ff (most recent call first):\n  File "x", line 1 in f\n'
    python_3_14 = "Current thread 0x00ff [bad] (most recent call first):\n"
    unknown = "Thread 0x01 (most recent call first):\n"

    named = name_threads(python_3_11 + python_3_14 + unknown, {255: "bad/1"})

    assert named.startswith("Thread bad/1 (ident 255, most recent call first):\n  File")
    assert named.count("Thread bad/1 (ident 255, most recent call first):\n") == 2
    assert "Thread (not known by name) (ident 1, most recent" in named
