"""The queue of one module: many senders, one consumer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from pykka import ActorDeadError
from pykka.messages import _ActorStop

from hal.kernel.message import Lane


class Mailbox:
    """Three queues and a wake-up: urgent, the module's own business, normal.

    Runs on: `post`, `put`, `close` any; `wait`, `take` the consumer.

    Guarantees:
        Posting never blocks and takes no lock, so it is safe in signal handlers,
        `__del__` and SDK callbacks.
        After `close` nothing stays inside: each item is handed to one `drain`.
    """

    def __init__(self) -> None:
        self._urgent: deque[object] = deque()
        self._own: deque[object] = deque()
        self._normal: deque[object] = deque()
        # SimpleQueue.put is written in C and re-entrant: a plain Condition here would
        # deadlock when a signal handler sends while its thread is inside `notify`.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._closed = False

    def __len__(self) -> int:
        """Return how many items wait in all queues."""
        return len(self._urgent) + len(self._own) + len(self._normal)

    def post(self, lane: Lane, item: object) -> bool:
        """Append `item`; False when the mailbox is closed and did not keep it."""
        if self._closed:
            return False
        (self._urgent if lane is Lane.URGENT else self._normal).append(item)
        self._wake.put(None)
        # `close` may have drained between our check and our append; whoever pops the
        # item now, we or a second drain, deals with it: nothing stays inside.
        return not (self._closed and self._remove(item))

    def post_own(self, item: Callable[[], object]) -> None:
        """Append a call that tells the module of its own jobs, loops and messages.

        Taken before the normal lane, also while a job keeps that lane closed.
        """
        self._own.append(item)
        self._wake.put(None)

    def take(self, *, normal: bool) -> object | None:
        """Return the next item, from the normal lane only if `normal`; None if none."""
        for queue in (self._urgent, self._own, self._normal):
            if queue is self._normal and not normal:
                return None
            try:
                return queue.popleft()
            except IndexError:
                continue
        return None

    def wait(self) -> None:
        """Sleep until something was posted; may return when there is nothing."""
        self._wake.get()

    def close(self) -> None:
        """Refuse further posts."""
        self._closed = True
        self._wake.put(None)

    def drain(self) -> list[object]:
        """Take everything that waits in the urgent and normal lanes."""
        items: list[object] = []
        for queue in (self._urgent, self._normal):
            while True:
                try:
                    items.append(queue.popleft())
                except IndexError:
                    break
        return items

    def put(self, envelope: Any, /) -> None:
        """Append a pykka envelope; its stop message overtakes (pykka's inbox hook)."""
        stop = isinstance(envelope.message, _ActorStop)
        if not self.post(Lane.URGENT if stop else Lane.NORMAL, envelope):
            refuse_envelope(envelope)

    def get(self) -> Any:
        """Return the next item of any lane, waiting for it (pykka's inbox hook)."""
        while (item := self.take(normal=True)) is None:
            self.wait()
        return item

    def empty(self) -> bool:
        """Whether nothing waits (pykka's inbox hook)."""
        return len(self) == 0

    def _remove(self, item: object) -> bool:
        for queue in (self._urgent, self._normal):
            try:
                queue.remove(item)
            except ValueError:
                continue
            return True
        return False


def refuse_envelope(envelope: Any) -> None:
    """Answer whoever asked a stopped actor through pykka, so that nobody waits."""
    if envelope.reply_to is None:
        return
    if isinstance(envelope.message, _ActorStop):
        envelope.reply_to.set(None)
    else:
        dead = ActorDeadError("the module has stopped")
        envelope.reply_to.set_exception((ActorDeadError, dead, None))
