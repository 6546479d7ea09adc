"""What sits in the place of a module that lives in another process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, ClassVar, Final

import msgspec

from hal.base import (
    DeliveryId,
    ErrorRecord,
    HalError,
    LinkError,
    ModuleDead,
    ModuleState,
    ProcessUsage,
    unpack,
)
from hal.isolation.frames import (
    Begin,
    Ended,
    Extended,
    Free,
    GaveUp,
    Post,
    Refused,
    Result,
    SecondPath,
    Sent,
    State,
    Up,
    Waits,
)
from hal.isolation.host import LEAVE_S, START_S
from hal.isolation.hosts import Hosts
from hal.isolation.launch import Launch, class_path
from hal.kernel import (
    Context,
    Delivery,
    Dispatching,
    Envelope,
    How,
    Lane,
    Message,
    Module,
    Outcome,
    ParametersChanged,
    StopModule,
    handler_table,
    handles,
    make_safe_from_outside,
    pack_response,
    to_envelope,
)

SLACK_S: Final = 0.15
"""The child, which knows where it hangs, is the first to call a message late."""
_STOP_S: Final = 0.7
"""What a process may take to end after its module has stopped."""
_SAFE_S: Final = 4.5
"""What its end and the second path to its safe state may take together: less than the
supervisor waits."""
_PLAIN: Final = ("ConfigError", "ParameterError", "StartError")


class Gateway(Module):
    """Forwards each message to the real module, and what becomes of it back.

    One generation is one process. One message of the normal lane is with the child at a
    time; what follows waits here, where a stop cancels it and the next generation finds
    it if the process dies.

    Runs on: actor, which is whoever sends; `take`, `lost` the host's threads.
    """

    dispatching: ClassVar[Dispatching] = Dispatching.INLINE

    def __init__(
        self,
        name: str,
        context: Context,
        *,
        launch: Launch,
        deadline_s: float = 5.0,
    ) -> None:
        super().__init__(name, context, deadline_s=deadline_s)
        self._launch = launch
        self._in_hand: DeliveryId | None = None
        # Whether that has outlasted its sender's patience, and may go on.
        self._is_overrun = False
        self._stop_id: DeliveryId | None = None
        self._has_stopped = False
        # Why it could not be made, until somebody is told.
        self._refusal: ErrorRecord | None = None
        self._residents_told = 0
        # What its module has sent, as long as it is on its way.
        self._relayed: dict[DeliveryId, Delivery] = {}
        driver = launch.driver_class
        begin = Begin(
            name,
            self.generation,
            class_path(launch.module_class),
            launch.values,
            "" if driver is None else class_path(driver),
            launch.driver_values,
            deadline_s,
            launch.world_state,
        )
        hosts = context.service(Hosts)
        self._host = hosts.get(launch.process, launch.memory_mb)
        self._host.join(self, begin)

    @property
    def admits(self) -> bool:
        """Whether the normal lane is open."""
        return self._in_hand is None and super().admits

    @property
    def pid(self) -> int:
        """The process of the module; 0 before it was started, and when it is gone."""
        return 0 if self._host.has_ended else self._host.pid

    @property
    def doing(self) -> str:
        """What it is inside of, for people; any thread."""
        left = "" if not self.is_given_up or self._host.has_ended else "in its process"
        return super().doing or left

    def usage(self) -> ProcessUsage | None:
        """Return what its process uses."""
        return self._host.usage()

    # -- down ---------------------------------------------------------------------

    def forward(self, message: Message) -> None:
        """Pass on what is being handled; the child's outcome ends the ticket."""
        if self._has_stopped:
            if isinstance(message, StopModule):
                return
            raise ModuleDead(f"{self.name} has stopped")
        if self._refusal is not None:
            self._end_generation(self._refusal)
            if isinstance(message, StopModule):
                return
            raise self._refusal.to_exception()
        delivery = self.defer()
        now_s = self.clock.monotonic_s()
        ticket = delivery.tickets[self.name]
        remaining_s = max(0.0, ticket.deadline_at_s - now_s)
        if not self._host.is_made(self.name):
            # That it takes long to start is not the fault of what it is to handle.
            remaining_s += START_S
        ticket.extend(now_s + remaining_s + SLACK_S)
        if delivery.lane is not Lane.URGENT:
            self._in_hand = delivery.id
        if isinstance(message, StopModule):
            self._stop_id = delivery.id
        if len(self.context.seats) != self._residents_told:
            self._residents_told = len(self.context.seats)
            self._host.tell_residents(self.context.residents())
        sent = to_envelope(delivery, remaining_s)
        self._host.send(Post(_addressed(sent, self.name), type(message).__module__))

    # -- up -----------------------------------------------------------------------

    def take(self, frame: Up) -> None:
        """Take what the child says about this module, or in its name."""
        if isinstance(frame, Refused):
            self.post_own(partial(self._refuse, frame.error))
        elif isinstance(frame, GaveUp):
            self._end_generation(frame.error)
        elif self.is_given_up:
            return  # what comes now changes nothing
        elif isinstance(frame, Result):
            self._ticket_ended(frame.outcome)
        elif isinstance(frame, Sent):
            self._send_on(frame.envelope)
        elif isinstance(frame, State):
            try:
                state = ModuleState(frame.state)
            except ValueError as exc:
                raise LinkError(f"garbage: {exc}") from exc
            self.set_state(state, frame.reason)
        elif isinstance(frame, SecondPath):
            self.seat.outside_safe_state = frame.call
        elif isinstance(frame, Free):
            if self._is_overrun:
                self._open_lane()
        elif isinstance(frame, Waits):
            self._wait(frame)
        elif isinstance(frame, Extended):
            for delivery in self._turns.deferred:
                if delivery.id == frame.id:
                    delivery.extend(self.name, frame.patience_s)

    def _refuse(self, error: ErrorRecord) -> None:
        """Say why it cannot be made; at the start of HAL that is final."""
        if self.generation > 1:
            self.give_up(error)
            return
        self.is_refused = True
        if error.kind not in _PLAIN:  # a plugin's constructor: as in HAL's process
            error = msgspec.structs.replace(error, kind="StartError")
        self._refusal = error
        asking = self._turns.deferred
        for delivery in asking:
            self.settle(Outcome(delivery.id, self.name, How.FAILED, "", b"", error))
        if asking:  # otherwise whoever comes first is to hear of it
            self.give_up(error)

    def lost(self, error: ErrorRecord) -> None:
        """Go with the process, unless it ends because this module has stopped."""
        if not self._has_stopped:
            self.post_own(partial(self._go_with_it, error))

    def _go_with_it(self, error: ErrorRecord) -> None:
        if self._refusal is None:
            self.give_up(error)

    def ended(self) -> None:
        """Let the supervisor look whether the device is free now."""
        self.context.supervisor.came_back(self)

    def _end_generation(self, error: ErrorRecord) -> None:
        # On the actor, whose thread ends with it.
        self.post_own(partial(self.give_up, error))

    def _ticket_ended(self, outcome: Outcome) -> None:
        if outcome.id == self._stop_id:
            # Stopped is a module whose process is gone.
            self._has_stopped = True
            name = f"{self.thread_name}/stop"
            self.context.threads.start(name, partial(self._end_stop, outcome))
            return
        self.settle(outcome)
        if outcome.id == self._in_hand:
            # What only its sender gave up goes on: the child says when it is free.
            self._is_overrun = outcome.how is How.TIMEOUT
            if not self._is_overrun:
                self._open_lane()

    def _open_lane(self) -> None:
        self._in_hand, self._is_overrun = None, False
        self.seat.mailbox.look_again()

    def _end_stop(self, outcome: Outcome) -> None:
        if not self._host.has_others(self):
            self._host.finish(_STOP_S)
        self._host.leave(self)
        left = [d for d in self._turns.deferred if d.id != self._stop_id]
        self.seat.claim_dead(left, f"{self.name} has stopped")
        self.settle(outcome)

    def _wait(self, frame: Waits) -> None:
        delivery = self._relayed.get(frame.id)
        waits = self.context.broker.waits
        if delivery is not None and frame.begins:
            waits.begin(self.name, delivery)
        elif delivery is not None:
            waits.end(self.name, delivery)

    def _send_on(self, sent: Envelope) -> None:
        try:
            if sent.type == _CHANGED:
                changed = unpack(ParametersChanged, sent.payload)
                assert isinstance(changed, ParametersChanged)
                self._launch.remember(changed.values)
            delivery = self.context.broker.relay(
                sent, on_complete=self._tell_ended, on_extended=self._tell_extended
            )
            self._relayed[sent.id] = delivery
            if delivery.complete:  # perhaps before it was noted
                self._relayed.pop(sent.id, None)
        except HalError as exc:
            error = ErrorRecord.from_exception(exc, self.name)
            self._host.send(Ended(sent.id, (), (error,)))

    def _tell_ended(self, delivery: Delivery) -> None:
        if self._relayed.pop(delivery.id, None) is not None:
            self.context.broker.waits.end(self.name, delivery)
        outcomes = [
            Outcome(
                delivery.id,
                ticket.receiver,
                ticket.how,
                ticket.by,
                pack_response(delivery.responses.get(ticket.receiver)),
                None,
            )
            for ticket in delivery.tickets.values()
            if ticket.how is not None
        ]
        self._host.send(Ended(delivery.id, tuple(outcomes), delivery.errors))

    def _tell_extended(self, delivery: Delivery, patience_s: float) -> None:
        self._host.send(Extended(delivery.id, patience_s))

    # -- its end ------------------------------------------------------------------

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        """Have the process end: by itself, so that its device is safe, or by force.

        Where that does not make it safe, what the driver has declared does.
        """
        until_s = self.clock.monotonic_s() + _SAFE_S
        self._host.leave(self)
        self._host.finish(LEAVE_S)
        call = self.seat.outside_safe_state
        if call is None or self._host.exit_code == 0:
            return
        left_s = until_s - self.clock.monotonic_s()
        outcome = make_safe_from_outside(call, left_s)
        log = self.log.info if outcome == "applied" else self.log.error
        log("made safe from outside", entry=call.entry, outcome=outcome)

    def vacate(self) -> None:
        """Leave the seat for good; the process ends."""
        super().vacate()
        self.seat.outside_safe_state = None
        is_last = not self._host.has_others(self)
        self._host.leave(self)
        if is_last and not self._host.has_ended:
            finish = partial(self._host.finish, _STOP_S)
            self.context.threads.start(f"{self.thread_name}/stop", _ignoring(finish))


_CHANGED: Final = "parameters changed"


@cache
def gateway_class(real: type[Module]) -> type[Gateway]:
    """Return the gateway that handles what `real` handles."""
    members: dict[str, Any] = {"__doc__": f"Speaks for a {real.__name__} elsewhere."}
    for number, message_type in enumerate(handler_table(real)):
        # A function of its own each, because the mark is on the function.
        def forward(self: Gateway, message: Message) -> None:
            self.forward(message)

        members[f"forward_{number}"] = handles(message_type)(forward)
    members["role"] = real.role
    members["end_s"] = real.end_s
    if hasattr(real, "driver_kind"):
        members["driver_kind"] = real.driver_kind
    made = type(f"{real.__name__}Gateway", (Gateway,), members)
    assert issubclass(made, Gateway)
    return made


def _addressed(sent: Envelope, name: str) -> Envelope:
    return sent if sent.to == name else msgspec.structs.replace(sent, to=name)


def _ignoring(call: Callable[[], object]) -> Callable[[], None]:
    def called() -> None:
        call()

    return called
