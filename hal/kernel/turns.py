"""The consuming end of a module's mailbox: takes what waits, one thing at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from hal.base import Cancelled, DeliveryId, ErrorRecord, StateError, get_logger
from hal.kernel.activity import HandlerActivity
from hal.kernel.current import current_delivery
from hal.kernel.delivery import Delivery
from hal.kernel.dispatch import TURN_ITEMS, Dispatcher
from hal.kernel.envelopes import answer_envelope, refuse_envelope
from hal.kernel.handles import Handler, find_handler, handler_table
from hal.kernel.mailbox import OwnCall, Taken
from hal.kernel.message import Message
from hal.kernel.wire import Outcome

if TYPE_CHECKING:
    from hal.kernel.actor import ModuleActor

SLOW_HANDLER_S: Final = 0.010


class Turns:
    """What one generation of a module does on its dispatcher's thread.

    Runs on: the dispatcher's thread, one at a time; `_expire` watchdog.

    Guarantees:
        Nothing that a handler or hook raises ends the thread.
        A thread that comes back after its generation was given up touches nothing.
    """

    def __init__(self, actor: ModuleActor) -> None:
        self.thread_name = actor.thread_name
        self.thread_id: int | None = None
        """The thread the actor is on at this moment, if any."""
        self.handling: Delivery | None = None
        """What handlers, and the ends of jobs, are about at this moment."""
        self._deferred: dict[DeliveryId, Delivery] = {}
        self._defers = False
        self._actor = actor
        self._mailbox = actor.seat.mailbox
        self._handlers: dict[type[Message], Handler] = handler_table(type(actor))
        self._clock = actor.context.clock
        # Bound once: these are called for every message.
        self._watch = actor.context.watchdog.watch
        self._unwatch = actor.context.watchdog.unwatch
        self._check_lease = actor.context.leases.check
        self._activity: HandlerActivity | None = None
        self._dispatcher: Dispatcher | None = None
        self._began = False
        self._written_off = False
        """Set by the watchdog, and by a thread that finds itself given up."""
        self.log = get_logger(module=actor.name)

    @property
    def is_over(self) -> bool:
        """Whether there will be no more of them; any thread."""
        return self._actor.actor_stopped.is_set()

    @property
    def inside(self) -> str:
        """The handler that has not come back, for people; any thread."""
        activity = self._activity
        return f"in handler of '{activity.what}'" if activity is not None else ""

    @property
    def deferred(self) -> tuple[Delivery, ...]:
        """Deliveries whose handlers have left the ticket open; any thread."""
        return tuple(self._deferred.values())

    @property
    def awaits(self) -> str:
        """What somebody else is to end for it, for people; any thread."""
        for delivery in self.deferred:
            return f"waiting for the end of '{delivery.type}'"
        return ""

    def defer(self) -> Delivery:
        """Leave the ticket of what is being handled open.

        Raises:
            StateError: No message is being handled.
        """
        if self.handling is None:
            raise StateError(f"{self._actor.name}: no message is being handled")
        self._defers = True
        self._deferred[self.handling.id] = self.handling
        return self.handling

    def settle(self, outcome: Outcome) -> bool:
        """End a ticket that was left open; False, and noted, if it is late. Any."""
        actor, delivery = self._actor, self._deferred.pop(outcome.id, None)
        how, by, packed = outcome.how, outcome.by, outcome.response
        is_open = delivery is not None and not actor.is_given_up
        if delivery is not None and is_open:
            is_open = actor.seat.claim(delivery, how, by, packed, outcome.error)
        if is_open:
            return True
        what = "" if delivery is None else delivery.type
        actor.seat.note_late(what, str(outcome.id), how, actor.generation)
        return False

    def begin(self, dispatcher: Dispatcher) -> None:
        """Take the mailbox over: it is held, by the generation before or nobody."""
        self._dispatcher = dispatcher
        self._mailbox.on_waiting = partial(dispatcher.schedule, self)
        dispatcher.schedule(self)

    def turn(self) -> bool:
        """Take what waits; return False if the thread was written off meanwhile."""
        actor = self._actor
        self.thread_id = threading.get_ident()
        if not self._began and not self.is_over:
            self._began = True
            self._start()
        for _ in range(TURN_ITEMS):
            if self._written_off or self.is_over:
                return self._over()
            admits = actor.admits
            taken = self._mailbox.take(normal=admits)
            if taken is None:
                self.thread_id = None
                self._mailbox.rest(normal=admits)
                # Another thread may be in the next turn from here on.
                if not admits and actor.admits:
                    self._mailbox.look_again()  # opened by another thread meanwhile
                return True
            try:
                self._process(taken)
            except BaseException as exc:
                self.log.error("failed", what="taking a message", exc_info=exc)
        if self._written_off or self.is_over:
            return self._over()
        self.thread_id = None
        assert self._dispatcher is not None
        self._dispatcher.schedule(self)
        return True

    def within(self, delivery: Delivery | None, call: Callable[[], object]) -> object:
        """Return `call()`, made as part of handling `delivery`, if there is one."""
        if delivery is None:
            return call()
        self.handling = delivery
        token = current_delivery.set(delivery)
        try:
            return call()
        finally:
            current_delivery.reset(token)
            self.handling = None

    def _over(self) -> bool:
        """Leave the mailbox for good; return whether the thread is of use."""
        self.thread_id = None
        if not self._written_off and not self._actor.is_given_up:
            self._actor.vacate()
        return not self._written_off

    def _start(self) -> None:
        activity = self._enter("on_start", None)
        try:
            self._actor.on_start()
        except BaseException as exc:
            # pykka has returned a reference long ago: nobody would hear of it.
            self.log.error("on_start failed", exc_info=exc)
            self._actor.give_up(ErrorRecord.from_exception(exc, self._actor.name))
        finally:
            self._leave(activity)

    def _process(self, taken: Taken) -> None:
        item, actor = taken.item, self._actor
        if isinstance(item, Delivery):
            if taken.is_cancelled:
                stopped = Cancelled(f"a stop of {actor.name} came before it began")
                actor.finish(item, "stop", None, stopped)
            elif item.is_owed_by(actor.name):  # not given up while it waited
                self._handle(item)
        elif isinstance(item, OwnCall):
            if item.owner is actor:
                self._call(item)
            else:
                item.late()
        elif taken.is_cancelled:
            refuse_envelope(item, cancelled=True)
        else:
            error = answer_envelope(item, actor.receive)
            if error is not None:
                self.log.error("a pykka message failed", exc_info=error)

    def _call(self, own: OwnCall) -> None:
        """Make a call about the module's own work; it may be code of the module."""
        activity = self._enter("own work", None)
        try:
            own.call()
        finally:
            self._leave(activity)

    def _handle(self, delivery: Delivery) -> None:
        actor = self._actor
        message = delivery.message
        handler = find_handler(self._handlers, type(message))
        assert handler is not None
        jobs_before = actor.job_count
        response: object = None
        error: BaseException | None = None
        activity = self._enter(delivery.type, delivery)
        self.handling = delivery
        self._defers = False
        token = current_delivery.set(delivery)
        try:
            self._check_lease(actor.name, delivery)
            response = handler(actor, message)
        except BaseException as exc:  # noqa: BLE001 - attached to the delivery
            error = exc
        finally:
            current_delivery.reset(token)
            self.handling = None
            self._leave(activity)
        if error is not None:
            self._deferred.pop(delivery.id, None)
        elif self._defers or actor.job_count != jobs_before:
            return
        actor.finish(delivery, "handler", response, error)

    def _enter(self, what: str, delivery: Delivery | None) -> HandlerActivity:
        """Have the watchdog look at what begins now."""
        actor = self._actor
        started_s = self._clock.monotonic_s()
        if delivery is not None:
            delivery.tickets[actor.name].started_s = started_s
        self._activity = activity = HandlerActivity(
            actor.name,
            what,
            delivery,
            started_s=started_s,
            patience_s=actor.deadline_s,
            on_expire=self._expire,
        )
        self._watch(activity)
        return activity

    def _leave(self, activity: HandlerActivity) -> None:
        self._activity = None
        if not activity.end():
            # The watchdog, which was faster, may not be through with it yet.
            self._written_off = True
        # The supervisor may have found the thread still inside.
        if self._written_off or self._actor.is_given_up:
            self._actor.context.supervisor.came_back(self._actor)
        self._unwatch(activity)
        took_s = self._clock.monotonic_s() - activity.started_s
        is_slow = took_s > SLOW_HANDLER_S
        if is_slow and not self._written_off:
            self.log.warning("slow handler", type=activity.what, took_s=took_s)
        if activity.delivery is not None:
            self._actor.seat.count(took_s, is_slow=is_slow)

    def _expire(self, activity: HandlerActivity, error: ErrorRecord) -> None:
        """Tell who waits, and write the thread off if it hangs; on the watchdog."""
        actor = self._actor
        if activity.delivery is not None:
            actor.claim_late(activity.delivery, error)
        if activity.deadline_at_s < activity.hangs_at_s:
            # Only its sender has lost patience. Watched first and looked at second:
            # one that ends in between is taken off the list by us.
            activity.deadline_at_s = activity.hangs_at_s
            actor.context.watchdog.watch(activity)
            if activity.has_ended:
                actor.context.watchdog.unwatch(activity)
        elif activity.end():
            self._written_off = True
            actor.give_up(error)
            assert self._dispatcher is not None
            self._dispatcher.write_off()
