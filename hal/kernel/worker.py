"""A module's second thread: where blocking work is done, one thing at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from hal.base import Cancelled, Clock, ErrorRecord, Threads
from hal.kernel.delivery import Delivery


class Job:
    """One blocking call, and who is told how it ended.

    Runs on: `run` worker; `expire` watchdog; the rest actor.
    """

    kind = "job"

    def __init__(
        self,
        module: str,
        fn: Callable[[], Any],
        *,
        what: str,
        deadline_s: float,
        delivery: Delivery | None,
        then: Callable[[Any], object] | None,
        context: Context,
        clock: Clock,
        on_end: Callable[[Job], None],
        on_expire: Callable[[Job, ErrorRecord], None],
    ) -> None:
        self.module = module
        self.what = what
        self.deadline_s = deadline_s
        self.delivery = delivery
        self.then = then
        self.started_s = clock.monotonic_s()
        self.deadline_at_s = self.started_s + deadline_s
        self.result: Any = None
        self.error: BaseException | None = None
        self.given_up = False
        """It shall not begin any more."""
        self.is_running = False
        """Whether a thread is in it."""
        self._fn = fn
        self._context = context
        self._clock = clock
        self._on_end = on_end
        self._on_expire = on_expire

    @property
    def delivery_id(self) -> str | None:
        """Short id of the message that asked for it."""
        return None if self.delivery is None else str(self.delivery.id)

    def begin(self) -> None:
        """Start its deadline: it is about to run."""
        self.started_s = self._clock.monotonic_s()
        self.deadline_at_s = self.started_s + self.deadline_s

    def run(self) -> None:
        """Call the function, keep what comes of it, and report the end."""
        # In this order: who gives it up either sees it running or keeps it from that.
        self.is_running = True
        self.begin()
        try:
            if self.given_up:
                raise Cancelled(f"'{self.what}' was given up before it began")
            self.result = self._context.run(self._fn)
        except BaseException as exc:  # noqa: BLE001 - handed to whoever is waiting
            self.error = exc
        self.is_running = False
        self._on_end(self)

    def expire(self, error: ErrorRecord) -> None:
        """Give it up."""
        self.given_up = True
        self._on_expire(self, error)


class Worker:
    """Runs jobs in order on one thread; a loop may have it for a while.

    Runs on: `submit`, `lend`, `stop` actor; `serve` the loop that has the thread.
    """

    def __init__(self, name: str, threads: Threads) -> None:
        self._thread = threads.serial(name)
        # Apart from the others, which wait for the thread.
        self._served: deque[Job] = deque()

    def submit(self, job: Job, *, served: bool = False) -> None:
        """Queue `job`; `served` means a loop takes it with `serve`."""
        if served:
            self._served.append(job)
        else:
            self._thread.put(job.run)

    def lend(self, run: Callable[[], None]) -> None:
        """Run a loop on the thread, which has it until it ends."""
        self._thread.put(run)

    def serve(self, is_ending: Callable[[], bool]) -> None:
        """Run a job that waits for a loop, on the calling thread, unless it is ending.

        Asked after the job was taken: one that was queued behind the order to end
        (closing the device) always finds the order given, and waits for the thread.
        """
        job = self._next_served()
        if job is None:
            return
        if is_ending():
            self._served.append(job)
        else:
            job.run()

    def take_back(self) -> None:
        """Have the thread run what waits for a loop: none serves it any more."""
        while (job := self._next_served()) is not None:
            self.submit(job)

    def _next_served(self) -> Job | None:
        try:
            return self._served.popleft()
        except IndexError:
            return None

    def stop(self) -> None:
        """Let the thread end after the job it is in; returns at once."""
        self._thread.stop()
