"""The only source of threads and queues of the kernel, beside the clock.

Tests inject `hal.testing.Interleaver`, which runs one thread at a time, in an order
drawn from a seed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol, TypeVar

T = TypeVar("T")


class Channel(Protocol[T]):
    """A queue without bound; `put` never blocks and is safe in signal handlers.

    Runs on: any.
    """

    def put(self, item: T, /) -> None:
        """Append `item`."""

    def get(self) -> T:
        """Return the oldest item, waiting for it."""

    def empty(self) -> bool:
        """Whether nothing waits."""


class Thread(Protocol):
    """A thread that was started."""

    @property
    def ident(self) -> int | None:
        """What the system calls it."""

    def is_alive(self) -> bool:
        """Whether it has not ended."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most `timeout` seconds."""


class Serial(Protocol):
    """Makes calls one after the other, always on the same thread.

    Runs on: any.
    """

    def put(self, call: Callable[[], object], /) -> None:
        """Make `call` when those before it have returned; returns at once."""

    def stop(self) -> None:
        """Let the thread go when it has made the calls it got; returns at once."""


class Threads(Protocol):
    """Starts threads, and makes the queues they wait at.

    Runs on: any.
    """

    def start(self, name: str, fn: Callable[[], None]) -> Thread:
        """Run `fn` on a new daemon thread: interpreter exit never waits for it."""

    def channel(self) -> Channel[T]:
        """Return a new queue."""

    def serial(self, name: str) -> Serial:
        """Return the thread called `name` for calls that must share one."""


class SystemThreads:
    """The machine's own threads.

    Runs on: any.
    """

    def start(self, name: str, fn: Callable[[], None]) -> Thread:
        """Run `fn` on a new daemon thread."""
        thread = threading.Thread(target=fn, name=name, daemon=True)
        thread.start()
        return thread

    def channel(self) -> Channel[T]:
        """Return a new queue, written in C and so re-entrant, unlike `queue.Queue`."""
        return SimpleQueue()

    def serial(self, name: str) -> Serial:
        """Return a thread that is started with its first call."""
        return SerialThread(self, name)


class SerialThread:
    """A daemon thread that makes calls in order; started when first needed.

    Runs on: `put` one thread at a time; `stop` any.
    """

    def __init__(self, threads: Threads, name: str) -> None:
        self._name = name
        self._threads = threads
        self._calls: Channel[Callable[[], object] | None] = threads.channel()
        self._thread: Thread | None = None

    def put(self, call: Callable[[], object], /) -> None:
        """Make `call` when those before it have returned; returns at once."""
        self._calls.put(call)
        if self._thread is None:
            self._thread = self._threads.start(self._name, self._run)

    def stop(self) -> None:
        """Let the thread end after the call it is in; returns at once."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
