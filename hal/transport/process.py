"""A child process with a pipe to it: started, watched to its end, ended by force."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hal.base import Clock, ProcessUsage, Threads, ThreadSafeFlag
from hal.transport.output import Output
from hal.transport.platform import (
    ask_for_stacks,
    ask_to_end,
    describe_exit,
    is_stopped,
    kill_with_children,
    spawn,
    wait_for_end,
)

_LAST_WORDS_S: Final = 0.5
_STACKS_S: Final = 0.3
_FROM_OUTSIDE_S: Final = 3.0


class Exit(NamedTuple):
    """How a process ended."""

    text: str
    """For people, to follow its name."""
    code: int | None
    """None if it could not be started."""


class ChildProcess:
    """A process of our own, and what it prints.

    Runs on: any.

    Guarantees:
        It is waited for as soon as it has ended, so that no zombie is left.
        `on_exit` is called once, when its last words have been read.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str,
        connected: socket.socket,
        output: Path | None,
        threads: Threads,
        clock: Clock,
        on_exit: Callable[[Exit], None],
    ) -> None:
        """Start it, soon; returns at once.

        Args:
            command: What to run; one argument is added, see `adopt`.
            name: Begin of the names of the threads that watch it.
            connected: Its end of a pipe; closed here.
            output: The file for what it prints.
            threads: Where it is watched.
            clock: Counts waiting.
            on_exit: Called on a thread of its own.
        """
        self._command = list(command)
        self._name = name
        self._connected = connected
        self._path = output
        self._threads = threads
        self._clock = clock
        self._on_exit = on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._output: Output | None = None
        self._lock = threading.Lock()
        self._is_unwanted = False
        self._ended = ThreadSafeFlag(clock)
        threads.start(f"{name}/process", self._live)

    @property
    def pid(self) -> int:
        """What the system calls it; 0 before it was started."""
        return 0 if self._process is None else self._process.pid

    @property
    def output(self) -> Output | None:
        """What it prints."""
        return self._output

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, waited for, and `on_exit` called."""
        return self._ended.is_set()

    @property
    def is_stopped(self) -> bool:
        """Whether a signal keeps it from running, as far as the system tells."""
        return self.pid > 0 and is_stopped(self.pid)

    def wait(self, timeout_s: float) -> bool:
        """Return True once it is gone, False after `timeout_s`."""
        return self._ended.wait(timeout_s)

    def terminate(self) -> None:
        """Ask the system to end it, which it may ignore."""
        with self._lock:
            self._is_unwanted = True
            if self._process is not None and self._process.returncode is None:
                ask_to_end(self._process)

    def kill(self) -> None:
        """End it by force, and what it has started."""
        with self._lock:
            self._is_unwanted = True
            # Not after it was waited for: its number may be somebody else's.
            if self._process is not None and self._process.returncode is None:
                kill_with_children(self._process)

    def usage(self) -> ProcessUsage | None:
        """Return what it has used so far; None if it is not there."""
        import psutil

        with self._lock:
            if self._process is None or self._process.returncode is not None:
                return None
            try:
                process = psutil.Process(self.pid)
                times, memory = process.cpu_times(), process.memory_info()
            except psutil.Error:
                return None
        used_s = round(times.user + times.system, 3)
        return ProcessUsage(self.pid, used_s, round(memory.rss / 2**20, 1))

    def stacks(self) -> str:
        """Return where its threads are, told by itself or found from outside.

        Blocks for some seconds at most.
        """
        output = self._output
        if output is None:
            return ""
        before, until_s = output.read_bytes, self._clock.monotonic_s() + _STACKS_S
        pause = threading.Event()
        if ask_for_stacks(self.pid):
            while self._clock.monotonic_s() < until_s:
                seen = output.read_bytes
                self._clock.wait(pause, 0.03)
                if before < seen == output.read_bytes:
                    return output.tail(seen - before)
        return _stacks_from_outside(self.pid)

    def _live(self) -> None:
        """Start it, and wait for its end."""
        try:
            ended = self._start_and_wait()
        finally:
            self._connected.close()
        self._ended.set()
        self._on_exit(ended)

    def _start_and_wait(self) -> Exit:
        try:
            reading, writing = os.pipe()
        except OSError as exc:
            return Exit(f"could not be started: {exc}", None)
        flag = ThreadSafeFlag(self._clock)
        self._output = output = Output(reading, self._path, flag)
        try:
            with self._lock:
                if self._is_unwanted:
                    os.close(reading)
                    return Exit("was not started: not wanted any more", None)
                self._process = spawn(self._command, self._connected, writing)
        except OSError as exc:
            os.close(reading)
            return Exit(f"could not be started: {exc}", None)
        finally:
            os.close(writing)
        # Only the child has it now, so that its end is seen.
        self._connected.close()
        self._threads.start(f"{self._name}/output", output.read)
        code = wait_for_end(self._process, self._lock)
        output.wait_for_end(_LAST_WORDS_S)
        return Exit(describe_exit(code), code)


def _stacks_from_outside(pid: int) -> str:
    """Return what py-spy sees, if it is installed and may look."""
    py_spy = shutil.which("py-spy")
    if py_spy is None:
        return ""
    try:
        done = subprocess.run(
            [py_spy, "dump", "--nonblocking", "--pid", str(pid)],
            capture_output=True,
            timeout=_FROM_OUTSIDE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "backslashreplace")
