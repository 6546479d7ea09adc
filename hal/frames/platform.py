"""Memory that several processes map, and waiting for a change in it.

On Linux: an anonymous memory file, which others of the same user open under
``/proc/PID/fd`` as long as its creator lives and which is gone with its last user; and
futex (man 2 futex), which leaves nothing behind when a process dies in it. On Windows:
a mapping with a name. Elsewhere: a file in the folder for temporary ones. Without
futex, whoever waits looks a thousand times a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import random
import sys
import tempfile
import threading
import uuid
from typing import Any, Final

_POLL_S: Final = 0.001
_FUTEX_NUMBERS: Final = {"x86_64": 202, "aarch64": 98}
_FUTEX: Final = (
    _FUTEX_NUMBERS.get(platform.machine()) if sys.platform == "linux" else None
)
_WAIT: Final = 0
_WAKE: Final = 1
_EVERYBODY: Final = 2**31 - 1


class MemoryFile:
    """Memory under a handle that other processes can open; given back with `close`.

    What is mapped stays until its last view is gone. Runs on: any.
    """

    def __init__(self, handle: str, size: int, fd: int, *, is_owner: bool) -> None:
        self.handle = handle
        self._size = size
        self._fd = fd
        self._is_owner = is_owner

    @classmethod
    def create(cls, size: int) -> MemoryFile:
        """Return new memory, all zero.

        Raises:
            OSError, OverflowError: The system has not that much.
        """
        if sys.platform == "win32":
            # Of the other systems, none frees a named mapping with its last user.
            made = cls(f"hal-{uuid.uuid4().hex}", size, -1, is_owner=True)
            made.map(0, size, writable=True)
            return made
        if sys.platform == "linux":
            fd = os.memfd_create("hal-ring", os.MFD_CLOEXEC)
            handle = f"/proc/{os.getpid()}/fd/{fd}"
        else:
            fd, handle = tempfile.mkstemp(prefix="hal-ring-")
        made = cls(handle, size, fd, is_owner=True)
        try:
            os.ftruncate(fd, size)
            if sys.platform == "linux":
                # Taken now: later, without memory, a frame would end in SIGBUS.
                os.posix_fallocate(fd, 0, size)
        except BaseException:
            made.close()
            raise
        return made

    @classmethod
    def open(cls, handle: str, size: int) -> MemoryFile:
        """Return what another process has created.

        Raises:
            OSError: It is gone.
        """
        if sys.platform == "win32":
            return cls(handle, size, -1, is_owner=False)
        fd = os.open(handle, os.O_RDWR | os.O_CLOEXEC)
        return cls(handle, size, fd, is_owner=False)

    def map(self, offset: int, length: int, *, writable: bool) -> mmap.mmap:
        """Return a part of it; `offset` is a multiple of `GRANULARITY`.

        Raises:
            OSError: The system has no room for it.
        """
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        if sys.platform == "win32":
            return mmap.mmap(
                -1, length, tagname=self.handle, access=access, offset=offset
            )
        flags, protection = mmap.MAP_SHARED, mmap.PROT_READ
        if sys.platform == "linux":
            # The first round of frames shall not pay for the pages.
            flags |= mmap.MAP_POPULATE
        if writable:
            protection |= mmap.PROT_WRITE
        return mmap.mmap(self._fd, length, flags, protection, offset=offset)

    def close(self) -> None:
        """Let nobody else open it; harmless when repeated."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        if self._is_owner and sys.platform not in ("linux", "win32"):
            with contextlib.suppress(OSError):
                os.unlink(self.handle)

    def __del__(self) -> None:
        self.close()


GRANULARITY: Final = mmap.ALLOCATIONGRANULARITY


class Bell:
    """A 32-bit word in shared memory that is changed to wake those who wait for it.

    Runs on: any thread of any process.
    """

    def __init__(self, memory: mmap.mmap, offset: int) -> None:
        self._word = ctypes.c_uint32.from_buffer(memory, offset)
        self._address = ctypes.addressof(self._word)

    @property
    def heard(self) -> int:
        """What to give to `wait`; read before looking at what it rings for."""
        return self._word.value

    def ring(self) -> None:
        """Wake all."""
        # Not a count: two who count at once would write the same, and who has heard
        # the first would sleep through the second.
        self._word.value = _values.getrandbits(32)
        if _FUTEX is not None:
            _short_call(_FUTEX, self._address, _WAKE, _EVERYBODY, None)

    def wait(self, heard: int, timeout_s: float) -> None:
        """Return once it has rung since `heard`, or perhaps earlier."""
        if _FUTEX is not None:
            whole, rest = divmod(max(0.0, timeout_s), 1.0)
            at_most = _TimeSpec(int(whole), int(rest * 1e9))
            _long_call(_FUTEX, self._address, _WAIT, heard, ctypes.byref(at_most))
        elif self._word.value == heard:
            threading.Event().wait(min(timeout_s, _POLL_S))


_values: Final = random.Random()
"""Seeded by the system, so that no two processes write the same."""


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def _syscall(library: type[ctypes.CDLL]) -> Any:
    if _FUTEX is None:
        return None
    call = library(None).syscall
    call.argtypes = (
        *(ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32),
        ctypes.c_void_p,
    )
    return call


# One lets other threads of Python run meanwhile; for the other that would cost more
# than the call itself.
_long_call: Final = _syscall(ctypes.CDLL)
_short_call: Final = _syscall(ctypes.PyDLL)
