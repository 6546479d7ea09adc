"""What a test may leave behind: nothing. Taken before, compared after.

Taking it costs well under a millisecond, so every test pays for it; psutil, which
reads all processes of the machine, is asked only when something is there.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path

import psutil

PATIENCE_S = 2.0
_POLL_S = 0.01
_SHM = Path("/dev/shm")
_OPEN_FILES = Path("/dev/fd")
_TASKS = Path("/proc/self/task")


@dataclass(frozen=True)
class Footprint:
    """Threads, children, shared memory and listening sockets of this process."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    shared_memory: frozenset[str]
    sockets: frozenset[tuple[int, str]]

    @classmethod
    def now(cls) -> Footprint:
        """Return what is there at this moment."""
        return cls(_threads(), _children(), _shared_memory(), _sockets())

    def leaks_since(self) -> list[str]:
        """Return one line for each thing that is here now and was not then."""
        now = Footprint.now()
        return [
            *(
                f"thread '{thread.name}'{' (daemon)' if thread.daemon else ''}"
                for thread in now.threads - self.threads
            ),
            *filter(None, map(_running_child, now.children - self.children)),
            *filter(None, map(_shared_by_us, now.shared_memory - self.shared_memory)),
            *filter(None, map(_listening, now.sockets - self.sockets)),
        ]

    def lasting_leaks(self, patience_s: float = PATIENCE_S) -> list[str]:
        """Return the leaks that are still there after some patience; [] at once."""
        if not self.leaks_since():
            return []
        # What only a reference cycle keeps alive is not worth a failure.
        gc.collect()
        polls = int(patience_s / _POLL_S)
        pause = threading.Event()
        while leaks := self.leaks_since():
            if polls <= 0:
                return leaks
            polls -= 1
            pause.wait(_POLL_S)
        return []


def _threads() -> frozenset[threading.Thread]:
    # A dummy stands for a foreign thread (a callback's), which is not ours to end.
    return frozenset(
        thread
        for thread in threading.enumerate()
        if not isinstance(thread, threading._DummyThread)
    )


def _children() -> frozenset[int]:
    if not _TASKS.exists():
        return frozenset(child.pid for child in psutil.Process().children())
    pids: set[int] = set()
    for task in os.listdir(_TASKS):
        try:
            pids.update(map(int, (_TASKS / task / "children").read_bytes().split()))
        except OSError:  # that thread has just ended
            continue
    return frozenset(pids)


def _running_child(pid: int) -> str | None:
    # Python starts one by itself, once, to clean up after the others.
    if pid == getattr(resource_tracker._resource_tracker, "_pid", None):
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"process {pid}: {' '.join(process.cmdline())[:200]}"
    except psutil.NoSuchProcess:
        return None


def _shared_memory() -> frozenset[str]:
    return frozenset(os.listdir(_SHM)) if _SHM.exists() else frozenset()


def _shared_by_us(name: str) -> str | None:
    path = str(_SHM / name)
    ours = {os.getpid(), *(child.pid for child in psutil.Process().children(True))}
    for process in psutil.process_iter():
        if process.pid not in ours and _uses(process.pid, path):
            return None
    return path


def _uses(pid: int, path: str) -> bool:
    """Whether another process maps the file or has it open."""
    root = Path("/proc") / str(pid)
    try:
        if path in (root / "maps").read_text():
            return True
        return any(os.readlink(link) == path for link in (root / "fd").iterdir())
    except OSError:
        return False


def _sockets() -> frozenset[tuple[int, str]]:
    found = set()
    for fd in os.listdir(_OPEN_FILES) if _OPEN_FILES.exists() else ():
        try:
            target = os.readlink(_OPEN_FILES / fd)
        except OSError:  # the descriptor of the listing itself
            continue
        if target.startswith("socket:"):
            found.add((int(fd), target))
    return frozenset(found)


def _listening(found: tuple[int, str]) -> str | None:
    fd, _ = found
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return f"socket listening on {copy.getsockname()}"
    except OSError:
        return None
    return None
