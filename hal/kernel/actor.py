"""The actor under every module: handlers, worker, loops and timers of a generation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pykka

from hal.base import (
    Clock,
    ErrorRecord,
    ModuleDead,
    ModuleState,
    Parametrized,
    ProcessUsage,
    StateError,
    Value,
    get_logger,
)
from hal.kernel.context import Context
from hal.kernel.current import current_delivery
from hal.kernel.delivery import Delivery, How
from hal.kernel.dispatch import Dispatching, dispatcher
from hal.kernel.hooks import Hooks
from hal.kernel.loop import Loop
from hal.kernel.mailbox import OwnCall
from hal.kernel.message import Message
from hal.kernel.timers import Timer
from hal.kernel.turns import Turns
from hal.kernel.wire import Outcome
from hal.kernel.work import OnLoopEnd, Work


class ModuleActor(pykka.Actor, Parametrized, Hooks):
    """Runs handlers one at a time, and gives them jobs, loops and timers.

    Handlers return within 10 ms. For more there is `run_job` (one blocking call),
    `run_loop` (endless work) and `after`. `Module` adds life cycle and parameters.

    Runs on: actor, unless said otherwise. `send` any, `ask` any but actor.
    """

    role: ClassVar[str] = ""
    """What it is to the system (`camera`, `recorder`); names are free."""
    dispatching: ClassVar[Dispatching] = Dispatching.PINNED
    """Whether its handlers have a thread of their own."""
    stays_because: ClassVar[str] = ""
    """Why it cannot live in a process of its own; empty if it can."""

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        self.name = name
        self.context = context
        self.seat = context.seats[name]
        self.generation = self.seat.generation
        pykka.Actor.__init__(self)
        Parametrized.__init__(self, **values)
        self.deadline_s = deadline_s
        self.log = get_logger(module=name)
        self.is_admitting = True
        """Whether the normal lane is open, apart from jobs: life may begin."""
        self.is_buried = False
        """Whether the supervisor has heard of its end, if it needs to."""
        self._turns = Turns(self)
        self._work = Work(self)
        # Taken by whoever ends this generation first.
        self._life = [True]
        self._end = f"generation {self.generation} of {name} was given up"

    @property
    def clock(self) -> Clock:
        """The injected clock."""
        return self.context.clock

    @property
    def state(self) -> ModuleState:
        """Where the module is in its life; any thread."""
        return self.seat.state

    @property
    def reason(self) -> str:
        """Why it is in that state, for people; any thread."""
        return self.seat.reason

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops of this module that have not ended."""
        return self._work.loops

    @property
    def thread_name(self) -> str:
        """What the thread is called on which its handlers run."""
        return f"{self.name}/{self.generation}"

    @property
    def is_given_up(self) -> bool:
        """Whether a later generation has its seat, or will have; any thread."""
        return not self._life

    @property
    def admits(self) -> bool:
        """Whether the normal lane is open."""
        return self.is_admitting and self._work.is_idle

    @property
    def job_count(self) -> int:
        """How many jobs run and wait."""
        return self._work.job_count

    @property
    def doing(self) -> str:
        """What one of its threads is inside of, for people; any thread."""
        return self._turns.inside or self._work.lingering()

    @property
    def busy_with(self) -> str:
        """What it is doing at this moment, for people; empty when idle; any thread."""
        return self._work.describe() or self.doing or self._turns.awaits

    def send(
        self,
        message: Message,
        *,
        to: str | None = None,
        sync: bool = False,
        deadline_s: float | None = None,
        run_id: str | None = None,
        reply: Callable[[Delivery], None] | None = None,
    ) -> Delivery:
        """Send a message in this module's name; returns at once.

        Args:
            message: What to say.
            to: The one receiver, where several modules handle it.
            sync: Wait for all before it, hold all after it.
            deadline_s: How long to wait; the class's default if None.
            run_id: The run it is part of; that of its cause if None.
            reply: Called on the actor with the completed delivery. Without it, a
                delivery with errors is logged.

        Runs on: any.
        """
        callback = reply or self.log_failure
        if self.is_given_up:
            return self.context.broker.refuse(message, self.name, self._too_late())
        return self.context.broker.send(
            message,
            principal=self.name,
            to=to,
            sync=sync,
            deadline_s=deadline_s,
            run_id=run_id,
            on_complete=lambda done: self.post_own(
                lambda: self._caused_by(done, callback)
            ),
        )

    def ask(
        self,
        message: Message,
        *,
        to: str | None = None,
        deadline_s: float | None = None,
    ) -> object:
        """Send a message and wait for its response; for jobs and loops only.

        Runs on: worker, loops.

        Raises:
            HalError: What went wrong at the receiver, in its own class.
            DeadlockError: The receiver waits, perhaps through others, for this module.
            StateError: Called on the actor, which must not wait.
            ModuleDead: This generation was given up meanwhile.
        """
        if threading.get_ident() == self._turns.thread_id:
            raise StateError(f"{self.name}: a handler must not wait; use send(reply=)")
        if self.is_given_up:
            raise self._too_late().to_exception()
        delivery = self.context.broker.send(
            message, principal=self.name, to=to, deadline_s=deadline_s
        )
        with self.context.broker.waits.waiting(delivery):
            delivery.wait()
        return delivery.result()

    def run_job(
        self,
        fn: Callable[[], Any],
        *,
        deadline_s: float | None = None,
        what: str = "",
        then: Callable[[Any], object] | None = None,
    ) -> None:
        """Do blocking work on the worker; the message completes when it has ended.

        The normal lane waits meanwhile, the urgent lane does not. Jobs run in order.

        Args:
            fn: The blocking call; its return value is the response.
            deadline_s: When it counts as hung; the module's own deadline if None.
            what: Name for people; the message's by default.
            then: Called on the actor with the result; what it returns is the response.

        Raises:
            ModuleDead: This generation was given up meanwhile.
        """
        delivery = self._turns.handling
        self._work.run_job(
            fn,
            deadline_s=self.deadline_s if deadline_s is None else deadline_s,
            what=what or (delivery.type if delivery else "job"),
            delivery=delivery,
            then=then,
        )

    def run_loop(
        self,
        fn: Callable[[Loop], None],
        *,
        stall_s: float,
        what: str,
        on_end: OnLoopEnd | None = None,
        serves_jobs: bool = False,
    ) -> Loop:
        """Start endless work on a thread of its own; the normal lane stays open.

        Args:
            fn: Gets the `Loop`; must `beat()` at least every `stall_s` and end soon
                after `loop.stopping` is set.
            stall_s: How long it may go without beating.
            what: Name for people.
            on_end: Called on the actor when it has ended, once, with why if it failed.
            serves_jobs: The loop owns the driver: jobs of this module run on its
                thread, whenever it calls `loop.serve_jobs()`.

        Raises:
            ModuleDead: This generation was given up meanwhile.
        """
        return self._work.run_loop(
            fn,
            stall_s=stall_s,
            what=what,
            delivery=self._turns.handling,
            on_end=on_end,
            serves_jobs=serves_jobs,
        )

    def defer(self) -> Delivery:
        """Leave the ticket of the message being handled open; `settle` ends it.

        Its deadline holds; if this generation is given up it completes as `ModuleDead`.
        """
        return self._turns.defer()

    def settle(self, outcome: Outcome) -> bool:
        """End a ticket that was left open; False, and noted, if it is late. Any."""
        return self._turns.settle(outcome)

    def after(self, delay_s: float, message: Message) -> Timer:
        """Send `message` to this module itself in `delay_s` seconds.

        Runs on: any.
        """

        def due() -> None:
            self.send(message, to=self.name)

        return self.context.timers.after(delay_s, due)

    def set_state(self, state: ModuleState, reason: str = "") -> None:
        """Change the module's state; told to all modules and the trace."""
        if not self.is_given_up:
            self.seat.set_state(state, reason)

    def fail(self, error: BaseException) -> None:
        """End this generation because it cannot go on; the supervisor restarts it.

        Runs on: any.
        """
        give_up = partial(self.give_up, ErrorRecord.from_exception(error, self.name))
        if threading.get_ident() == self._turns.thread_id:
            give_up()
        else:  # only the actor may leave its mailbox
            self.post_own(give_up)

    def usage(self) -> ProcessUsage | None:
        """Return what its process uses, if it has one of its own; any thread."""
        return None

    # -- for the supervisor -------------------------------------------------------

    def give_up(self, error: ErrorRecord) -> None:
        """End this generation; the supervisor sees to a successor.

        Only the first call counts.

        Runs on: actor, or watchdog if the actor hangs.
        """
        try:
            self._life.pop()
        except IndexError:
            return
        self._end += f": {error.text}"
        self.is_admitting = False
        self.actor_stopped.set()
        self.context.supervisor.died(self, error)

    def admit(self) -> None:
        """Open the normal lane."""
        self.is_admitting = True

    def dissolve(self) -> list[Delivery]:
        """End its work as far as that can be; return the deliveries it still owes.

        Runs on: supervisor, after `give_up`.
        """
        pykka.ActorRegistry.unregister(self.actor_ref)
        return self._end_work()

    def vacate(self) -> None:
        """Leave the seat for good: stopped in order."""
        self._end = f"{self.name} has stopped"
        self.seat.close(self._end)
        owed = self._end_work()
        self._life.clear()  # whatever still runs reaches nobody
        self.is_buried = True
        self.seat.claim_dead(owed, self._end)
        self.context.supervisor.has_left(self, self._end)

    def _end_work(self) -> list[Delivery]:
        handling = self._turns.handling  # looked at once: it may end just now
        at_hand = [] if handling is None else [handling]
        return [*self._work.stop(), *at_hand, *self._turns.deferred]

    # -- for the module's work ----------------------------------------------------

    def post_own(
        self,
        call: Callable[[], object],
        late: Callable[[], object] = lambda: None,
    ) -> None:
        """Have `call` made on the actor, before the normal lane.

        Args:
            call: What to do.
            late: Done instead if this generation is given up by then; on any thread.

        Runs on: any.
        """
        if self.is_given_up:
            late()
        else:
            self.seat.mailbox.post_own(OwnCall(self, call, late))

    def within(self, delivery: Delivery | None, call: Callable[[], object]) -> object:
        """Return `call()`, made as part of handling `delivery`, if there is one."""
        return self._turns.within(delivery, call)

    def finish(
        self,
        delivery: Delivery,
        by: str,
        response: object,
        error: BaseException | ErrorRecord | None,
    ) -> None:
        """Claim this module's ticket; a result that comes too late is only noted."""
        if not self.is_given_up:
            self.seat.finish(delivery, by, response, error, self.generation)
            return
        # Its word does not count any more, whether or not the supervisor came first.
        self.seat.claim_dead([delivery], self._end)
        how = How.DONE if error is None else How.FAILED
        self.seat.note_late(delivery.type, str(delivery.id), how, self.generation)

    def claim_late(self, delivery: Delivery, error: ErrorRecord) -> None:
        """Claim this module's ticket as timed out.

        Runs on: watchdog.
        """
        self.seat.claim(delivery, How.TIMEOUT, "watchdog", error=error)

    def note_back(self, what: str, identity: str | None, how: How) -> None:
        """Note that something given up has ended after all: it changes nothing.

        Runs on: any.
        """
        self.seat.note_late(what, identity, how, self.generation)
        self.context.supervisor.came_back(self)

    # -- the actor ----------------------------------------------------------------

    def _create_actor_inbox(self) -> Any:  # type: ignore[override]
        # Not static as in pykka: the mailbox is the seat's, for all generations.
        return self.seat.mailbox

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        self.context.supervisor.occupy(self)

    def take_seat(self) -> None:
        """Begin to take what waits in the mailbox.

        Runs on: whoever started it, after the generation before was given up.
        """
        pool, threads = self.context.pool, self.context.threads
        self._turns.begin(dispatcher(self.dispatching, pool, threads, self.thread_name))

    def receive(self, message: Any) -> Any:
        """Do what a message through pykka asks for."""
        return self._handle_receive(message)

    def _caused_by(
        self, delivery: Delivery, callback: Callable[[Delivery], None]
    ) -> None:
        token = current_delivery.set(delivery)
        try:
            callback(delivery)
        finally:
            current_delivery.reset(token)

    def _too_late(self) -> ErrorRecord:
        return ErrorRecord.from_exception(ModuleDead(self._end), self.name)

    def contained(self, what: str, call: Callable[[], object]) -> None:
        """Call `call`; what it raises is logged. Any thread."""
        try:
            call()
        except BaseException as exc:
            self.log.error("failed", what=what, exc_info=exc)

    def log_failure(self, delivery: Delivery) -> None:
        """Log the errors of a delivery that nobody looks at."""
        for error in delivery.errors:
            self.log.warning(
                "message failed",
                type=delivery.type,
                source=error.source,
                why=error.text,
            )
