"""The queue of one module: one pump that posts, one consumer that takes."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from hal.kernel.display_lane import DisplayLane
from hal.kernel.envelopes import is_stop_envelope, refuse_envelope
from hal.kernel.message import Lane

CAPACITY: Final = 20_000
"""Items that one lane holds before more are refused."""


class Posted(NamedTuple):
    """What became of an item."""

    kept: bool
    displaced: object = None
    """An older item of the display lane, whose place it took."""
    full: bool = False
    """Whether it was refused because too many wait, not because all is over."""


class Taken(NamedTuple):
    """The next item for the consumer."""

    item: object
    is_cancelled: bool = False
    """Whether a stop came after it: it completes without being run."""


class OwnCall(NamedTuple):
    """A call that tells a module of its own jobs, loops and messages."""

    owner: object
    """Which generation of the module it is for."""
    call: Callable[[], object]
    late: Callable[[], object]
    """Made instead by a later generation."""


_KEPT: Final = Posted(True)
_CLOSED: Final = Posted(False)
_FULL: Final = Posted(False, full=True)


class Mailbox:
    """The lanes of a module and the calls about its own work; outlives generations.

    Runs on: `post` the broker's pump; `put`, `post_own`, `close` any; `take`, `rest`
    the consumer.

    Guarantees:
        Posting never blocks and takes no lock, so it is safe in signal handlers,
        `__del__` and SDK callbacks.
        There is one consumer at a time: who was told that something waits, until it
        calls `rest`.
        After `close` nothing stays inside: each item is handed to one `drain`.
        A lane holds at most `capacity` items; the display lane one of each kind.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.on_waiting: Callable[[], None] = _nobody
        """Called, by whoever posts, when the resting consumer is to come back."""
        self._urgent: deque[object] = deque()
        self._own: deque[OwnCall] = deque()
        self._normal: deque[tuple[int, object]] = deque()
        self._display = DisplayLane()
        self._closed = False
        # A token that lies here while the consumer rests. `list.pop` hands it to
        # exactly one of those that post at the same time. New mailboxes belong to a
        # consumer that has not begun.
        self._resting: list[bool] = []
        self._sequence = itertools.count(1)
        self._cancelled_up_to = 0

    def __len__(self) -> int:
        """Return how many items wait in all lanes."""
        mail = len(self._urgent) + len(self._normal) + len(self._display)
        return mail + len(self._own)

    def post(
        self, lane: Lane, item: object, *, key: object = None, is_stop: bool = False
    ) -> Posted:
        """Append `item` to its lane.

        Args:
            lane: Where to.
            item: A delivery.
            key: On the display lane, which kind it is of.
            is_stop: Whether it cancels what waits in the normal lane.
        """
        if self._closed:
            return _CLOSED
        if lane is Lane.DISPLAY:
            displaced = self._display.put(key, item)
            self._tell()
            # Drained or not by now, it comes to nothing in a mailbox that is closed.
            return Posted(not self._closed, displaced)
        if len(self._urgent if lane is Lane.URGENT else self._normal) >= self.capacity:
            return _FULL
        if is_stop:
            self._cancelled_up_to = next(self._sequence)
        return _KEPT if self._append(lane, item) else _CLOSED

    def post_own(self, item: OwnCall) -> None:
        """Append a call that tells the module of its own jobs, loops and messages.

        Taken before the normal lane, also while a job keeps that lane closed.
        """
        self._own.append(item)
        self._tell()

    def take(self, *, normal: bool) -> Taken | None:
        """Return the next item; None if there is none.

        Args:
            normal: Whether the normal and display lanes are open. What a stop has
                cancelled is handed out even when they are not.
        """
        # Looked at before popped: an exception for each empty lane would cost more than
        # all the rest. Nobody else pops, apart from a `drain` after `close`.
        try:
            if self._urgent:
                return Taken(self._urgent.popleft())
            if self._own:
                return Taken(self._own.popleft())
            if self._normal:
                is_cancelled = self._normal[0][0] < self._cancelled_up_to
                if normal or is_cancelled:
                    return Taken(self._normal.popleft()[1], is_cancelled)
        except IndexError:
            return self.take(normal=normal)
        item = self._display.take() if normal and len(self._display) else None
        return None if item is None else Taken(item)

    def rest(self, *, normal: bool) -> None:
        """Let the consumer go until something waits that it could take."""
        # First the token, then the look: what is posted in between sees the token.
        self._resting.append(True)
        if self._waits(normal=normal):
            self._tell()

    def look_again(self) -> None:
        """Have the consumer back if the lane that kept it away is open now."""
        if self._waits(normal=True):
            self._tell()

    def _waits(self, *, normal: bool) -> bool:
        if self._urgent or self._own:
            return True
        try:
            if self._normal and (normal or self._normal[0][0] < self._cancelled_up_to):
                return True
        except IndexError:  # drained just now
            return False
        return normal and len(self._display) > 0

    def _tell(self) -> None:
        if self._resting:
            try:
                self._resting.pop()
            except IndexError:
                return  # somebody else was faster
            self.on_waiting()

    def withdraw(self, is_meant: Callable[[object], bool]) -> list[Any]:
        """Take such items out of the urgent lane. Only while nobody consumes."""
        found = [item for item in list(self._urgent) if is_meant(item)]
        for item in found:
            self._urgent.remove(item)
        return found

    def close(self) -> None:
        """Refuse further posts; a consumer that rests is told."""
        self._closed = True
        self._tell()

    def drain_own(self) -> list[OwnCall]:
        """Take the calls about the module's own work: nobody will make them."""
        calls = []
        while True:
            try:
                calls.append(self._own.popleft())
            except IndexError:
                return calls

    def drain(self) -> list[object]:
        """Take everything that waits, except the module's own business."""
        items: list[object] = []
        queues: tuple[deque[Any], ...] = (self._urgent, self._normal)
        for queue in queues:
            while True:
                try:
                    entry = queue.popleft()
                except IndexError:
                    break
                items.append(entry[1] if isinstance(entry, tuple) else entry)
        while (item := self._display.take()) is not None:
            items.append(item)
        return items

    def put(self, envelope: Any, /) -> None:
        """Append a pykka envelope; its stop message overtakes (pykka's inbox hook)."""
        # Without a bound: a `tell` has no way to be told that it was refused.
        lane = Lane.URGENT if is_stop_envelope(envelope) else Lane.NORMAL
        if self._closed or not self._append(lane, envelope):
            refuse_envelope(envelope)

    def get(self) -> Any:
        """Return the next item of any lane, None if there is none (pykka's hook).

        pykka's own loop, which would wait here, is not used.
        """
        taken = self.take(normal=True)
        return None if taken is None else taken.item

    def empty(self) -> bool:
        """Whether nothing waits (pykka's inbox hook)."""
        return len(self) == 0

    def _append(self, lane: Lane, item: object) -> bool:
        queue: deque[Any] = self._urgent if lane is Lane.URGENT else self._normal
        entry = item if lane is Lane.URGENT else (next(self._sequence), item)
        queue.append(entry)
        self._tell()
        # `close` may have drained between the check before and our append; whoever
        # removes the entry now, we or a second drain, deals with it.
        return not (self._closed and _remove(queue, entry))


def _remove(queue: deque[Any], entry: object) -> bool:
    try:
        queue.remove(entry)
    except ValueError:
        return False
    return True


def _nobody() -> None:
    pass
