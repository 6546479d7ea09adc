"""Which frames of a run were seen, as ranges: a long run is one range."""

from __future__ import annotations

from collections.abc import Iterator

_SHOWN_SPANS = 8


class Spans:
    """A set of indices that come in batches, most of them next to each other."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        self._sorted = True

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._merged())

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Iterate over (first, last), ascending, neither touching nor overlapping."""
        return iter(self._merged())

    def __str__(self) -> str:
        """Return "3, 10-19"."""
        spans = self._merged()
        shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in spans[:_SHOWN_SPANS]]
        rest = len(spans) - _SHOWN_SPANS
        return ", ".join(shown) + (f" and {rest} more ranges" if rest > 0 else "")

    def add(self, first: int, last: int) -> None:
        """Add the indices from `first` to `last`, both included; none if reversed."""
        if last < first:
            return
        if self._spans:
            before, until = self._spans[-1]
            if before <= first <= until + 1:
                self._spans[-1] = (before, max(until, last))
                return
            self._sorted = self._sorted and first > until
        self._spans.append((first, last))

    def without(self, other: Spans) -> Spans:
        """Return the indices that are here and not in `other`."""
        result = Spans()
        taken = other._merged()
        position = 0
        for first, last in self._merged():
            while position < len(taken) and taken[position][1] < first:
                position += 1
            at = position
            while at < len(taken) and taken[at][0] <= last:
                result.add(first, taken[at][0] - 1)
                first = max(first, taken[at][1] + 1)
                at += 1
            result.add(first, last)
        return result

    def holes(self) -> Spans:
        """Return the indices from 0 to the last one here that are not here."""
        whole = Spans()
        if self._spans:
            whole.add(0, max(last for _, last in self._spans))
        return whole.without(self)

    def _merged(self) -> list[tuple[int, int]]:
        if not self._sorted:
            spans, self._spans, self._sorted = sorted(self._spans), [], True
            for first, last in spans:
                self.add(first, last)
        return self._spans
