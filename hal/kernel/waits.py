"""Who waits for whom: a circle of waiting modules is found and broken.

A module waits when its job does: while a job runs, the normal lane is closed, and
whatever waits for that module waits for what the job waits for. Loops and outside
clients block nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise

from hal.base import DeadlockError, ErrorRecord
from hal.kernel.delivery import Delivery, How

blocking_module: ContextVar[str] = ContextVar("blocking_module", default="")
"""The module whose normal lane is closed while this code runs; empty outside jobs."""


class Waits:
    """The graph of waiting jobs.

    Runs on: `waiting` worker, `break_circles` any.

    Guarantees:
        A circle is broken at the wait that closes it, by an error with its path; the
        others in it go on.
    """

    def __init__(
        self,
        owed: Callable[[Delivery], tuple[str, ...]],
        expire: Callable[[Delivery, ErrorRecord], None],
        on_change: Callable[[str, Delivery, bool], None] = lambda *_: None,
    ) -> None:
        """Begin without waits.

        Args:
            owed: Tells which modules have to act before a delivery can complete.
            expire: Completes a delivery that nobody has received.
            on_change: Told which module waits for what, and when no longer.
        """
        self._on_change = on_change
        self._owed = owed
        self._expire = expire
        self._waits: dict[int, tuple[str, Delivery]] = {}

    @contextmanager
    def waiting(self, delivery: Delivery) -> Iterator[None]:
        """Note, within the `with` block, that this job waits for `delivery`."""
        module = blocking_module.get()
        if not module:
            yield
            return
        try:
            self.begin(module, delivery)
            yield
        finally:
            self.end(module, delivery)

    def begin(self, module: str, delivery: Delivery) -> None:
        """Note that `module` can do nothing until `delivery` has completed. Any."""
        self._waits[id(delivery)] = (module, delivery)
        self._on_change(module, delivery, True)
        self.break_circles()

    def end(self, module: str, delivery: Delivery) -> None:
        """Note that it waits no longer. Any thread."""
        self._waits.pop(id(delivery), None)
        self._on_change(module, delivery, False)

    def break_circles(self) -> None:
        """End the newest wait of every circle there is.

        Called at each new wait, and by the watchdog for those that closed while a
        message was still on its way.
        """
        for module, delivery in reversed(list(self._waits.values())):
            path = self._path(module, delivery)
            if path is not None:
                self._break(delivery, path)

    def _path(self, start: str, delivery: Delivery) -> list[str] | None:
        """Return the modules from `start` back to itself, or None."""
        edges: dict[str, list[Delivery]] = {}
        for module, waited_for in list(self._waits.values()):
            edges.setdefault(module, []).append(waited_for)
        pending = [(name, [start, name]) for name in self._owed(delivery)]
        seen: set[str] = set()
        while pending:
            name, path = pending.pop()
            if name == start:
                return path
            if name in seen:
                continue
            seen.add(name)
            for waited_for in edges.get(name, ()):
                pending += [(n, [*path, n]) for n in self._owed(waited_for)]
        return None

    def _break(self, delivery: Delivery, path: list[str]) -> None:
        exc = DeadlockError(
            f"'{delivery.type}' would never end: "
            + ", ".join(f"{a} waits for {b}" for a, b in pairwise(path)),
            path=" > ".join(path),
        )
        error = ErrorRecord.from_exception(exc, path[0])
        for name in delivery.pending:
            delivery.claim(name, How.FAILED, "deadlock", error=error)
        if not delivery.tickets:
            self._expire(delivery, error)
