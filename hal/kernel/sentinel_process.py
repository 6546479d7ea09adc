"""What runs in the sentinel: a small process that is there when HAL's own is not.

Run as a script by `hal.kernel.sentinel`, with nothing of HAL imported, so that it is up
in some hundredths of a second and nothing of HAL can stop it. It reads lines: `.` is a
beat, with the seconds for which silence is harmless, the thread that beats, and how
often that wakes up, waiting for the interpreter, until it is sure that nothing of
Python runs; a JSON list has the processes of modules, with the seconds each may live on
without HAL, and the present safe states; `bye` is an orderly end. The end of the pipe
without one is a death.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import Any, Final

_TURN_S: Final = 0.1
_FINEST_S: Final = 0.01
_UNPROVEN_S: Final = 0.5
"""Silence before a dump where nothing but silence tells: elsewhere than on Linux."""
_DUMPING_S: Final = 0.3
_DYING_S: Final = 5.0
_OUTPUT: Final = 2_000
_LONGER_S: Final = 0.3
"""What a process of modules gets beyond its time, for the last steps of its end."""

_RUNS, _PAUSED, _GONE = "runs", "paused", "gone"
UNKNOWN_THREAD: Final = "(not known by name)"
# As `faulthandler` begins each stack; from Python 3.14 on with a name of its own.
_HEADING = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-fA-F]+)[^(\n]*\(", re.M)

Call = dict[str, Any]


class Pipe:
    """What the guarded process says on stdin, in whole lines.

    Guarantees:
        Nothing that was said is on its way when `take` finds nothing (not on Windows,
        where only a thread can wait for a pipe).
    """

    def __init__(self) -> None:
        self._rest = b""
        self._read: SimpleQueue[bytes] = SimpleQueue()
        if sys.platform == "win32":
            threading.Thread(target=self._read_all, daemon=True).start()

    def take(self, timeout_s: float) -> tuple[list[bytes], bool]:
        """Return lines, after a wait for any, and whether it has ended."""
        data = self._next(timeout_s)
        while data:
            self._rest += data
            data = self._next(0.0)
        *lines, self._rest = self._rest.split(b"\n")
        return lines, data is not None

    def _next(self, timeout_s: float) -> bytes | None:
        """Return some of what is there; nothing at the end, None if there is none."""
        if sys.platform == "win32":
            with contextlib.suppress(Empty):
                return self._read.get(timeout=timeout_s)
            return None
        return _read_some() if select.select([0], [], [], timeout_s)[0] else None

    def _read_all(self) -> None:
        while data := _read_some():
            self._read.put(data)
        self._read.put(b"")


def _read_some() -> bytes:
    # Not through `sys.stdin`, whose lock would be in the way at exit.
    with contextlib.suppress(OSError):
        return os.read(0, 65_536)
    return b""


class Guard:
    """Looks after one process: asks it for dumps, makes devices safe, ends it.

    A dump is written from C while other threads may run, which can crash the process
    that writes it. So it is asked for while nothing of Python runs: on Linux, when the
    thread that beats was seen to wake up and wait on; one that was paused, or had no
    processor, does not. Elsewhere silence has to do. Nothing is lost by a crash when
    the process is ended anyway.

    Guarantees:
        A process that was stopped or is traced is left alone, however long.
        No process of modules outlives HAL by more than the time it may (not on
        Windows, where a number says too little about whose it is).
        Time in which the sentinel itself did not run does not count.
    """

    def __init__(self, orders: dict[str, Any], pipe: Pipe) -> None:
        self._orders = orders
        self._pid = int(orders["pid"])
        self._pipe = pipe
        self._parent = os.getppid()
        self._calls: list[Call] = []
        # By process: how long it may live on, and when it began.
        self._children: dict[int, tuple[float, str]] = {}
        self._silent_s = 0.0
        self._harmless_s = math.inf
        self._beats_in = 0
        self._proof = 0
        self._wakes: int | None = None
        self._asked = False
        self._told = False
        self._state = _RUNS
        self._ended = ""
        self._report = ""

    def run(self) -> None:
        """Return when there is nothing left to guard."""
        last_s = time.monotonic()
        while not self._ended:
            was_heard = self._read(self._turn_s())
            now_s = time.monotonic()
            self._look(0.0 if was_heard else now_s - last_s)
            last_s = now_s
        if self._ended == "died":
            self._note("died", why="it ended without saying so")
            self._wind_up([call for call in self._calls if not call["process"]])

    def _turn_s(self) -> float:
        """Return how long to listen: until a dump is due, if it is soon."""
        if self._asked or self._state == _PAUSED:
            return _TURN_S
        return min(_TURN_S, max(_FINEST_S, self._harmless_s - self._silent_s))

    def _look(self, silent_s: float) -> None:
        """Look at the process, after so much more silence, and do what is due."""
        before, self._state = self._state, _state(self._pid)
        if self._state == _GONE or self._ended:
            self._ended = self._ended or "died"
            return
        if self._state == _PAUSED:
            self._wakes = _wakes(self._pid, self._beats_in)  # what was, proves nothing
        elif before == _RUNS:
            self._silent_s += min(silent_s, 2 * _TURN_S)
        # Listened once more: what was seen may be some time ago.
        if self._is_held() and not self._read(0.0):
            self._ask_for_dump()
        if not self._told and self._silent_s > self._orders["told_after_s"]:
            self._told = True
            dump = self._orders["dump_file"] if self._asked else ""
            self._note("no beat", silent_s=round(self._silent_s, 1), dump=dump)
        if not self._ended and self._silent_s > self._orders["kill_after_s"]:
            self._end_it()

    def _is_held(self) -> bool:
        """Return whether it is time for a dump, and nothing of Python runs."""
        is_due = self._state == _RUNS and self._silent_s >= self._harmless_s
        if self._asked or not is_due:
            return False
        if not _has_proc():
            return self._silent_s >= _UNPROVEN_S
        before, now = self._wakes, _wakes(self._pid, self._beats_in)
        return before is not None and now is not None and now - before >= self._proof

    def _wind_up(self, calls: list[Call]) -> None:
        """Make safe what can be at once; the rest as its process is gone."""
        steps = [threading.Thread(target=self._make_safe, args=(calls,))]
        for child in self._children.items():
            steps.append(threading.Thread(target=self._wind_up_child, args=child))
        for step in steps:
            step.start()
        for step in steps:
            step.join()

    def _wind_up_child(self, pid: int, life: tuple[float, str]) -> None:
        self._end_child(pid, *life)
        self._make_safe([call for call in self._calls if call["process"] == pid])

    def _end_child(self, pid: int, end_s: float, birth: str) -> None:
        """End a process of modules that does not end by itself in its time."""
        if sys.platform == "win32":
            return
        give_up_s = time.monotonic() + end_s + _LONGER_S
        while not _is_gone(pid, birth):
            if time.monotonic() > give_up_s:
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)  # its group has its number
                self._note("child killed", child=pid, end_s=end_s)
                return
            time.sleep(_TURN_S / 2)

    def _read(self, timeout_s: float) -> bool:
        """Take what the process says, after a moment; return whether it said any."""
        lines, has_ended = self._pipe.take(timeout_s)
        for line in lines:
            if line == b"bye":
                self._ended = "bye"
            elif line.startswith(b"."):
                _, harmless_s, thread, wakes = line.split()
                self._harmless_s = float(harmless_s)
                self._beats_in, self._proof = int(thread), int(wakes)
            elif line.startswith(b"["):
                children, self._calls = json.loads(line)
                self._children = {
                    int(pid): (end_s, _birth(int(pid)))
                    for pid, end_s in children.items()
                }
        # Its other end may be held open by a process that was forked off. (Elsewhere
        # than on Linux, where its state tells, even if it died before this began.)
        if has_ended or os.getppid() != self._parent:
            self._ended = self._ended or "died"
        if lines:
            self._heard()
        return bool(lines)

    def _heard(self) -> None:
        if self._told and not self._ended:
            self._note("came back", silent_s=round(self._silent_s, 1))
        self._silent_s, self._asked, self._told = 0.0, False, False
        self._wakes = _wakes(self._pid, self._beats_in)

    def _ask_for_dump(self) -> None:
        self._asked = True
        if self._orders["dump_signal"]:
            with contextlib.suppress(OSError):
                os.kill(self._pid, self._orders["dump_signal"])

    def _end_it(self) -> None:
        silent_s = round(self._silent_s, 1)
        if not self._asked:
            self._ask_for_dump()
            self._read(_DUMPING_S)
            if self._ended or self._silent_s == 0.0:
                return
        self._note("frozen", silent_s=silent_s, dump=self._keep_dump())
        # What has a process of its own is made safe there, when HAL is gone.
        own = [call for call in self._calls if not call["process"]]
        failed = self._make_safe(own)
        self._read(0.0)
        if self._ended or self._silent_s == 0.0:
            return  # it came back, or died, meanwhile
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                os.kill(self._pid, signal.SIGTERM)
            else:
                os.kill(self._pid, signal.SIGKILL)
        self._note("killed", why=f"no beat for {silent_s} s")
        give_up_s = time.monotonic() + _DYING_S
        while not self._ended and time.monotonic() < give_up_s:
            self._read(_TURN_S)
        # Ports the process had are free now.
        self._wind_up(failed)
        self._ended = "killed"

    def _make_safe(self, calls: list[Call]) -> list[Call]:
        """Make calls side by side, each in a process; return those that failed."""
        python, path = self._orders["python"], self._orders["path"]
        running = [(call, start_call(python, call, path)) for call in calls]
        give_up_s = time.monotonic() + self._orders["safe_state_s"]
        failed = []
        for call, process in running:
            outcome = "not started"
            if process is not None:
                outcome = outcome_of(process, give_up_s - time.monotonic())
            self._note(
                "safe state",
                module=call["module"],
                entry=call["entry"],
                outcome=outcome,
            )
            if outcome != "applied":
                failed.append(call)
        return failed

    def _keep_dump(self) -> str:
        """Copy what the process dumped in C, with names; return the file, if any."""
        if not self._orders["dump_file"]:
            return ""
        names = {}
        with (
            contextlib.suppress(OSError, ValueError),
            open(self._orders["names_file"], encoding="utf-8") as file,
        ):
            names = {int(ident): name for ident, name in json.load(file).items()}
        try:
            with open(self._orders["dump_file"], encoding="utf-8") as file:
                dump = name_threads(file.read().strip("\n"), names)
            if not dump:
                return ""
            stamp = f"{time.time():.3f}".replace(".", "_")
            name = f"dump_{stamp}_000_the_whole_process.txt"
            path = os.path.join(self._orders["folder"], name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"Hung: the whole process {self._pid}\n\n{dump}\n")
        except (OSError, ValueError):
            return str(self._orders["dump_file"])
        return path

    def _note(self, event: str, **data: object) -> None:
        """Append a line to the report, and tell a person if there is a terminal."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        record = {"wall": now, "event": event, "pid": self._pid, **data}
        if not self._report:
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            name = f"sentinel_{stamp}_{self._pid}.ndjson"
            self._report = os.path.join(self._orders["folder"], name)
        with contextlib.suppress(OSError):
            os.makedirs(self._orders["folder"], exist_ok=True)
            with open(self._report, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        shown = " ".join(f"{k}={v}" for k, v in data.items())
        line = f"hal: sentinel: {event} {shown} report={self._report}\n"
        with contextlib.suppress(OSError):
            os.write(2, line.encode("utf-8", "backslashreplace"))


def name_threads(dump: str, names: Mapping[int, str]) -> str:
    """Return what `faulthandler` wrote, with the threads' names put in.

    It stands here because this file can import nothing of HAL.
    """

    def heading(found: re.Match[str]) -> str:
        ident = int(found[1], 16)
        return f"Thread {names.get(ident, UNKNOWN_THREAD)} (ident {ident}, "

    return _HEADING.sub(heading, dump)


def start_call(
    python: str, call: Call, path: list[str]
) -> subprocess.Popen[bytes] | None:
    """Begin to make a safe state in a new Python; None if there is none to be had."""
    order = json.dumps({**call, "path": path}).encode()
    try:
        process = subprocess.Popen(
            [python, "-P", __file__, "call"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(order)
        process.stdin.close()
        process.stdin = None
    except OSError:
        return None
    return process


def outcome_of(process: subprocess.Popen[bytes], left_s: float) -> str:
    """Return what came of it, `applied` if all is well; ended after `left_s`."""
    try:
        _, errors = process.communicate(timeout=max(0.05, left_s))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "not ended in time"
    if process.returncode == 0:
        return "applied"
    said = errors[-_OUTPUT:].decode("utf-8", "backslashreplace").strip()
    last = said.splitlines()[-1] if said else "nothing said"
    return f"failed with {process.returncode}: {last}"


def _state(pid: int) -> str:
    """Return whether the process runs, is gone, or was paused by Ctrl-Z or a debugger.

    Only Linux says; elsewhere it runs.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            letter = file.read().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return _GONE if _has_proc() else _RUNS
    if letter in (b"T", b"t"):
        return _PAUSED
    return _GONE if letter in (b"Z", b"X") else _RUNS


def _wakes(pid: int, thread: int) -> int | None:
    """Return how often a thread has given up the processor to wait; Linux only."""
    try:
        with open(f"/proc/{pid}/task/{thread}/status", "rb") as file:
            return int(file.read().split(b"\nvoluntary_ctxt_switches:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return None


def _has_proc() -> bool:
    return os.path.exists("/proc/self/stat")


def _birth(pid: int) -> str:
    """Return when a process began, for whoever gets its number later began later."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _is_gone(pid: int, birth: str) -> bool:
    if not _has_proc():
        try:
            os.kill(pid, 0)
        except OSError:
            return True
        return False
    return _state(pid) == _GONE or _birth(pid) != birth


def guard(orders: dict[str, Any]) -> None:
    """Guard the process that started this one, until one of them ends."""
    # Ctrl-C, a closed terminal and an orderly shutdown go to all processes; those are
    # the moments when the sentinel may be needed. It goes when the pipe does.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    Guard(orders, Pipe()).run()


def call(order: dict[str, Any]) -> None:
    """Import and call one safe state."""
    # Not this file's folder, but where HAL's own process finds its modules.
    sys.path[:] = order["path"]
    module, _, names = order["entry"].partition(":")
    target: Any = importlib.import_module(module)
    for name in names.split("."):
        target = getattr(target, name)
    target(**order["arguments"])


if __name__ == "__main__":
    if sys.argv[1] == "call":
        call(json.loads(sys.stdin.read()))
    else:
        guard(json.loads(sys.argv[2]))
