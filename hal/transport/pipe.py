"""Frames to and from another process, without anybody waiting for it."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from hal.base import Clock, HalError, LinkError, Threads
from hal.transport.framing import Unframer, framed

MOST_WAITING: Final = 20_000
"""Frames that wait for the other side to read; more are refused."""
TICK_S: Final = 0.1
_CHUNK: Final = 2**16


class Pipe:
    """One end of a connected pair of sockets.

    `send` writes at once what the system takes at once; the rest, and what follows it,
    is left to a thread that is there while there is a rest.

    Runs on: any. `on_frame`, `on_tick` and `on_end` are called on the reader's thread.

    Guarantees:
        `send` never blocks, and frames arrive in the order in which they were sent.
        `on_end` is called once, after the last frame.
    """

    def __init__(
        self,
        connected: socket.socket,
        name: str,
        *,
        threads: Threads,
        clock: Clock,
        on_frame: Callable[[bytes], None],
        on_end: Callable[[str], None],
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Take over one end; nothing is read before `start`.

        Args:
            connected: The socket, owned by the pipe from now on.
            name: Begin of the names of its threads.
            threads: Where reading and writing are done.
            clock: Says when a tick is due.
            on_frame: Gets every frame; a `HalError` it raises ends the pipe.
            on_end: Gets the reason; empty if the other side has closed it.
            on_tick: Called about every `TICK_S`.
        """
        self._socket = connected
        connected.settimeout(TICK_S)
        # The same socket once more, for Python waits before it sends where it may wait
        # to receive.
        self._out = connected.dup()
        self._out.setblocking(False)
        self._name = name
        self._threads = threads
        self._clock = clock
        self._on_frame = on_frame
        self._on_end = on_end
        self._on_tick = on_tick
        self._frames: deque[bytes] = deque()
        self._rest = b""
        self._sending = threading.Lock()
        self._is_stuck = False
        self._why = ""
        self._is_closed = False

    def start(self) -> None:
        """Begin to read."""
        self._threads.start(f"{self._name}/reader", self._read)

    @property
    def is_closed(self) -> bool:
        """Whether nothing goes through any more."""
        return self._is_closed

    def send(self, frame: bytes) -> None:
        """Send a frame; returns at once.

        Raises:
            LinkError: The pipe is closed, the frame too long, or too much waits.
        """
        if self._is_closed:
            raise LinkError(f"{self._name}: the pipe is closed")
        data = framed(frame)
        if len(self._frames) >= MOST_WAITING:
            self.close("the other side does not read what it is sent")
            raise LinkError(f"{self._name}: {self._why}")
        self._frames.append(data)
        self._pump()

    def flush(self, timeout_s: float) -> bool:
        """Return True once all is written, False after `timeout_s`."""
        until_s = self._clock.monotonic_s() + timeout_s
        pause = threading.Event()
        while self._frames or self._rest or self._sending.locked():
            left_s = until_s - self._clock.monotonic_s()
            if self._is_closed or left_s <= 0.0:
                return False
            self._clock.wait(pause, min(left_s, 0.002))
        return True

    def close(self, why: str = "") -> None:
        """End it, both ways; returns at once."""
        self._why = self._why or why
        self._is_closed = True
        # Wakes the reader, which closes the socket; the other side reads to the end.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    # -- writing ------------------------------------------------------------------

    def _pump(self) -> None:
        # Like the broker's: no lock that a signal handler or `__del__` could find taken
        # by its own thread. Who finds it taken leaves its frame to who has it.
        while self._frames and not self._is_stuck:
            if not self._sending.acquire(blocking=False):
                return
            try:
                self._is_stuck = not self._write_at_once()
            finally:
                self._sending.release()
        if self._is_stuck and self._sending.acquire(blocking=False):
            # Not released: it is handed to the thread that writes the rest.
            try:
                self._threads.start(f"{self._name}/writer", self._write_rest)
            except RuntimeError:  # no more threads to be had
                self._sending.release()
                self.close("no thread to write with")

    def _write_at_once(self) -> bool:
        """Write what can be without waiting; return whether that was all."""
        while self._take_some():
            try:
                sent = self._out.send(self._rest)
            except BlockingIOError:
                return False
            except OSError:
                return self._drop()
            self._rest = self._rest[sent:]
        return True

    def _write_rest(self) -> None:
        """Write until nothing is left, waiting for the other side."""
        try:
            while self._take_some() and not self._is_closed:
                if select.select([], [self._out], [], TICK_S)[1]:
                    self._write_at_once()
        finally:
            self._is_stuck = False
            self._sending.release()
        self._pump()  # what came after our last look

    def _take_some(self) -> bool:
        """Have something in `_rest`, unless nothing waits."""
        if self._rest:
            return True
        parts, size = [], 0
        while self._frames and size < _CHUNK:
            parts.append(self._frames.popleft())
            size += len(parts[-1])
        self._rest = parts[0] if len(parts) == 1 else b"".join(parts)
        return bool(self._rest)

    def _drop(self) -> bool:
        """Forget what cannot be written any more; the reader finds the end as well."""
        self._frames.clear()
        self._rest = b""
        return True

    # -- reading ------------------------------------------------------------------

    def _read(self) -> None:
        unframer = Unframer()
        tick_s = self._clock.monotonic_s() + TICK_S
        try:
            while True:
                try:
                    data = self._socket.recv(_CHUNK)
                except TimeoutError:
                    self._on_tick()
                    tick_s = self._clock.monotonic_s() + TICK_S
                    continue
                if not data:
                    break
                for frame in unframer.feed(data):
                    self._on_frame(frame)
                if self._clock.monotonic_s() > tick_s:
                    self._on_tick()
                    tick_s = self._clock.monotonic_s() + TICK_S
        except OSError as exc:
            # The other side died with unread data in its buffer, most of the time.
            self._why = self._why or ("" if _is_end(exc) else str(exc))
        except HalError as exc:
            self._why = self._why or exc.text
        except BaseException as exc:
            self._why = f"broken: {type(exc).__name__}: {exc}"
            raise
        finally:
            # Whatever it was: without a reader nobody would see the other side's end.
            self._is_closed = True
            with self._sending:  # nobody is inside a call with the socket's number
                self._drop()
                self._socket.close()
                self._out.close()
            self._on_end(self._why)


def _is_end(exc: OSError) -> bool:
    return isinstance(exc, ConnectionResetError | BrokenPipeError)
