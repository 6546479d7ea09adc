"""The child's way to HAL: what its kernel sends, notes and says goes up the pipe."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Final

from hal.base import (
    Clock,
    DeliveryId,
    ErrorRecord,
    HalError,
    LinkError,
    SafeStateCall,
    to_stderr,
)
from hal.isolation.frames import (
    Ended,
    Extended,
    Frame,
    GaveUp,
    Logged,
    Noted,
    Result,
    SecondPath,
    Sent,
    State,
    Waits,
    encode,
)
from hal.kernel import (
    Delivery,
    How,
    ModuleStateChanged,
    Outcome,
    Resident,
    Ticket,
    Trace,
    pack_response,
    to_envelope,
    unpack_response,
)
from hal.transport import Pipe

_TOLD_BY_HAL: Final = {"statistics", "footer", "state", "given up"}
"""Trace records that HAL makes of this module itself."""


class ToHal:
    """An `Uplink` through a pipe.

    Runs on: any.
    """

    def __init__(self, clock: Clock, on_cleaned_up: Callable[[], None]) -> None:
        self.pipe: Pipe | None = None
        self.residents: tuple[Resident, ...] = ()
        self.overrun: set[str] = set()
        """Modules that may still be busy with what its sender waits for no more."""
        self._clock = clock
        self._on_cleaned_up = on_cleaned_up
        self._open: dict[DeliveryId, Delivery] = {}

    def put(self, frame: Frame) -> None:
        """Send `frame` to HAL; if the pipe is closed, the reader sees to the end."""
        assert self.pipe is not None
        with contextlib.suppress(LinkError):
            self.pipe.send(encode(frame))

    # -- for the kernel -----------------------------------------------------------

    def send(self, delivery: Delivery) -> None:
        """Have `delivery` routed by HAL."""
        message = delivery.message
        if isinstance(message, ModuleStateChanged):
            # HAL keeps the state of all modules, and tells of it.
            self.put(State(message.module, message.state, message.reason))
            delivery.finish_empty()
            return
        remaining_s = max(0.0, delivery.deadline_at_s - self._clock.monotonic_s())
        self._open[delivery.id] = delivery
        self.put(Sent(to_envelope(delivery, remaining_s)))

    def waits(self, module: str, delivery: Delivery, begins: bool) -> None:
        """Have HAL know who waits for whom: it finds circles."""
        self.put(Waits(module, delivery.id, begins))

    def given_up(self, module: str, error: ErrorRecord) -> None:
        """Say that a module cannot go on."""
        self.put(GaveUp(module, error))

    def cleaned_up(self, module: str) -> None:
        """Say that it is safe: this process is of no more use."""
        self._on_cleaned_up()

    def second_path(self, module: str, call: SafeStateCall | None) -> None:
        """Have HAL know what makes a device safe when this process is gone."""
        self.put(SecondPath(module, call))

    # -- what HAL says ------------------------------------------------------------

    def ended(self, frame: Ended) -> None:
        """Complete a message of this process as HAL says."""
        delivery = self._open.pop(frame.id, None)
        if delivery is None:
            return
        now_s, errors = self._clock.monotonic_s(), list(frame.errors)
        tickets: dict[str, Ticket] = {}
        responses: dict[str, object] = {}
        for outcome in frame.outcomes:
            name = outcome.receiver
            tickets[name] = Ticket(
                name,
                delivery.sent_s,
                delivery.deadline_at_s,
                ended_s=now_s,
                by=outcome.by,
                how=outcome.how,
            )
            try:
                response = unpack_response(outcome.response)
            except HalError as exc:  # of a class that nobody here has imported
                errors.append(ErrorRecord.from_exception(exc, name))
                continue
            if response is not None:
                responses[name] = response
        delivery.conclude(tickets, responses, tuple(errors))

    def extended(self, frame: Extended) -> None:
        """Let who waits for a message of this process wait longer."""
        delivery = self._open.get(frame.id)
        if delivery is not None:
            waited_s = self._clock.monotonic_s() - delivery.sent_s
            longer_s = waited_s + frame.patience_s
            delivery.deadline_s = max(delivery.deadline_s, longer_s)

    # -- what became of HAL's messages --------------------------------------------

    def completed(self, delivery: Delivery) -> None:
        """Tell what became of a message that was posted here."""
        name = delivery.to or ""
        error = delivery.errors[0] if delivery.errors else None
        how, by, packed = How.FAILED, "process", b""
        ticket = delivery.tickets.get(name)
        if ticket is not None and ticket.how is not None:
            how, by = ticket.how, ticket.by
        try:
            packed = pack_response(delivery.responses.get(name))
        except HalError as exc:
            how, error = How.FAILED, ErrorRecord.from_exception(exc, name)
        self.put(Result(Outcome(delivery.id, name, how, by, packed, error)))
        if how is How.TIMEOUT:
            self.overrun.add(name)

    def log(self, record: Mapping[str, object]) -> None:
        """Have HAL log something, unless it says so itself."""
        if record.get("event") == "module given up":
            return
        assert self.pipe is not None
        try:
            self.pipe.send(encode(Logged(dict(record))))
        except LinkError:
            to_stderr(record)


class TraceToHal(Trace):
    """Has HAL trace what happens here; messages it traces anyway.

    Runs on: any.
    """

    def __init__(self, clock: Clock, process: str, to_hal: ToHal) -> None:
        super().__init__(clock)
        self._monotonic_s = clock.monotonic_s
        self._process = process
        self._to_hal = to_hal

    def start(self) -> None:
        """Nothing to do: there is no file here."""

    def stop(self) -> None:
        """Nothing to do."""

    def delivery(self, delivery: Delivery) -> None:
        """Nothing to do: HAL notes it."""

    def record(self, kind: str, **data: object) -> None:
        """Note something, with the time of now: all processes share one clock."""
        if kind not in _TOLD_BY_HAL:
            now = {"t_s": self._monotonic_s(), "process": self._process}
            self._to_hal.put(Noted(kind, {**now, **data}))
