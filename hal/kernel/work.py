"""What a module does beside handling messages: its jobs and its loops."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from hal.base import ErrorRecord, ModuleDead, get_logger
from hal.kernel.context import Context
from hal.kernel.delivery import Delivery, How
from hal.kernel.loop import Loop
from hal.kernel.waits import blocking_module
from hal.kernel.worker import Job, Worker

OnLoopEnd = Callable[[Loop, ErrorRecord | None], None]


class Owner(Protocol):
    """What jobs and loops need of the module they belong to."""

    name: str
    generation: int
    context: Context

    @property
    def is_given_up(self) -> bool:
        """Whether a later generation has its seat, or will have."""

    @property
    def thread_name(self) -> str:
        """What its own thread is called."""

    def post_own(
        self, call: Callable[[], object], late: Callable[[], object] = ...
    ) -> None:
        """Have `call` made on the actor, or `late` if it is given up; any thread."""

    def finish(
        self,
        delivery: Delivery,
        by: str,
        response: object,
        error: BaseException | ErrorRecord | None,
    ) -> None:
        """Claim the module's ticket, or note that the result is late."""

    def claim_late(self, delivery: Delivery, error: ErrorRecord) -> None:
        """Claim the module's ticket as timed out; any thread."""

    def note_back(self, what: str, identity: str | None, how: How) -> None:
        """Note that something given up has ended after all; any thread."""

    def within(self, delivery: Delivery | None, call: Callable[[], object]) -> object:
        """Return `call()`, made as part of handling `delivery`."""

    def job_failed(self, error: BaseException) -> None:
        """Look at what a job raised."""

    def give_up(self, error: ErrorRecord) -> None:
        """End this generation because it hangs."""


