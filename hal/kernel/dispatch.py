"""Which thread an actor's turn is taken on: one of its own, or one of a few shared.

A turn is short: it takes what waits in the mailbox and ends. An actor is scheduled
once at a time (its mailbox sees to that), so that no two threads are ever inside it.
"""

from __future__ import annotations

import enum
import threading
from collections import deque
from typing import Final, Protocol

from hal.base import Channel, Threads

TURN_ITEMS: Final = 64
"""So many items an actor takes before others of the pool get a turn."""
POOL_THREADS: Final = 2
POOL_MOST: Final = 32


class Dispatching(enum.StrEnum):
    """Where the handlers of a module run."""

    PINNED = "pinned"
    """On a thread of the module's own: whatever a neighbour does costs it nothing."""
    POOL = "pool"
    """On shared threads: cheap for many modules that only compute a little."""
    INLINE = "inline"
    """On the thread that sends: only for handlers of HAL's own that pass a message on,
    and neither wait nor call code of others."""


class Actor(Protocol):
    """What dispatchers run."""

    @property
    def thread_name(self) -> str:
        """What the thread is called during a turn."""

    @property
    def is_over(self) -> bool:
        """Whether it takes no more turns."""

    def turn(self) -> bool:
        """Take what waits; False if the thread was written off meanwhile."""


class Dispatcher(Protocol):
    """Gives actors their turns.

    Runs on: any; nothing blocks.
    """

    def schedule(self, actor: Actor) -> None:
        """Give `actor` a turn soon."""

    def write_off(self) -> None:
        """Take note that a thread hangs in a turn and will not come back in time."""


class Pinned:
    """A thread for one actor, which ends with it."""

    def __init__(self, threads: Threads, name: str) -> None:
        self._turns: Channel[Actor] = threads.channel()
        threads.start(name, self._run)

    def schedule(self, actor: Actor) -> None:
        """Give `actor` a turn soon."""
        self._turns.put(actor)

    def write_off(self) -> None:
        """Nothing to do: the thread ends when it is out of its call."""

    def _run(self) -> None:
        while True:
            actor = self._turns.get()
            # Written off, it may not be over yet: the watchdog is about to say so.
            if not actor.turn() or actor.is_over:
                return


class Inline:
    """No thread: the actor has its turn where it is scheduled.

    As in the broker, who finds another thread (or itself, further up) at it leaves the
    turn to that one.
    """

    def __init__(self) -> None:
        self._turns: deque[Actor] = deque()
        self._taking = threading.Lock()

    def schedule(self, actor: Actor) -> None:
        """Give `actor` a turn now."""
        self._turns.append(actor)
        while self._turns:
            if not self._taking.acquire(blocking=False):
                return
            try:
                self._turns.popleft().turn()
            except IndexError:
                continue
            finally:
                self._taking.release()

    def write_off(self) -> None:
        """Nothing to do: the thread is not ours."""


class Pool:
    """A few threads for many actors, and more while those are held up.

    Guarantees:
        A thread that hangs is replaced, so actors that hang never exhaust the pool.
        Slow handlers delay others by one watchdog tick, as long as threads may be
        added (`POOL_MOST`).
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._turns: Channel[Actor | None] = threads.channel()
        self._lock = threading.Lock()
        self._is_open = True
        self._alive = 0
        self._surplus = 0
        self._taken = 0
        self._taken_before = -1

    def start(self) -> None:
        """Start the threads."""
        for _ in range(POOL_THREADS):
            self._add()

    def stop(self) -> None:
        """Let the threads end after the turn they are in; returns at once."""
        with self._lock:
            # The orders to end must not look like actors that wait for a thread.
            self._is_open = False
            alive = self._alive
        for _ in range(alive):
            self._turns.put(None)

    def schedule(self, actor: Actor) -> None:
        """Give `actor` a turn soon."""
        self._turns.put(actor)

    def write_off(self) -> None:
        """Replace a thread that hangs."""
        with self._lock:
            self._alive -= 1
        self._add()

    def check(self) -> None:
        """Add a thread if actors wait and nobody has begun a turn since last time.

        Runs on: watchdog, at each tick.
        """
        taken = self._taken
        if not self._turns.empty() and taken == self._taken_before:
            with self._lock:
                may_grow = self._alive < POOL_MOST
                self._surplus += may_grow
            if may_grow:
                self._add()
        self._taken_before = taken

    def _add(self) -> None:
        with self._lock:
            if not self._is_open:
                return
            self._alive += 1
        self._threads.start("hal/pool", self._run)

    def _run(self) -> None:
        thread = threading.current_thread()
        while (actor := self._turns.get()) is not None:
            # Only ever compared with itself a tick later: a lost count does no harm.
            self._taken += 1
            thread.name = actor.thread_name
            if not actor.turn():
                return  # replaced long ago
            thread.name = "hal/pool"
            if self._surplus and self._leaves():
                return
        with self._lock:
            self._alive -= 1

    def _leaves(self) -> bool:
        """Whether this thread was added for a while that is over."""
        with self._lock:
            if not self._surplus or not self._turns.empty():
                return False
            self._surplus -= 1
            self._alive -= 1
            return True


def dispatcher(
    kind: Dispatching, pool: Pool, threads: Threads, name: str
) -> Dispatcher:
    """Return what gives an actor its turns; a thread of its own is called `name`."""
    if kind is Dispatching.PINNED:
        return Pinned(threads, name)
    return Inline() if kind is Dispatching.INLINE else pool
