"""The actor under every module: mailbox, handlers, worker, loops and timers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

import pykka

from hal.base import (
    Cancelled,
    Clock,
    ErrorRecord,
    HalError,
    ModuleDead,
    ModuleState,
    Parametrized,
    StateError,
    Value,
    get_logger,
)
from hal.kernel.activity import HandlerActivity
from hal.kernel.context import Context
from hal.kernel.current import current_delivery
from hal.kernel.delivery import Delivery, How
from hal.kernel.envelopes import answer_envelope, refuse_envelope
from hal.kernel.handles import Handler, find_handler, handler_table
from hal.kernel.loop import Loop
from hal.kernel.mailbox import Mailbox, Posted, Taken
from hal.kernel.message import Lane, Message
from hal.kernel.protocol import ModuleStateChanged
from hal.kernel.timers import Timer
from hal.kernel.wire import Outcome, pack_response, unpack_response
from hal.kernel.work import OnLoopEnd, Work

SLOW_HANDLER_S: Final = 0.010


class ModuleActor(pykka.Actor, Parametrized):
    """Runs handlers one at a time, and gives them jobs, loops and timers.

    Handlers return within 10 ms. For more there is `run_job` (one blocking call),
    `run_loop` (endless work) and `after`. `Module` adds life cycle and parameters.

    Runs on: actor, unless said otherwise. `send` any, `ask` any but actor.
    """

    role: ClassVar[str] = ""
    """What it is to the system (`camera`, `recorder`); names are free."""

    def __init__(
        self, name: str, context: Context, *, deadline_s: float = 5.0, **values: Value
    ) -> None:
        pykka.Actor.__init__(self)
        Parametrized.__init__(self, **values)
        self.name = name
        self.context = context
        self.deadline_s = deadline_s
        self.generation = 1
        self.log = get_logger(module=name)
        self.state = ModuleState.LOADED
        self.reason = ""
        self._handlers: dict[type[Message], Handler] = handler_table(type(self))
        self._mailbox: Mailbox = self.actor_inbox  # type: ignore[assignment]
        self._handling: Delivery | None = None
        self._work = Work(self)

    @property
    def clock(self) -> Clock:
        """The injected clock."""
        return self.context.clock

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops of this module that have not ended."""
        return self._work.loops

    @property
    def busy_with(self) -> str:
        """What it is doing at this moment, for people; empty when idle; any thread."""
        handling = self._handling
        text = f"in handler of '{handling.type}'" if handling else ""
        return self._work.describe() or text

    def send(
        self,
        message: Message,
        *,
        to: str | None = None,
        sync: bool = False,
        deadline_s: float | None = None,
        reply: Callable[[Delivery], None] | None = None,
    ) -> Delivery:
        """Send a message in this module's name; returns at once.

        Args:
            message: What to say.
            to: The one receiver, where several modules handle it.
            sync: Wait for all before it, hold all after it.
            deadline_s: How long to wait; the class's default if None.
            reply: Called on the actor with the completed delivery. Without it, a
                delivery with errors is logged.

        Runs on: any.
        """
        callback = reply or self._log_failure
        return self.context.broker.send(
            message,
            principal=self.name,
            to=to,
            sync=sync,
            deadline_s=deadline_s,
            on_complete=lambda done: self.post_own(
                lambda: _caused_by(done, lambda: callback(done))
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
        """
        if threading.current_thread() is self._thread:
            raise StateError(f"{self.name}: a handler must not wait; use send(reply=)")
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
            StateError: The worker hangs in an earlier job.
        """
        delivery = self._handling
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
            StateError: The worker hangs in an earlier job.
        """
        return self._work.run_loop(
            fn,
            stall_s=stall_s,
            what=what,
            delivery=self._handling,
            on_end=on_end,
            serves_jobs=serves_jobs,
        )

    def after(self, delay_s: float, message: Message) -> Timer:
        """Send `message` to this module itself in `delay_s` seconds.

        Runs on: any.
        """

        def due() -> None:
            self.send(message, to=self.name)

        return self.context.timers.after(delay_s, due)

    def set_state(self, state: ModuleState, reason: str = "") -> None:
        """Change the module's state; told to all modules and the trace."""
        if (state, reason) == (self.state, self.reason):
            return
        was, self.state, self.reason = self.state, state, reason
        self.context.trace.record(
            "state", module=self.name, was=was, state=state, reason=reason
        )
        self.send(ModuleStateChanged(self.name, state, reason))

    # -- for the broker -----------------------------------------------------------

    def handles_type(self, message_type: type[Message]) -> bool:
        """Whether there is a handler for this class or a base of it.

        Runs on: any.
        """
        return find_handler(self._handlers, message_type) is not None

    def post(self, delivery: Delivery) -> Posted:
        """Queue a delivery, unless the module has stopped or cannot keep up.

        Runs on: the broker's pump.
        """
        message = delivery.message
        key = None
        if message.lane is Lane.DISPLAY:
            key = (delivery.type, delivery.principal, message.conflation_key())
        return self._mailbox.post(
            message.lane, delivery, key=key, is_stop=message.cancels_queued
        )

    def bury(self) -> None:
        """Take no more messages; what waits completes as `ModuleDead`.

        For a module that has stopped, or that hangs and is left behind.

        Runs on: any.
        """
        self.actor_stopped.set()  # its thread ends once it is out of its handler
        self._mailbox.close()
        gone = ModuleDead(f"{self.name} has stopped")
        error = ErrorRecord.from_exception(gone, self.name)
        owed = self._work.deliveries()
        for item in self._mailbox.drain():
            if isinstance(item, Delivery):
                owed.append(item)
            else:
                refuse_envelope(item)
        if self._handling is not None:
            owed.append(self._handling)
        for delivery in owed:
            self._claim(delivery, How.DEAD, "module", error=error)

    # -- for the module's work ----------------------------------------------------

    def post_own(self, call: Callable[[], object]) -> None:
        """Have `call` made on the actor, before the normal lane.

        Runs on: any.
        """
        self._mailbox.post_own(call)

    def within(self, delivery: Delivery | None, call: Callable[[], object]) -> object:
        """Return `call()`, made as part of handling `delivery`, if there is one."""
        if delivery is None:
            return call()
        self._handling = delivery
        try:
            return _caused_by(delivery, call)
        finally:
            self._handling = None

    def finish(
        self,
        delivery: Delivery,
        by: str,
        response: object,
        error: BaseException | ErrorRecord | None,
    ) -> None:
        """Claim this module's ticket; a result that comes too late is only noted."""
        packed = b""
        if error is None:
            try:
                packed = pack_response(response)
            except HalError as exc:
                error = exc
        record: ErrorRecord | None = None
        how = How.DONE
        if error is not None:
            how = How.CANCELLED if isinstance(error, Cancelled) else How.FAILED
            record = (
                error
                if isinstance(error, ErrorRecord)
                else ErrorRecord.from_exception(error, self.name)
            )
        if not self._claim(delivery, how, by, packed, record):
            self.context.trace.record(
                "late result",
                module=self.name,
                what=delivery.type,
                id=str(delivery.id),
                how=how,
                generation=self.generation,
            )

    def claim_late(self, delivery: Delivery, error: ErrorRecord) -> None:
        """Claim this module's ticket as timed out.

        Runs on: watchdog.
        """
        self._claim(delivery, How.TIMEOUT, "watchdog", error=error)

    def _claim(
        self,
        delivery: Delivery,
        how: How,
        by: str,
        packed: bytes = b"",
        error: ErrorRecord | None = None,
    ) -> bool:
        outcome = self.context.broker.wire.outcome(
            Outcome(delivery.id, self.name, how, by, packed, error)
        )
        how, error, response = outcome.how, outcome.error, None
        try:
            response = unpack_response(outcome.response)
        except HalError as exc:  # a record that breaks its own schema
            how, error = How.FAILED, ErrorRecord.from_exception(exc, self.name)
        return delivery.claim(self.name, how, outcome.by, response, error)

    # -- the actor ----------------------------------------------------------------

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Mailbox()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        self._thread = threading.Thread(
            target=self._run, name=f"{self.name}/{self.generation}", daemon=True
        )
        self.context.adopted[self.name] = self
        self.context.broker.add(self)
        self._thread.start()

    def _run(self) -> None:
        self._contained("on_start", self.on_start)
        while not self.actor_stopped.is_set():
            self._mailbox.wait()
            while not self.actor_stopped.is_set():
                taken = self._mailbox.take(normal=self._work.is_idle)
                if taken is None:
                    break
                self._contained("taking a message", partial(self._process, taken))
        self._work.stop()
        self.bury()

    def _process(self, taken: Taken) -> None:
        item = taken.item
        if isinstance(item, Delivery):
            if taken.is_cancelled:
                stopped = Cancelled(f"a stop of {self.name} came before it began")
                self.finish(item, "stop", None, stopped)
            else:
                self._handle(item)
        elif callable(item):
            item()
        elif taken.is_cancelled:
            refuse_envelope(item, cancelled=True)
        else:
            error = answer_envelope(item, self._handle_receive)
            if error is not None:
                self.log.error("a pykka message failed", exc_info=error)

    def _handle(self, delivery: Delivery) -> None:
        if not delivery.is_owed_by(self.name):
            return  # given up while it waited in the queue
        handler = find_handler(self._handlers, type(delivery.message))
        assert handler is not None
        ticket = delivery.tickets[self.name]
        started_s = ticket.started_s = self.clock.monotonic_s()
        deadline_at_s = min(ticket.deadline_at_s, started_s + self.deadline_s)
        activity = HandlerActivity(
            self.name, delivery, started_s, deadline_at_s, self._handler_expired
        )
        jobs_before = self._work.job_count
        response: object = None
        error: BaseException | None = None
        self.context.watchdog.watch(activity)
        try:
            self.context.leases.check(self.name, delivery)
            response = self.within(delivery, lambda: handler(self, delivery.message))
        except BaseException as exc:  # noqa: BLE001 - attached to the delivery
            error = exc
        self.context.watchdog.unwatch(activity)
        took_s = self.clock.monotonic_s() - started_s
        if took_s > SLOW_HANDLER_S:
            self.log.warning("slow handler", type=delivery.type, took_s=took_s)
        if error is not None or self._work.job_count == jobs_before:
            self.finish(delivery, "handler", response, error)

    def _handler_expired(self, activity: HandlerActivity, error: ErrorRecord) -> None:
        """Give up a handler; runs on the watchdog."""
        self.claim_late(activity.delivery, error)
        self._work.handler_hangs(activity)

    def _contained(self, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as exc:
            self.log.error("failed", what=what, exc_info=exc)

    def _log_failure(self, delivery: Delivery) -> None:
        for error in delivery.errors:
            self.log.warning(
                "message failed",
                type=delivery.type,
                source=error.source,
                why=error.text,
            )


def _caused_by(delivery: Delivery, call: Callable[[], object]) -> object:
    token = current_delivery.set(delivery)
    try:
        return call()
    finally:
        current_delivery.reset(token)
