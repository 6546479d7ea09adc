"""Real threads that take turns in an order drawn from a seed, in a time of their own.

::

    sim = Interleaver(seed, preempt=0.02, files=[hal.kernel.mailbox.__file__])
    sim.run(scenario)  # what it tests got `sim` as its clock and its threads

What fails fails again with the same seed.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Final, Generic, TypeVar

from hal.base import Channel, Serial, SerialThread
from hal.testing.preemption import Preemption
from hal.testing.relay import Relay
from hal.testing.schedule import Schedule
from hal.testing.sim_thread import SimThread, Stuck

T = TypeVar("T")

_WALL_S: Final = 1.7e9


class Interleaver:
    """A `Clock` and `Threads` for tests: exactly one of its threads runs at a time.

    Another one may run when a thread waits (in `Channel.get`, `Clock.wait`,
    `Thread.join`), starts a thread or calls `yield_now`; with `preempt`, also before
    any bytecode of `files`. Time passes only when no thread can run, so that computing
    takes none.

    Runs on: `run` the test's thread; what waits or starts, the threads within `run`;
        the rest, and `put`, any.

    Guarantees:
        The same seed gives the same order, as long as what runs depends on nothing but
        this object.
        After `run` no thread is left; one that does not end is an error that names it.
    """

    def __init__(
        self,
        seed: int,
        *,
        preempt: float = 0.0,
        files: Sequence[str] = (),
        max_switches: int = 200_000,
        patience_s: float = 10.0,
    ) -> None:
        """Begin with time at 0.

        Args:
            seed: What all choices are drawn from.
            preempt: Probability that others get a turn before a bytecode, 0 to 1.
            files: Source files in which that happens. A `with` on a lock in them waits
                as a simulated thread; one in another file would wait for ever.
            max_switches: How many choices a run may take.
            patience_s: How long, in real time, one thread may run without a switch.

        Raises:
            ValueError: `preempt` is no probability, or has no files to be used in.
        """
        self.seed: Final = seed
        self._schedule = Schedule(seed, max_switches)
        preemption = Preemption(
            preempt,
            files,
            self._schedule.draw,
            lambda me: self._relay.offer(me),
            lambda me, lock: self._relay.await_lock(me, lock),
        )
        self._relay = Relay(self._schedule, preemption, patience_s)

    @property
    def switches(self) -> int:
        """How often it was chosen who runs next."""
        return self._schedule.switches

    @property
    def digest(self) -> str:
        """What all these choices come to: equal if the order was equal."""
        return self._schedule.digest

    @property
    def errors(self) -> tuple[BaseException, ...]:
        """What threads raised, `main` apart; a note of each names the thread."""
        threads = self._relay.threads[1:]
        return tuple(thread.error for thread in threads if thread.error is not None)

    def monotonic_s(self) -> float:
        """Seconds since the beginning; never goes back."""
        return self._schedule.now_s

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC; goes as `monotonic_s` does."""
        return _WALL_S + self._schedule.now_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return True as soon as `event` is set, False after `timeout_s`.

        Who sets and clears an event before the waiting thread has its turn has not set
        it at all.
        """
        me = self._relay.current_or_none()
        if event.is_set():
            return True
        has_time = timeout_s > 0.0  # not a number: no time
        if me is None and not has_time:
            return False
        me = me or self._relay.current("wait")
        if has_time:
            until = event.is_set
            self._relay.switch(me, "an event", until=until, timeout_s=timeout_s)
        else:
            self._relay.offer(me)
        return event.is_set()

    def serial(self, name: str) -> Serial:
        """Return a thread that is started with its first call."""
        return SerialThread(self, name)

    def channel(self) -> Channel[T]:
        """Return a new queue."""
        return _Channel(self._relay, self._schedule)

    def start(self, name: str, fn: Callable[[], None]) -> _Handle:
        """Run `fn` on a new daemon thread, which or the caller goes on first."""
        me = self._relay.current("start")
        thread = self._relay.start(name, fn)
        self._relay.offer(me)
        return _Handle(self._relay, thread)

    def yield_now(self) -> None:
        """Let any thread that can run go on, this one or another."""
        self._relay.offer(self._relay.current("yield_now"))

    def run(self, main: Callable[[], T]) -> T:
        """Return what `main` returns, which runs on a thread of its own, in turns.

        When it has ended, `SimulationOver` is raised in the threads that are left.

        Raises:
            Stuck: No thread can run or wake, a limit was passed, or one did not end.
            BaseException: What `main` raised; with notes on what others raised.
            BaseExceptionGroup: What others raised, when `main` has returned.
        """
        if self._relay.threads:
            raise RuntimeError("run: expected a new Interleaver, this one has run")
        returned: list[T] = []
        context = copy_context()
        try:
            self._relay.run(lambda: returned.append(context.run(main)))
        except Stuck as exc:
            raise self._noted(exc) from None
        error = self._relay.threads[0].error
        if error is not None:
            raise self._noted(error)
        if self.errors:
            group = BaseExceptionGroup("simulated threads raised", self.errors)
            group.add_note(self._which())
            raise group
        return returned[0]

    def _noted(self, error: BaseException) -> BaseException:
        """Return `error` with what else is known, and how to see it again."""
        for other in self.errors:
            notes = "; ".join(other.__notes__)
            error.add_note(f"{type(other).__name__}: {other} ({notes})")
        error.add_note(self._which())
        return error

    def _which(self) -> str:
        return f"Interleaver(seed={self.seed}): {self.switches} switches, {self.digest}"


class _Channel(Generic[T]):
    """A queue at which simulated threads wait."""

    def __init__(self, relay: Relay, schedule: Schedule) -> None:
        self._relay = relay
        self._schedule = schedule
        self._items: deque[T] = deque()
        self._waiting: deque[SimThread] = deque()

    def put(self, item: T, /) -> None:
        """Append `item`, and let the thread go on that has waited longest."""
        self._items.append(item)
        # Each step is whole, so that a put may interrupt another one or a get.
        try:
            waiting = self._waiting.popleft()
        except IndexError:
            return
        self._schedule.wake(waiting)

    def get(self) -> T:
        """Return the oldest item, waiting for it."""
        me = self._relay.current_or_none()
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                me = me or self._relay.current("get")
            self._relay.switch(
                me, "an item", at=self._waiting, unless=lambda: self._items
            )

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._items


class _Handle:
    """What `start` returns."""

    def __init__(self, relay: Relay, thread: SimThread) -> None:
        self._relay = relay
        self._thread = thread

    @property
    def ident(self) -> int | None:
        """What the system calls it."""
        return self._thread.real.ident

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._thread.ended

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most `timeout` seconds."""
        thread = self._thread
        me = self._relay.current_or_none()
        if me is None:
            thread.real.join(timeout)
            return
        if me is thread:
            raise RuntimeError(f"{me.name!r} waits for its own end")
        timeout_s = math.inf if timeout is None else timeout
        if thread.ended:
            return
        if timeout_s > 0.0:
            what, at = f"the end of {thread.name!r}", thread.joiners
            self._relay.switch(me, what, at=at, timeout_s=timeout_s)
            if not thread.ended:
                at.remove(me)
        else:
            self._relay.offer(me)
