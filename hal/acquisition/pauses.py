"""Who wants a run to pause: people, and conditions of the microscope."""

from __future__ import annotations

import threading
from collections.abc import Callable

PERSON = "person"
"""By whom a pause is asked for that only a person ends."""


class Pauses:
    """The reasons for which a run is to do nothing, each with who gave it.

    Runs on: any.

    Guarantees:
        The run goes on when the last reason is gone, and not before.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        """Begin with none.

        Args:
            changed: Called when there is one more or one less.
        """
        self._changed = changed
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    @property
    def is_wanted(self) -> bool:
        """Whether anybody wants a pause."""
        return bool(self._reasons)

    @property
    def why(self) -> str:
        """The reasons in words; empty for none."""
        with self._lock:
            return "; ".join(self._reasons.values())

    def add(self, by: str, why: str) -> None:
        """Ask for a pause; another reason of the same one takes its place."""
        with self._lock:
            self._reasons[by] = why
        self._changed()

    def remove(self, by: str) -> None:
        """Withdraw what one asked for; harmless if there is nothing."""
        with self._lock:
            self._reasons.pop(by, None)
        self._changed()

    def clear(self) -> None:
        """Withdraw all: a person says so, or the run ends."""
        with self._lock:
            self._reasons.clear()
        self._changed()
