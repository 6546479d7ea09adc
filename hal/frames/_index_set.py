"""Many frame numbers in little memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class IndexSet:
    """A set of whole numbers from 0, kept as ranges: a run without gaps is one range.

    Runs on: one thread at a time.
    """

    def __init__(self) -> None:
        # Range k is starts[k] <= index < stops[k]; sorted, never touching each other.
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def end(self) -> int:
        """One more than the largest index; 0 when empty."""
        return self._stops[-1] if self._stops else 0

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """All ranges as (first, one past last)."""
        return tuple(zip(self._starts, self._stops, strict=True))

    def add(self, first: int, stop: int | None = None) -> None:
        """Add `first`, or all from `first` up to but not including `stop`.

        Raises:
            ValueError: A negative index, which only a defect can produce.
        """
        stop = first + 1 if stop is None else stop
        if first < 0:
            raise ValueError(f"frame index {first}: expected 0 or more")
        if stop <= first:
            return
        if self._stops and first == self._stops[-1]:
            # The usual case: the next frame.
            self._stops[-1] = stop
            self._count += stop - first
            return
        # Ranges low..high-1 overlap or touch the new one and become one with it.
        low = bisect_left(self._stops, first)
        high = bisect_right(self._starts, stop)
        if low < high:
            first = min(first, self._starts[low])
            stop = max(stop, self._stops[high - 1])
        replaced = sum(self._stops[k] - self._starts[k] for k in range(low, high))
        self._starts[low:high] = [first]
        self._stops[low:high] = [stop]
        self._count += stop - first - replaced

    def holes(self, stop: int) -> Iterator[tuple[int, int]]:
        """Ranges below `stop` that are not in the set, as (first, one past last)."""
        at = 0
        for first, end in zip(self._starts, self._stops, strict=True):
            if first >= stop:
                break
            if first > at:
                yield at, first
            at = end
        if at < stop:
            yield at, stop
