"""What a module does beside handling messages: its jobs, its loops, what hangs."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from hal.base import ErrorRecord, ModuleState, StateError, get_logger
from hal.kernel.context import Context
from hal.kernel.delivery import Delivery, How
from hal.kernel.loop import Loop
from hal.kernel.waits import blocking_module
from hal.kernel.watchdog import Activity
from hal.kernel.worker import Job, Worker

OnLoopEnd = Callable[[Loop, ErrorRecord | None], None]


class Owner(Protocol):
    """What jobs and loops need of the module they belong to."""

    name: str
    generation: int
    context: Context
    state: ModuleState

    def set_state(self, state: ModuleState, reason: str = "") -> None:
        """Change the module's state."""

    def post_own(self, call: Callable[[], object]) -> None:
        """Have `call` made on the actor; any thread."""

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

    def within(self, delivery: Delivery | None, call: Callable[[], object]) -> object:
        """Return `call()`, made as part of handling `delivery`."""


class Work:
    """Jobs in order, loops side by side, and the list of what has been given up.

    Runs on: actor, except `expire_job` and `handler_hangs` (watchdog).
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._worker = Worker(f"{owner.name}/{owner.generation}/worker")
        self._jobs: deque[Job] = deque()
        self._loops: list[Loop] = []
        self._serving: Loop | None = None
        self._hung: list[Activity] = []
        self._before_hang = ModuleState.LOADED
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
        """The loops that have not ended."""
        return tuple(self._loops)

    def describe(self) -> str:
        """Return what it is in, for people; empty when idle. Any thread."""
        jobs, hung = list(self._jobs), list(self._hung)
        if hung:
            return f"hung in {hung[0].kind} '{hung[0].what}'"
        return f"in job '{jobs[0].what}'" if jobs else ""

    def deliveries(self) -> list[Delivery]:
        """Return the deliveries that jobs have yet to end. Any thread."""
        return [job.delivery for job in list(self._jobs) if job.delivery is not None]

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
        self._refuse_if_hung()
        watchdog, origin = self._owner.context.watchdog, contextvars.copy_context()

        def ended(job: Job) -> None:
            # On the worker, at once: a job that ended in time must not count as late
            # because the actor, busy with an urgent message, hears of it later.
            watchdog.unwatch(job)
            self._owner.post_own(lambda: origin.run(self._end_job, job))

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
        if delivery is not None and not delivery.deadline_is_explicit:
            # The job's own deadline ends it first, with a dump; this one is a backstop.
            patience_s = sum(waiting.deadline_s for waiting in self._jobs) + 1.0
            ticket = delivery.tickets[self._owner.name]
            ticket.extend(self._owner.context.clock.monotonic_s() + patience_s)
        if len(self._jobs) == 1:
            self._submit(job)

    def _submit(self, job: Job) -> None:
        job.begin()
        self._owner.context.watchdog.watch(job)
        self._worker.submit(job, served=self._serving is not None)

    def _refuse_if_hung(self) -> None:
        for activity in self._hung:
            if activity.kind == "job" or activity is self._serving:
                raise StateError(
                    f"{self._owner.name} is hung in {activity.kind} '{activity.what}'"
                )

    def _expire_job(self, job: Job, error: ErrorRecord) -> None:
        """Give up a job; runs on the watchdog."""
        if job.delivery is not None:
            self._owner.claim_late(job.delivery, error)
        self._owner.post_own(lambda: self._leave_behind(job))

    def _leave_behind(self, job: Job) -> None:
        """Open the lane again after a hung job; the device stays out of reach."""
        if not self._jobs or self._jobs[0] is not job:
            return  # it ended just before the watchdog's news arrived
        self._jobs.popleft()
        self._note_hang(job)
        waiting, self._jobs = self._jobs, deque()
        text = f"{self._owner.name} is hung in job '{job.what}'"
        for other in waiting:
            if other.delivery is not None:
                self._owner.finish(other.delivery, "module", None, StateError(text))
            else:
                self._log.error("job given up", what=other.what, reason=text)

    def _end_job(self, job: Job) -> None:
        if not self._jobs or self._jobs[0] is not job:
            if job.delivery is not None:
                self._owner.finish(job.delivery, "job", job.result, job.error)
            self.recover(job)
            return
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
        self._refuse_if_hung()
        owner, origin = self._owner, contextvars.copy_context()

        def ended(loop: Loop, error: ErrorRecord | None, late: bool) -> None:
            owner.context.watchdog.unwatch(loop)
            owner.post_own(
                lambda: origin.run(self._end_loop, loop, error, late, on_end)
            )

        loop = Loop(
            owner.name,
            fn,
            what=what,
            stall_s=stall_s,
            thread_name=f"{owner.name}/{owner.generation}/loop",
            context=contextvars.copy_context(),
            clock=owner.context.clock,
            serve=self._worker.serve,
            on_end=ended,
        )
        loop.delivery_id = None if delivery is None else str(delivery.id)
        if serves_jobs:
            self._serving = loop
        self._loops.append(loop)
        owner.context.watchdog.watch(loop)
        loop.start()
        return loop

    def _end_loop(
        self,
        loop: Loop,
        error: ErrorRecord | None,
        late: bool,
        on_end: OnLoopEnd | None,
    ) -> None:
        if loop in self._loops:
            self._loops.remove(loop)
        if late:  # the module heard of the stall long ago
            self._owner.context.trace.record(
                "late result",
                module=self._owner.name,
                what=loop.what,
                id=loop.delivery_id,
                how=How.DONE if error is None else How.FAILED,
                generation=self._owner.generation,
            )
            self._stop_serving(loop)
            self.recover(loop)
            return
        if error is not None and error.kind == "WorkerTimeout" and error.dump:
            self._note_hang(loop)
        else:
            self._stop_serving(loop)
        if on_end is not None:
            on_end(loop, error)
        elif error is not None:
            self._log.error("loop failed", what=loop.what, reason=error.text)

    def _stop_serving(self, loop: Loop) -> None:
        if self._serving is loop:
            self._serving = None
            self._worker.take_back()

    # -- hangs --------------------------------------------------------------------

    def handler_hangs(self, activity: Activity) -> None:
        """Note that the actor is stuck in a handler; runs on the watchdog."""
        self._note_hang(activity)
        # The actor reads this when, and only when, it is out of the handler again.
        self._owner.post_own(lambda: self.recover(activity))

    def _note_hang(self, activity: Activity) -> None:
        if not self._hung:
            self._before_hang = self._owner.state
        self._hung.append(activity)
        reason = f"{activity.kind} '{activity.what}' hangs"
        self._owner.set_state(ModuleState.HUNG, reason)

    def recover(self, activity: Activity) -> None:
        """Note that something given up has ended after all."""
        if activity in self._hung:
            self._hung.remove(activity)
        if not self._hung and self._owner.state is ModuleState.HUNG:
            self._owner.set_state(self._before_hang, f"'{activity.what}' ended late")

    def stop(self) -> None:
        """Ask all loops to end and let the worker thread go; returns at once."""
        for loop in self._loops:
            loop.stop()
        self._worker.stop()
