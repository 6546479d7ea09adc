"""What POSIX and Windows do differently about processes; nothing else knows.

On Windows there is no signal that asks a process for its stacks, no limit of memory,
and a socket is handed over by a text that only the child can use.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any


def spawn(
    command: list[str], connected: socket.socket, output: int
) -> subprocess.Popen[bytes]:
    """Start a process that gets `connected` (see `adopt`) and writes to `output`.

    In a group of its own, so that Ctrl-C in the terminal reaches only the one that
    stops the others in their order.

    Raises:
        OSError: It cannot be started.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    common: dict[str, Any] = {
        "stdout": output,
        "stderr": output,
        "env": environment,
        "close_fds": True,
    }
    if sys.platform == "win32":
        process = subprocess.Popen(
            [*command, "-"],
            stdin=subprocess.PIPE,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            **common,
        )
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(connected.share(process.pid).hex().encode() + b"\n")
        return process
    number = connected.fileno()
    return subprocess.Popen(
        [*command, str(number)],
        stdin=subprocess.DEVNULL,
        pass_fds=(number,),
        start_new_session=True,
        **common,
    )


def adopt(handed: str) -> socket.socket:
    """Return the socket that `spawn` gave this process, by its last argument."""
    if sys.platform == "win32":
        return socket.fromshare(bytes.fromhex(sys.stdin.readline()))
    connected = socket.socket(fileno=int(handed))
    # Whatever a vendor's library starts shall not keep the pipe open.
    connected.set_inheritable(False)
    return connected


def prepare_child() -> None:
    """Show all stacks when it crashes, or is asked; leave Ctrl-C to others."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        faulthandler.register(signal.SIGUSR1)


def limit_memory(most_bytes: int) -> bool:
    """Have allocations beyond `most_bytes` fail; False where that cannot be had."""
    if sys.platform == "win32":
        return False
    import resource

    # What is really taken, where the system counts that: address space that is only
    # reserved (stacks, arenas) would need a limit nobody could guess.
    is_linux = sys.platform == "linux"
    kind = resource.RLIMIT_DATA if is_linux else resource.RLIMIT_AS
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (most_bytes, most_bytes))
        return True
    return False


def ask_for_stacks(pid: int) -> bool:
    """Have a prepared process write its stacks to stderr; False where it cannot be."""
    if sys.platform == "win32":
        return False
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGUSR1)
        return True
    return False


def is_stopped(pid: int) -> bool:
    """Return whether a signal has stopped a process (not: a debugger)."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


# Not `Popen.kill` and the like on POSIX: they wait for a process that has ended, which
# `wait_for_end` would then look for in vain.


def ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Have the system ask a process to end, which it may ignore."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.kill(process.pid, signal.SIGTERM)


def kill_with_children(process: subprocess.Popen[bytes]) -> None:
    """End a process that `spawn` started, and what it has started itself, by force.

    Only while it was not waited for: later its number may be another one's.
    """
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            process.kill()
        return
    for kill in (os.killpg, os.kill):  # its group has its number
        with contextlib.suppress(OSError):
            kill(process.pid, signal.SIGKILL)


def wait_for_end(process: subprocess.Popen[bytes], lock: threading.Lock) -> int:
    """Return the exit code of a process, and end what it has left behind.

    Its number becomes free only while `lock` is held, where the system can tell of an
    end without that.
    """
    if sys.platform == "linux":
        with contextlib.suppress(ChildProcessError):  # a plugin has waited for it
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with lock:
            kill_with_children(process)
            return process.wait()
    return process.wait()


def describe_exit(code: int) -> str:
    """Return how a process ended, for people."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
