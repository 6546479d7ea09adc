"""The lane where only the newest counts: what is shown on a screen."""

from __future__ import annotations

from collections import deque
from typing import Final

_MOST_KINDS: Final = 1_000


class DisplayLane:
    """Holds one item of each kind; a newer one takes the place of the older.

    Runs on: `put` one thread at a time (the broker's pump), `take` another.

    Guarantees:
        Every item put comes out exactly once: from `take`, or as displaced by `put`.
        Takes no lock.
    """

    def __init__(self) -> None:
        self._cells: dict[object, deque[object]] = {}
        # One token for each item that lies in a cell, in the order of the kinds.
        self._tokens: deque[deque[object]] = deque()

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._tokens)

    def put(self, key: object, item: object) -> object | None:
        """Add `item`; return the older one of its kind that it displaces, if any."""
        if len(self._cells) >= _MOST_KINDS:
            # Only this side fills cells, so one that is empty stays so and can go.
            self._cells = {k: cell for k, cell in self._cells.items() if cell}
        cell = self._cells.setdefault(key, deque())
        cell.append(item)
        displaced = cell.popleft() if len(cell) > 1 else None
        if displaced is item:
            # The consumer took the older one between our look and our pop.
            cell.append(item)
            displaced = None
        if displaced is None:
            # Otherwise the token of the displaced item stands for this one.
            self._tokens.append(cell)
        return displaced

    def take(self) -> object | None:
        """Return the item that has waited longest, None if there is none."""
        while True:
            try:
                cell = self._tokens.popleft()
            except IndexError:
                return None
            try:
                return cell.popleft()
            except IndexError:
                # Between an item's displacement and its successor's arrival.
                continue