class Work:
    """Jobs in order, and loops side by side, of one generation of a module.

    Runs on: actor, except `_expire_job` (watchdog) and what says so.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._worker = Worker(f"{owner.thread_name}/worker", owner.context.threads)
        self._jobs: deque[Job] = deque()
        self._loops: tuple[Loop, ...] = ()
        self._serving: Loop | None = None
        self._log = get_logger(module=owner.name)

    @property
    def is_idle(self) -> bool:
        """Whether no job runs or waits: the normal lane is open."""
        return not self._jobs

    @property
    def job_count(self) -> int:
        """How many jobs run and wait."""
        return len(self._jobs)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops that have not ended. Any thread."""
        return self._loops

    def describe(self) -> str:
        """Return what it is in, for people; empty when idle. Any thread."""
        for job in list(self._jobs):
            return f"in job '{job.what}'"
        return ""

    def lingering(self) -> str:
        """Return what a thread is still inside, for people; empty if none is. Any."""
        for job in list(self._jobs):
            if job.is_running:
                return f"in job '{job.what}'"
        for loop in self._loops:
            if loop.is_running:
                return f"in loop '{loop.what}'"
        return ""

    # -- jobs ---------------------------------------------------------------------

    def run_job(
        self,
        fn: Callable[[], Any],
        *,
        deadline_s: float,
        what: str,
        delivery: Delivery | None,
        then: Callable[[Any], object] | None,
    ) -> None:
        """Queue a job; see `Module.run_job`."""
        self._refuse_if_given_up()
        watchdog, origin = self._owner.context.watchdog, contextvars.copy_context()

        def ended(job: Job) -> None:
            # On the worker, at once: a job that ended in time must not count as late
            # because the actor, busy with an urgent message, hears of it later.
            watchdog.unwatch(job)
            how = How.DONE if job.error is None else How.FAILED
            self._owner.post_own(
                lambda: origin.run(self._end_job, job),
                lambda: self._owner.note_back(job.what, job.delivery_id, how),
            )

        context = contextvars.copy_context()
        context.run(blocking_module.set, self._owner.name)
        job = Job(
            self._owner.name,
            fn,
            what=what,
            deadline_s=deadline_s,
            delivery=delivery,
            then=then,
            context=context,
            clock=self._owner.context.clock,
            on_end=ended,
            on_expire=self._expire_job,
        )
        self._jobs.append(job)
        if delivery is not None:
            # The job's own deadline ends it first, with a dump; this one is a backstop.
            patience_s = sum(waiting.deadline_s for waiting in self._jobs) + 1.0
            delivery.extend(self._owner.name, patience_s)
        if len(self._jobs) == 1:
            self._submit(job)

    def _submit(self, job: Job) -> None:
        job.begin()
        self._owner.context.watchdog.watch(job)
        self._worker.submit(job, served=self._serving is not None)

    def _refuse_if_given_up(self) -> None:
        if self._owner.is_given_up:
            owner = self._owner
            raise ModuleDead(
                f"generation {owner.generation} of {owner.name} was given up"
            )

    def _expire_job(self, job: Job, error: ErrorRecord) -> None:
        """Give up a job; runs on the watchdog."""
        if job.delivery is not None:
            self._owner.claim_late(job.delivery, error)
        self._owner.post_own(lambda: self._job_hangs(job, error))

    def _job_hangs(self, job: Job, error: ErrorRecord) -> None:
        # Unless it ended just before the watchdog's news arrived.
        if self._jobs and self._jobs[0] is job:
            self._owner.give_up(error)

    def _end_job(self, job: Job) -> None:
        response, error = job.result, job.error
        if error is None and job.then is not None:
            then = job.then
            try:
                response = self._owner.within(job.delivery, lambda: then(job.result))
            except BaseException as exc:  # noqa: BLE001 - attached to the delivery
                error = exc
        self._jobs.popleft()
        # The message ends with the last of its jobs, or the first that fails.
        goes_on = error is None and any(
            other.delivery is job.delivery for other in self._jobs
        )
        if error is not None:
            self._owner.job_failed(error)
        if job.delivery is None:
            if error is not None:
                self._log.error("job failed", what=job.what, exc_info=error)
        elif not goes_on:
            self._owner.finish(job.delivery, "job", response, error)
        if self._jobs:
            self._submit(self._jobs[0])

    # -- loops --------------------------------------------------------------------

    def run_loop(
        self,
        fn: Callable[[Loop], None],
        *,
        stall_s: float,
        what: str,
        delivery: Delivery | None,
        on_end: OnLoopEnd | None,
        serves_jobs: bool,
    ) -> Loop:
        """Start a loop; see `Module.run_loop`."""
        self._refuse_if_given_up()
        owner, origin = self._owner, contextvars.copy_context()

        def ended(loop: Loop, error: ErrorRecord | None, late: bool) -> None:
            owner.context.watchdog.unwatch(loop)
            how = How.DONE if error is None else How.FAILED
            owner.post_own(
                lambda: origin.run(self._end_loop, loop, error, late, on_end),
                lambda: owner.note_back(loop.what, loop.delivery_id, how),
            )

        loop = Loop(
            owner.name,
            fn,
            what=what,
            stall_s=stall_s,
            context=contextvars.copy_context(),
            clock=owner.context.clock,
            serve=self._worker.serve,
            on_end=ended,
        )
        loop.delivery_id = None if delivery is None else str(delivery.id)
        if serves_jobs:
            self._serving = loop
        self._loops = (*self._loops, loop)
        owner.context.watchdog.watch(loop)
        if serves_jobs:
            # Where the jobs run: a driver never sees two threads.
            loop.start(self._worker.lend)
        else:
            name = f"{owner.thread_name}/loop"
            loop.start(partial(owner.context.threads.start, name))
        return loop

    def _end_loop(
        self,
        loop: Loop,
        error: ErrorRecord | None,
        late: bool,
        on_end: OnLoopEnd | None,
    ) -> None:
        if not loop.is_running:
            self._loops = tuple(other for other in self._loops if other is not loop)
            self._stop_serving(loop)
        if late:  # its module heard that it stalled, just before it ended after all
            how = How.DONE if error is None else How.FAILED
            self._owner.note_back(loop.what, loop.delivery_id, how)
            return
        try:
            if on_end is not None:
                on_end(loop, error)
            elif error is not None:
                self._log.error("loop failed", what=loop.what, reason=error.text)
        finally:
            if loop.is_running:
                assert error is not None
                self._owner.give_up(error)

    def _stop_serving(self, loop: Loop) -> None:
        if self._serving is loop:
            self._serving = None
            self._worker.take_back()

    # -- its end ------------------------------------------------------------------

    def stop(self) -> list[Delivery]:
        """Have everything end that can; return the deliveries jobs still owe. Any.

        Jobs that have not begun never will.
        """
        owed = []
        for job in list(self._jobs):
            job.given_up = True
            if job.delivery is not None:
                owed.append(job.delivery)
            if not job.is_running:
                self._owner.context.watchdog.unwatch(job)
                if job.delivery is None:  # nobody else would hear of it
                    self._log.warning("job given up", what=job.what)
        for loop in self._loops:
            if self._owner.is_given_up:
                loop.give_up()
            else:
                loop.stop()
        self._worker.stop()
        return owed
