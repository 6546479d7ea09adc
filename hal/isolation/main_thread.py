"""The threads of a child process: drivers are called on its main thread.

Vendors' libraries and Windows' COM want to be used by the thread that imported them,
which is the first one more often than not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from hal.base import Serial, SystemThreads


class MainThread(SystemThreads):
    """The machine's own threads; calls that must share one share the main thread.

    Runs on: `run` the main thread, for ever; the rest any.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[str, Callable[[], object]]] = SimpleQueue()

    def serial(self, name: str) -> Serial:
        """Return the main thread, called `name` during these calls."""
        return _Part(self._calls, name)

    def run(self) -> None:
        """Make the calls of all who share the thread, in the order they came."""
        thread = threading.current_thread()
        while True:
            name, call = self._calls.get()
            thread.name = name
            call()


class _Part:
    """One user of the main thread."""

    def __init__(
        self, calls: SimpleQueue[tuple[str, Callable[[], object]]], name: str
    ) -> None:
        self._calls = calls
        self._name = name

    def put(self, call: Callable[[], object], /) -> None:
        """Make `call` when those before it have returned; returns at once."""
        self._calls.put((self._name, call))

    def stop(self) -> None:
        """Nothing to do: the thread ends with the process."""
