"""A second process that looks after this one: dumps, safe states, the last resort."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from hal.base import Clock, SafeStateCall, get_logger
from hal.kernel import sentinel_process
from hal.kernel.heartbeat import Heartbeat
from hal.kernel.safeguards import Safeguards

BEAT_S: Final = 0.05
MARGIN_S: Final = 0.05
"""So much later than a deadline, so that the watchdog, 50 ms apart, comes first."""
_SOONEST_S: Final = 0.05
_PROOF_S: Final = 0.075
"""So long the thread that beats has waited for the interpreter, when that is held."""
_SHORTEST_WAKE_S: Final = 1e-4
_PATIENCE_S: Final = 0.01
_GOODBYE_S: Final = 0.5

log = get_logger(module="hal")


class Sentinel:
    """Starts the sentinel process, beats to it, and starts it anew if it dies.

    Beats come from a thread of its own: one that waits for a slow disk, as the watchdog
    may, must not have the whole process ended. They stop when nothing of Python runs.
    Each says how long silence is harmless: until just after the earliest deadline.

    Runs on: main; `beat`, `hasten`, `pid` any.

    Guarantees:
        `stop` is bounded by 2 s and leaves no process behind.
        No step raises: without a sentinel, HAL runs all the same, and says so.

    Args:
        safeguards: After which times it acts.
        folder: The log folder, for its report.
        clock: Source of time.
        heartbeat: Its file takes the dumps that the sentinel asks for.
        safe_states: Asked at every beat for what is to be made safe.
        children: Asked at every beat for the processes of modules that have one: what
            it is, and how many seconds it may live on when HAL has died.
        earliest_s: Asked at every beat for the earliest deadline of anything.
    """

    def __init__(
        self,
        safeguards: Safeguards,
        folder: Path,
        clock: Clock,
        heartbeat: Heartbeat | None,
        safe_states: Callable[[], Sequence[SafeStateCall]] = tuple,
        children: Callable[[], Mapping[str, tuple[int, float]]] = dict,
        earliest_s: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._safeguards = safeguards
        self._folder = folder
        self._clock = clock
        self._heartbeat = heartbeat
        self._safe_states = safe_states
        self._children = children
        self._earliest_s = earliest_s
        self._harmless_until_s = -math.inf
        self._process: subprocess.Popen[bytes] | None = None
        self._told: tuple[SafeStateCall, ...] = ()
        self._told_children: dict[str, tuple[int, float]] = {}
        self._unsent = b""
        self._started_s = float("-inf")
        self._has_failed = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="hal/sentinel", daemon=True
        )

    @property
    def pid(self) -> int | None:
        """The sentinel's process; None if there is none."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Start the process, and to beat."""
        self._begin()
        self._thread.start()

    def beat(self) -> None:
        """Show that Python runs, and tell of safe states that are new."""
        with self._lock:
            if self._process is not None:
                self._tell(self._process)
                self._beat(self._process, self._earliest_s())

    def hasten(self, due_at_s: float) -> None:
        """Have the stacks taken earlier, for something due before what was said last.

        Returns within 10 ms, usually at once. What is not told now, a beat tells soon.
        """
        if due_at_s + MARGIN_S >= self._harmless_until_s:
            return
        if not self._lock.acquire(timeout=_PATIENCE_S):
            return
        try:
            # Asked again: somebody else may have been faster, with less time left.
            is_earlier = due_at_s + MARGIN_S < self._harmless_until_s
            if is_earlier and self._process is not None:
                self._beat(self._process, due_at_s)
        finally:
            self._lock.release()

    def stop(self) -> None:
        """Say goodbye and wait for its end; one that does not go is killed."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_GOODBYE_S)
        # Waited for: whoever hastens still writes to it.
        was_free = self._lock.acquire(timeout=_GOODBYE_S)
        process, self._process = self._process, None
        self._harmless_until_s = -math.inf
        if was_free:
            self._lock.release()
        if process is None:
            return
        if self._thread.is_alive():  # it waits for room in the pipe, as Windows does
            process.kill()
        else:
            self._send(process, b"bye\n")
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GOODBYE_S)

    def _run(self) -> None:
        while not self._clock.wait(self._stop, BEAT_S):
            if self._process is None or self._process.poll() is not None:
                with self._lock:
                    self._begin_again()
            else:
                self.beat()

    def _tell(self, process: subprocess.Popen[bytes]) -> None:
        children = dict(self._children())
        calls = tuple(self._safe_states())
        if (calls, children) != (self._told, self._told_children):
            self._told, self._told_children = calls, children
            told = [_ends(children), _listed(calls, children)]
            self._send(process, msgspec.json.encode(told) + b"\n")

    def _beat(self, process: subprocess.Popen[bytes], due_at_s: float) -> None:
        now_s = self._clock.monotonic_s()
        harmless_s = min(due_at_s + MARGIN_S - now_s, self._safeguards.standstill_s)
        harmless_s = max(_SOONEST_S, harmless_s)
        if self._unsent:  # a beat more or less does not matter
            self._send(process, b"")
            return
        if self._takes_signal:
            self._harmless_until_s = now_s + harmless_s
        # Who waits for the interpreter wakes up once in every switch interval.
        wakes = int(_PROOF_S / max(_SHORTEST_WAKE_S, sys.getswitchinterval()))
        thread = self._thread.native_id or 0
        self._send(process, f". {harmless_s:.3f} {thread} {wakes}\n".encode())

    @property
    def _takes_signal(self) -> bool:
        return self._heartbeat is not None and self._heartbeat.takes_signal

    def _send(self, process: subprocess.Popen[bytes], data: bytes) -> None:
        """Write without waiting; what the pipe has no room for goes first next time."""
        assert process.stdin is not None
        self._unsent += data
        # A pipe that is full, or closed because the process has just died.
        with contextlib.suppress(OSError):
            sent = os.write(process.stdin.fileno(), self._unsent)
            self._unsent = self._unsent[sent:]

    def _begin_again(self) -> None:
        wait_s = self._safeguards.restart_after_s
        if self._process is not None:
            code = self._process.returncode
            if not self._has_failed:
                log.warning("the sentinel has died and is started anew", code=code)
            self._has_failed = True
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process = None
        if self._clock.monotonic_s() - self._started_s >= wait_s:
            self._begin()

    def _begin(self) -> None:
        self._started_s = self._clock.monotonic_s()
        self._told, self._told_children, self._unsent = (), {}, b""
        self._harmless_until_s = -math.inf
        try:
            process = subprocess.Popen(
                self._command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                # Out of reach of Ctrl-C from its first moment on.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except (OSError, ValueError) as exc:
            if not self._has_failed:
                log.warning("no sentinel", reason=str(exc))
            self._has_failed = True
            return
        if sys.platform != "win32":
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), False)
        self._process = process

    def _command(self) -> list[str]:
        # In a virtual environment of Windows, `sys.executable` merely starts another.
        python = getattr(sys, "_base_executable", "") or sys.executable
        heartbeat = self._heartbeat
        number = int(getattr(signal, "SIGUSR1", 0))
        orders = {
            "pid": os.getpid(),
            "python": sys.executable,
            "path": [os.path.abspath(place) for place in sys.path],
            "folder": str(self._folder.absolute()),
            "dump_file": str(heartbeat.path.absolute()) if heartbeat else "",
            "names_file": str(heartbeat.names_path.absolute()) if heartbeat else "",
            "dump_signal": number if self._takes_signal else 0,
            "told_after_s": self._safeguards.told_after_s,
            "kill_after_s": self._safeguards.kill_after_s,
            "safe_state_s": self._safeguards.safe_state_s,
        }
        script = str(Path(sentinel_process.__file__).absolute())
        return [python, "-I", "-S", script, "guard", json.dumps(orders)]


def _ends(children: Mapping[str, tuple[int, float]]) -> dict[int, float]:
    """Return how long each process may live on; modules may share one."""
    ends: dict[int, float] = {}
    for pid, end_s in children.values():
        ends[pid] = max(end_s, ends.get(pid, 0.0))
    return ends


def _listed(
    calls: Sequence[SafeStateCall], children: Mapping[str, tuple[int, float]]
) -> list[dict[str, object]]:
    """Return calls as the sentinel reads them, each with the process it waits for."""
    return [
        {
            "module": call.module,
            "entry": call.entry,
            "arguments": call.arguments,
            "process": children.get(call.module, (0, 0.0))[0],
        }
        for call in calls
    ]
