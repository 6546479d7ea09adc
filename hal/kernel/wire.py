"""What a delivery and an outcome look like as bytes."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from hal.base import (
    Carrier,
    DeliveryId,
    ErrorRecord,
    InvalidMessage,
    Record,
    pack,
    record_class,
    unpack,
    unpack_any,
)
from hal.kernel.delivery import Delivery, How
from hal.kernel.message import Message


class Envelope(msgspec.Struct, frozen=True):
    """A message on the wire."""

    id: DeliveryId
    principal: str
    cause: DeliveryId | None
    run_id: str | None
    to: str | None
    sync: bool
    remaining_s: float
    """The deadline as time left, so that clocks of two machines need not agree."""
    deadline_is_explicit: bool
    on_behalf_of: str
    type: str
    version: int
    payload: bytes


def to_envelope(delivery: Delivery, remaining_s: float) -> Envelope:
    """Return `delivery` as it crosses the wire, with so much time left.

    Raises:
        InvalidMessage: Its message holds something that is not plain data.
    """
    message = delivery.message
    return Envelope(
        delivery.id,
        delivery.principal,
        delivery.cause,
        delivery.run_id,
        delivery.to,
        delivery.sync,
        remaining_s,
        delivery.deadline_is_explicit,
        delivery.on_behalf_of,
        delivery.type,
        message.version,
        pack(message),
    )


class Outcome(msgspec.Struct, frozen=True):
    """What became of one ticket, on the wire."""

    id: DeliveryId
    receiver: str
    how: How
    by: str
    response: bytes
    error: ErrorRecord | None


_envelopes = msgspec.msgpack.Decoder(Envelope)
_outcomes = msgspec.msgpack.Decoder(Outcome)


@dataclass(frozen=True)
class Wire:
    """Packs and unpacks; with a carrier, everything really crosses it.

    Runs on: any.
    """

    carrier: Carrier | None = None

    def message(self, cls: type[Record], envelope: Envelope) -> Message:
        """Return the message, sent as a `cls`, as its receivers get it.

        Raises:
            InvalidMessage: Unknown type or version, or fields that break the schema.
        """
        if self.carrier is not None:
            data = self.carrier.carry(pack(envelope))
            try:
                envelope = _envelopes.decode(data)
            except (msgspec.DecodeError, ValueError) as exc:
                raise InvalidMessage(f"{envelope.type}: {exc}") from exc
            cls = record_class(envelope.type)
        if not issubclass(cls, Message):
            raise InvalidMessage(f"'{envelope.type}' is not a message")
        if cls.version != envelope.version:
            raise InvalidMessage(
                f"{envelope.type}: sent as version {envelope.version}, "
                f"known here as version {cls.version}"
            )
        message = unpack(cls, envelope.payload)
        assert isinstance(message, Message)
        return message

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return `outcome` as the sender's side gets it."""
        if self.carrier is None:
            return outcome
        return _outcomes.decode(self.carrier.carry(msgspec.msgpack.encode(outcome)))


def pack_response(response: object) -> bytes:
    """Return a handler's answer as bytes; nothing for None.

    Raises:
        InvalidMessage: It is not plain data.
    """
    return b"" if response is None else pack(response)


def unpack_response(data: bytes) -> object:
    """Return what `pack_response` was given."""
    return None if not data else unpack_any(data)
