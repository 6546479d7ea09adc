"""The events of a plan one by one, while more may be added to its end."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

from hal.acquisition.plans import AnyEvent, Plan, append
from hal.base import StateError


class EventSource:
    """Gives out the events of a plan in order, each with its number.

    Runs on: `extend`, `plan` any; the rest engine.

    Guarantees:
        What is added is either given out, or refused because the end was reached.
    """

    def __init__(self, plan: Plan) -> None:
        self._lock = threading.Lock()
        self._plan = plan
        self._events: Iterator[AnyEvent] = iter(plan)
        self._ahead: tuple[int, AnyEvent] | None = None
        self._n_read = 0
        self._is_over = False

    @property
    def plan(self) -> Plan:
        """All of it, with what was added."""
        return self._plan

    def peek(self) -> tuple[int, AnyEvent] | None:
        """Return what `next` will; None at the end, which stays open for more."""
        with self._lock:
            return self._look_ahead()

    def next(self) -> tuple[int, AnyEvent] | None:
        """Return the next event with its number; None at the end, for good."""
        with self._lock:
            found, self._ahead = self._look_ahead(), None
            self._is_over = found is None
            return found

    def extend(self, more: Plan) -> None:
        """Add a plan to the end.

        Raises:
            StateError: The end was reached.
            PlanError: It cannot be added.
        """
        with self._lock:
            if self._is_over:
                raise StateError("the run has done all its events: start another one")
            self._plan = append(self._plan, more)
            # What is there already stays as it is: go on from the same place.
            self._events = itertools.islice(iter(self._plan), self._n_read, None)

    def _look_ahead(self) -> tuple[int, AnyEvent] | None:
        if self._ahead is None:
            event = next(self._events, None)
            if event is not None:
                self._ahead = (self._n_read, event)
                self._n_read += 1
        return self._ahead
