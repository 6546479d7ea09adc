"""Routes messages: a state machine that whoever sends keeps going.

There is no broker thread on the path. `send` appends to a queue and tries to become the
pump; if another thread is pumping, that one sees the new entry before it leaves. So no
sender ever waits for a lock, and a signal handler that sends while its own thread is
pumping simply leaves the entry to it.

No code of a module runs in here.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from hal.base import (
    Channel,
    Clock,
    DeliveryId,
    ErrorRecord,
    HalError,
    IdSource,
    InvalidMessage,
    MailboxFull,
    ModuleDead,
    Superseded,
    SystemClock,
    SystemThreads,
    Thread,
    Threads,
    get_logger,
    is_principal,
    record_class,
)
from hal.kernel.current import current_delivery
from hal.kernel.delivery import Delivery, How
from hal.kernel.message import Lane, Message
from hal.kernel.receiver import Receiver
from hal.kernel.routes import Routes
from hal.kernel.trace import Trace
from hal.kernel.uplink import Uplink
from hal.kernel.waits import Waits
from hal.kernel.wire import Envelope, Wire, to_envelope

PUMP_LIMIT: Final = 256
"""After so many entries a sender hands the pumping to the router thread."""

log = get_logger(module="hal")


class _Expiry(NamedTuple):
    delivery: Delivery
    error: ErrorRecord


class _Removal(NamedTuple):
    name: str
    why: str


class Broker:
    """Sends messages to the modules that handle them and follows them to their end.

    Runs on: any; nothing blocks. Everything named `_...` runs in the pump.

    Guarantees:
        Every delivery completes, with one outcome per receiver.
        Two modules that both receive A and B of the normal lane get them in one order.
        A `sync` message waits for all before it and holds all after it, in that lane.
        What is wrong with a message is attached to it, never raised here.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        trace: Trace | None = None,
        wire: Wire | None = None,
        threads: Threads | None = None,
        uplink: Uplink | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.ids = ids or IdSource()
        self.wire = wire or Wire()
        self._trace = trace or Trace(self.clock)
        self._uplink = uplink
        self._inbox: deque[tuple[str, object]] = deque()
        self._pumping = threading.Lock()
        self._routes = Routes()
        self._open: dict[DeliveryId, Delivery] = {}
        self._in_flight: set[DeliveryId] = set()
        self._held: deque[Delivery] = deque()
        self._barrier: Delivery | None = None
        tell = () if uplink is None else (uplink.waits,)
        self.waits = Waits(self._owed, self.expire, *tell)
        """Which jobs wait for which deliveries."""
        self._threads = threads or SystemThreads()
        self._handoffs: Channel[bool] = self._threads.channel()
        self._router: Thread | None = None

    def start(self) -> None:
        """Start the router thread, which serves `handoff` and long pumps."""
        self._router = self._threads.start("hal/router", self._run_router)

    def stop(self) -> None:
        """End the router thread, and what is open; sending goes on working without.

        Bounded by 2 s.
        """
        self._handoffs.put(False)
        if self._router is not None:
            self._router.join(2.0)
            self._router = None
        self.pump()  # what was left to the router
        error = ErrorRecord.from_exception(ModuleDead("HAL has stopped"), "hal")
        for delivery in self.open_deliveries():
            for name in delivery.pending:
                delivery.claim(name, How.DEAD, "broker", error=error)
            if delivery.accepted and not delivery.tickets:
                self.expire(delivery, error)

    def add(self, receiver: Receiver) -> None:
        """Route messages to `receiver` from now on."""
        self._enter("add", receiver)

    def remove(self, name: str, why: str) -> None:
        """Route nothing to module `name` any more; `why` is what its senders read."""
        self._enter("remove", _Removal(name, why))

    def open_deliveries(self) -> list[Delivery]:
        """Return the deliveries that have not completed (for the watchdog)."""
        return list(self._open.values())

    def send(
        self,
        message: Message,
        *,
        principal: str,
        to: str | None = None,
        sync: bool = False,
        deadline_s: float | None = None,
        run_id: str | None = None,
        on_complete: Callable[[Delivery], None] | None = None,
        handoff: bool = False,
    ) -> Delivery:
        """Send a message; the returned delivery tells what becomes of it.

        Never raises for bad data: such a delivery comes back complete, with the error
        attached.

        Args:
            message: What to say; it is copied, so later changes do not matter.
            principal: Who says it.
            to: Name of the one receiver, where several could be meant.
            sync: Wait for all messages before it, hold all after it.
            deadline_s: How long the sender will wait; the class's default if None.
            run_id: The run it is part of; that of its cause if None.
            on_complete: Called by whoever ends the last ticket; must not block.
            handoff: Let the router thread do the routing (GUI and SDK threads).
        """
        delivery = self._make(message, principal, to, sync, deadline_s, run_id)
        if on_complete is not None:
            delivery.on_complete = self._observed(on_complete)
        if delivery.flaw is not None:
            delivery.refuse(delivery.flaw)
            return delivery
        self._open[delivery.id] = delivery
        self._enter("send", delivery, handoff=handoff)
        return delivery

    def relay(
        self,
        sent: Envelope,
        *,
        on_complete: Callable[[Delivery], None],
        on_extended: Callable[[Delivery, float], None],
    ) -> Delivery:
        """Take a message of another process over, under the name it has there.

        With an uplink it has been routed already, to the module it is for.

        Raises:
            InvalidMessage: Nobody here could read it.
        """
        delivery = Delivery(
            sent.id,
            self.wire.message(record_class(sent.type), sent),
            principal=sent.principal,
            clock=self.clock,
            deadline_s=sent.remaining_s,
            deadline_is_explicit=sent.deadline_is_explicit,
            to=sent.to,
            cause=sent.cause,
            run_id=sent.run_id,
            on_behalf_of=sent.on_behalf_of,
            sync=sent.sync,
        )
        delivery.on_complete = self._observed(on_complete)
        delivery.on_extended = on_extended
        self._open[delivery.id] = delivery
        self._enter("send" if self._uplink is None else "arrive", delivery)
        return delivery

    def refuse(self, message: Message, principal: str, error: ErrorRecord) -> Delivery:
        """Return a delivery that is complete with `error` and reached nobody."""
        delivery = self._make(message, principal, None, False, None, None)
        delivery.refuse(error)
        return delivery

    def send_chain(
        self,
        messages: tuple[Message, ...],
        *,
        principal: str,
        to: str | None = None,
        sync: bool = False,
    ) -> tuple[Delivery, ...]:
        """Send each message when the one before has completed, whatever its outcome."""
        chain = tuple(
            self._make(message, principal, to, sync, None, None) for message in messages
        )
        for before, after in itertools.pairwise(chain):
            before.then = after
        for delivery in chain:
            self._open[delivery.id] = delivery
        if chain:
            self._enter("send", chain[0])
        return chain

    def expire(self, delivery: Delivery, error: ErrorRecord) -> None:
        """Complete a delivery whose deadline passed before anybody received it."""
        self._enter("expire", _Expiry(delivery, error))

    def pump(self) -> None:
        """Process what is queued, unless another thread is doing so."""
        while self._inbox:
            if not self._pumping.acquire(blocking=False):
                return  # the pumping thread looks again after it has let go
            try:
                drained = self._process_some()
            finally:
                self._pumping.release()
            # Only after letting go: a router that still found the pump taken would
            # leave the rest to us, and we have left.
            if not drained and self._router is not None:
                self._handoffs.put(True)
                return

    def _process_some(self) -> bool:
        """Process up to `PUMP_LIMIT` entries; return whether none was left."""
        for _ in range(PUMP_LIMIT):
            try:
                kind, item = self._inbox.popleft()
            except IndexError:
                return True
            self._process(kind, item)
        return False

    def _enter(self, kind: str, item: object, *, handoff: bool = False) -> None:
        self._inbox.append((kind, item))
        if handoff and self._router is not None:
            self._handoffs.put(True)
        else:
            self.pump()

    def _run_router(self) -> None:
        while self._handoffs.get():
            self.pump()

    def _make(
        self,
        message: Message,
        principal: str,
        to: str | None,
        sync: bool,
        deadline_s: float | None,
        run_id: str | None,
    ) -> Delivery:
        cause = current_delivery.get()
        run_id = run_id or getattr(message, "run_id", None)
        if cause is not None:
            run_id = run_id or cause.run_id
        patience_s = message.deadline_s if deadline_s is None else deadline_s
        delivery = Delivery(
            self.ids.next(),
            message,
            principal=principal,
            clock=self.clock,
            deadline_s=patience_s,
            deadline_is_explicit=deadline_s is not None,
            to=to,
            cause=None if cause is None else cause.id,
            run_id=run_id,
            on_behalf_of=None if cause is None else cause.on_behalf_of,
            sync=sync,
        )
        delivery.on_complete = self._completed
        try:
            if not is_principal(principal):
                raise InvalidMessage(f"'{principal}' is not a principal")
            if not 0.0 <= patience_s < math.inf:
                raise InvalidMessage(
                    f"deadline_s={patience_s}: expected a finite time from 0 s on"
                )
            delivery.message = self.wire.message(
                type(message), to_envelope(delivery, patience_s)
            )
        except HalError as exc:
            delivery.flaw = ErrorRecord.from_exception(exc, principal)
        return delivery

    def _observed(
        self, observer: Callable[[Delivery], None]
    ) -> Callable[[Delivery], None]:
        def completed(delivery: Delivery) -> None:
            self._completed(delivery)
            try:
                observer(delivery)
            except Exception as exc:
                # Whoever ended the last ticket (an actor, the watchdog) goes on.
                log.error("observer failed", type=delivery.type, exc_info=exc)

        return completed

    def _completed(self, delivery: Delivery) -> None:
        """Note an end; runs on the thread that claimed the last ticket."""
        self._trace.delivery(delivery)
        self._enter("done", delivery)

    def _process(self, kind: str, item: object) -> None:
        if kind == "send":
            assert isinstance(item, Delivery)
            self._accept(item)
        elif kind == "done":
            assert isinstance(item, Delivery)
            self._settle(item)
        elif kind == "arrive":
            assert isinstance(item, Delivery)
            item.accepted = True
            self._route(item)
        elif kind == "expire":
            assert isinstance(item, _Expiry)
            # Only here, in the pump, is it certain that it is not being routed.
            if not item.delivery.complete and not item.delivery.tickets:
                item.delivery.refuse(item.error)
        elif kind == "add":
            self._routes.add(item)  # type: ignore[arg-type]
        else:
            assert isinstance(item, _Removal)
            self._routes.remove(item.name, item.why)

    def _accept(self, delivery: Delivery) -> None:
        # Its deadline is watched where it is routed.
        delivery.accepted = self._uplink is None
        if delivery.flaw is not None:
            delivery.refuse(delivery.flaw)
        elif self._uplink is not None:
            self._uplink.send(delivery)
        elif delivery.lane is not Lane.NORMAL:
            self._route(delivery)
        elif self._held or self._barrier is not None:
            self._hold(delivery)
        elif delivery.sync:
            self._hold(delivery)
            self._release()
        else:
            self._route(delivery)

    def _hold(self, delivery: Delivery) -> None:
        delivery.is_held = True
        self._held.append(delivery)

    def _settle(self, delivery: Delivery) -> None:
        self._open.pop(delivery.id, None)
        self._in_flight.discard(delivery.id)
        if self._barrier is delivery:
            self._barrier = None
        if delivery.then is not None:
            after, delivery.then = delivery.then, None
            after.sent_s = self.clock.monotonic_s()
            self._inbox.append(("send", after))
        self._release()

    def _release(self) -> None:
        while self._held and self._barrier is None:
            head = self._held[0]
            if head.sync and self._in_flight and not head.complete:
                return
            self._held.popleft()
            head.is_held = False
            if head.complete:  # its deadline passed while it was held
                continue
            if head.sync:
                self._barrier = head
            self._route(head)

    def _route(self, delivery: Delivery) -> None:
        if delivery.complete:
            return
        try:
            receivers = self._routes.find(delivery)
        except HalError as exc:
            delivery.refuse(ErrorRecord.from_exception(exc, delivery.principal))
            return
        if not receivers:
            delivery.finish_empty()
            return
        now_s = self.clock.monotonic_s()
        if delivery.lane is Lane.NORMAL:
            self._in_flight.add(delivery.id)
        delivery.issue(tuple(receiver.name for receiver in receivers), now_s)
        for receiver in receivers:
            self._post(delivery, receiver)

    def _post(self, delivery: Delivery, receiver: Receiver) -> None:
        name = receiver.name
        posted = receiver.post(delivery)
        if posted.full:
            full = MailboxFull(f"{name} cannot keep up: its mailbox is full")
            error = ErrorRecord.from_exception(full, name)
            delivery.claim(name, How.FULL, "broker", error=error)
        elif not posted.kept:
            gone = ModuleDead(f"{name} has stopped")
            error = ErrorRecord.from_exception(gone, name)
            delivery.claim(name, How.DEAD, "broker", error=error)
        if isinstance(posted.displaced, Delivery):
            newer = Superseded(f"a newer one ({delivery.id}) took its place")
            error = ErrorRecord.from_exception(newer, name)
            posted.displaced.claim(name, How.SUPERSEDED, "broker", error=error)

    def _owed(self, delivery: Delivery) -> tuple[str, ...]:
        """Return the modules that must act before `delivery` can complete; any thread.

        Those that get it on the urgent lane do so whatever they wait for.
        """
        if delivery.complete or delivery.lane is Lane.URGENT:
            return ()
        if not delivery.is_held:
            return delivery.pending
        # Behind a barrier, or a barrier itself that waits for all before it.
        barrier = self._barrier
        if barrier is not None:
            return barrier.pending
        ahead = [self._open.get(identity) for identity in list(self._in_flight)]
        return tuple(name for other in ahead if other for name in other.pending)
