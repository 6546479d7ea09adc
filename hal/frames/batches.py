"""News of frames, by ranges of their indices: one message for many frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hal.base import Clock

EVERY_S: Final = 0.1


class IndexBatches:
    """Gathers the indices of frames, and tells them in ranges that have no gap.

    Runs on: one thread at a time.
    """

    def __init__(self, tell: Callable[[int, int], None], clock: Clock) -> None:
        """Begin with nothing to tell.

        Args:
            tell: Called with the first and the last index of a range.
            clock: Whose time counts.
        """
        self.next = 0
        """The index after the last one added."""
        self._tell = tell
        self._clock = clock
        self._first = 0
        self._told_s = clock.monotonic_s()

    def add(self, index: int) -> None:
        """Note one more frame; what is before a gap is told at once."""
        if index != self.next:
            self.tell()
            self._first = index
        self.next = index + 1

    def tell_if_due(self) -> None:
        """Tell what has gathered, unless that was done just now."""
        if self._clock.monotonic_s() - self._told_s >= EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Tell what has gathered."""
        self._told_s = self._clock.monotonic_s()
        if self.next > self._first:
            first, self._first = self._first, self.next
            self._tell(first, self.next - 1)
