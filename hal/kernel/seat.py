"""A module's place in the system: it keeps its name and mailbox when it restarts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pykka

from hal.base import (
    Cancelled,
    ErrorRecord,
    HalError,
    ModuleDead,
    ModuleState,
    ProcessUsage,
    SafeStateCall,
    Value,
)
from hal.kernel.delivery import Delivery, How
from hal.kernel.envelopes import refuse_envelope
from hal.kernel.handles import find_handler, handler_table
from hal.kernel.mailbox import Mailbox, Posted
from hal.kernel.message import Lane, Message
from hal.kernel.protocol import ModuleStateChanged
from hal.kernel.restart import USUAL_POLICY, RestartPolicy
from hal.kernel.statistics import ModuleStatistics
from hal.kernel.wire import Outcome, pack_response, unpack_response

if TYPE_CHECKING:
    from hal.kernel.actor import ModuleActor
    from hal.kernel.broker import Broker
    from hal.kernel.context import Context
    from hal.kernel.trace import Trace


class Seat:
    """What stays of a module while its generations come and go.

    Runs on: any.

    Guarantees:
        What was sent and not yet begun waits for the next generation.
        After `close` every ticket of this module has ended.
    """

    def __init__(
        self,
        name: str,
        module_class: type[ModuleActor],
        broker: Broker,
        trace: Trace,
        *,
        deadline_s: float = 5.0,
        arguments: Mapping[str, Any] | None = None,
        requires: tuple[str, ...] = (),
        policy: RestartPolicy = USUAL_POLICY,
    ) -> None:
        self.name = name
        self.module_class = module_class
        self.deadline_s = deadline_s
        self.arguments = dict(arguments or {})
        """What each generation is made with; its own parameters follow changes."""
        self.requires = requires
        """The modules this one cannot do without."""
        self.policy = policy
        self.phase = 0
        """How far its life was begun: 1 is configured, 2 is started."""
        self.mailbox = Mailbox()
        self.generation = 1
        """Of the module that sits here, or is on its way, from 1 on."""
        self.occupant: ModuleActor | None = None
        self.ghosts: tuple[ModuleActor, ...] = ()
        """Generations given up that are still inside a call."""
        self.outside_safe_state: SafeStateCall | None = None
        """What makes the device safe, while it is open, if this process cannot."""
        self.state = ModuleState.LOADED
        self.reason = ""
        self.is_closed = False
        """Whether it takes no more messages, and has ended those it had."""
        self.restarts = 0
        self._handled = 0
        self._slow = 0
        self._slowest_s = 0.0
        self._handlers = handler_table(module_class)
        self._broker = broker
        self._trace = trace

    @property
    def module(self) -> ModuleActor:
        """The latest generation."""
        assert self.occupant is not None
        return self.occupant

    @property
    def held_by(self) -> str:
        """What an earlier generation still does to the device, for people."""
        for ghost in self.ghosts:
            return f"generation {ghost.generation}, {ghost.doing or 'not cleaned up'}"
        return ""

    @property
    def role(self) -> str:
        """What it is to the system."""
        return self.module_class.role

    def start_module(self, context: Context) -> pykka.ActorRef[ModuleActor]:
        """Make the next generation and have it take the seat, or wait for it.

        Runs code of the module: its constructor.
        """
        return self.module_class.start(
            self.name, context, deadline_s=self.deadline_s, **self.arguments
        )

    def reopen(self) -> None:
        """Take messages again, after `close`."""
        self.mailbox = Mailbox()
        self.is_closed = False

    def remember(self, values: Mapping[str, Value]) -> None:
        """Make the next generation with these values."""
        self.arguments |= values

    def set_state(self, state: ModuleState, reason: str = "") -> None:
        """Change the module's state; told to all modules and the trace."""
        if (state, reason) == (self.state, self.reason):
            return
        was, self.state, self.reason = self.state, state, reason
        self._trace.record(
            "state",
            module=self.name,
            was=was,
            state=state,
            reason=reason,
            generation=self.generation,
        )
        self._broker.send(
            ModuleStateChanged(self.name, state, reason), principal=self.name
        )

    def count(self, took_s: float, *, is_slow: bool) -> None:
        """Count a message handled.

        Runs on: actor.
        """
        self._handled += 1
        self._slow += is_slow
        if took_s > self._slowest_s:
            self._slowest_s = took_s

    def statistics(self) -> ModuleStatistics:
        """Return how the module is doing now."""
        slowest_s, self._slowest_s = self._slowest_s, 0.0
        used = self.module.usage() or ProcessUsage(0, 0.0, 0.0)
        return ModuleStatistics(
            module=self.name,
            generation=self.generation,
            state=self.state,
            queued=len(self.mailbox),
            handled=self._handled,
            slow=self._slow,
            slowest_s=slowest_s,
            restarts=self.restarts,
            busy_with=self.module.busy_with,
            thread=self.module.thread_name,
            pid=used.pid,
            cpu_s=used.cpu_s,
            memory_mb=used.memory_mb,
        )

    # -- for the broker -----------------------------------------------------------

    def handles_type(self, message_type: type[Message]) -> bool:
        """Whether there is a handler for this class or a base of it."""
        return find_handler(self._handlers, message_type) is not None

    def post(self, delivery: Delivery) -> Posted:
        """Queue a delivery, unless the module has stopped or cannot keep up.

        Runs on: the broker's pump.
        """
        message = delivery.message
        lane = message.lane
        if lane is Lane.NORMAL:
            return self.mailbox.post(lane, delivery)
        key = None
        if lane is Lane.DISPLAY:
            key = (delivery.type, delivery.principal, message.conflation_key())
        return self.mailbox.post(
            lane, delivery, key=key, is_stop=message.cancels_queued
        )

    # -- tickets ------------------------------------------------------------------

    def finish(
        self,
        delivery: Delivery,
        by: str,
        response: object,
        error: BaseException | ErrorRecord | None,
        generation: int,
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
        if not self.claim(delivery, how, by, packed, record):
            self.note_late(delivery.type, str(delivery.id), how, generation)

    def note_late(self, what: str, identity: str | None, how: How, gen: int) -> None:
        """Note what came after its ticket had ended: it changes nothing."""
        self._trace.record(
            "late result",
            module=self.name,
            what=what,
            id=identity,
            how=how,
            generation=gen,
        )

    def claim(
        self,
        delivery: Delivery,
        how: How,
        by: str,
        packed: bytes = b"",
        error: ErrorRecord | None = None,
    ) -> bool:
        """End this module's ticket; False if somebody was faster."""
        if not packed and self._broker.wire.carrier is None:
            return delivery.claim(self.name, how, by, None, error)
        outcome = self._broker.wire.outcome(
            Outcome(delivery.id, self.name, how, by, packed, error)
        )
        how, error, response = outcome.how, outcome.error, None
        try:
            response = unpack_response(outcome.response)
        except HalError as exc:  # a record that breaks its own schema
            how, error = How.FAILED, ErrorRecord.from_exception(exc, self.name)
        return delivery.claim(self.name, how, outcome.by, response, error)

    def claim_dead(self, deliveries: list[Delivery], text: str) -> None:
        """End the tickets of deliveries that this module will not come to."""
        error = ErrorRecord.from_exception(ModuleDead(text), self.name)
        for delivery in deliveries:
            self.claim(delivery, How.DEAD, "supervisor", error=error)

    def close(self, text: str) -> None:
        """Take no more messages; what waits completes as `ModuleDead`."""
        self.mailbox.close()
        waiting = []
        for item in self.mailbox.drain():
            if isinstance(item, Delivery):
                waiting.append(item)
            else:
                refuse_envelope(item)
        self.claim_dead(waiting, text)
        for call in self.mailbox.drain_own():
            call.late()
        self.is_closed = True
