"""What goes through the pipe between HAL and a process of modules, both ways.

Plain data in msgpack; what cannot be read, or is not one of these, ends the pipe.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hal.base import DeliveryId, ErrorRecord, LinkError, SafeStateCall, Value
from hal.frames import Place, RingHandle
from hal.kernel import Envelope, How, Outcome


class Frame(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of all."""


# -- down, to the child ---------------------------------------------------------------


class Hello(Frame, frozen=True):
    """Who the child is."""

    session: str
    process: str
    """Unique in the session: ids are made with it."""
    name: str
    """What it is called in the configuration."""
    log_folder: str
    """Where dumps go; empty for nowhere."""
    memory_mb: float | None


class Begin(Frame, frozen=True):
    """Make a module."""

    module: str
    generation: int
    class_path: str
    values: dict[str, Value]
    driver_path: str
    """Empty if it takes none."""
    driver_values: dict[str, Value]
    deadline_s: float
    world_state: str
    """File of the simulated world the driver lives in; empty if in none."""


class Post(Frame, frozen=True):
    """A message for a module."""

    envelope: Envelope
    home: str
    """Where the class of the message can be imported, if it is not known yet."""


class Ended(Frame, frozen=True):
    """A message of the child has completed."""

    id: DeliveryId
    outcomes: tuple[Outcome, ...]
    errors: tuple[ErrorRecord, ...]
    """Errors that are no receiver's."""


class Residents(Frame, frozen=True):
    """All modules of the system: name, role, whether it owns a driver."""

    modules: tuple[tuple[str, str, bool], ...]


class RingAnswered(Frame, frozen=True):
    """What HAL did about a question about rings."""

    id: int
    handle: RingHandle | None = None
    place: Place | None = None
    error: ErrorRecord | None = None


class Leave(Frame, frozen=True):
    """Make all safe, and end."""


# -- up, to HAL -----------------------------------------------------------------------


class Ready(Frame, frozen=True):
    """A module has been made."""

    module: str


class Refused(Frame, frozen=True):
    """A module could not be made; the child ends."""

    module: str
    error: ErrorRecord


class Sent(Frame, frozen=True):
    """A module says something."""

    envelope: Envelope


class Result(Frame, frozen=True):
    """What became of a message that was posted."""

    outcome: Outcome


class State(Frame, frozen=True):
    """A module's state, or the reason for it, is another one now."""

    module: str
    state: str
    reason: str


class Waits(Frame, frozen=True):
    """A module can do nothing until a message it sent has completed, or can again."""

    module: str
    id: DeliveryId
    begins: bool


class GaveUp(Frame, frozen=True):
    """A module cannot go on; the child makes it safe, and ends."""

    module: str
    error: ErrorRecord


class Free(Frame, frozen=True):
    """A module takes messages again, after one that outlasted its sender's patience."""

    module: str


class SecondPath(Frame, frozen=True):
    """What makes the device of a module safe when this process is gone."""

    module: str
    call: SafeStateCall | None


class Noted(Frame, frozen=True):
    """Something for the trace."""

    kind: str
    data: dict[str, Any]


class Logged(Frame, frozen=True):
    """Something for the log."""

    record: dict[str, Any]


class Beat(Frame, frozen=True):
    """The child is alive."""


class CreateRing(Frame, frozen=True):
    """Make a ring that the child will fill."""

    name: str
    shape: tuple[int, int]
    dtype: str
    slots: int | None


class FindRing(Frame, frozen=True):
    """Say where a ring is."""

    name: str


class AdmitReader(Frame, frozen=True):
    """Enter a reader of the child into a ring, which is told by its memory."""

    memory: str
    name: str
    lossless: bool
    from_start: bool
    take_over: bool


class RemoveRing(Frame, frozen=True):
    """End a ring, and forget it."""

    name: str


RingCall = CreateRing | FindRing | AdmitReader | RemoveRing


class RingAsked(Frame, frozen=True):
    """A question about rings."""

    id: int
    call: RingCall


# -- both -----------------------------------------------------------------------------


class Extended(Frame, frozen=True):
    """A receiver of a message was given so many seconds from now."""

    id: DeliveryId
    patience_s: float


Down = Hello | Begin | Post | Ended | Residents | RingAnswered | Leave | Extended
Up = (
    Ready
    | Refused
    | Sent
    | Result
    | State
    | Waits
    | GaveUp
    | Free
    | SecondPath
    | Noted
    | Logged
    | Beat
    | RingAsked
    | Extended
)
# What is odd in a log entry or a trace record must not cost it.
_encoder = msgspec.msgpack.Encoder(enc_hook=str)
_down: msgspec.msgpack.Decoder[Down] = msgspec.msgpack.Decoder(Down)
_up: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)


def encode(frame: Frame) -> bytes:
    """Return `frame` as bytes."""
    try:
        return _encoder.encode(frame)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise LinkError(f"{type(frame).__name__} cannot be sent: {exc}") from exc


def decode_down(data: bytes) -> Down:
    """Return what HAL sent.

    Raises:
        LinkError: It is something else.
    """
    try:
        return _down.decode(data)
    except (msgspec.DecodeError, ValueError) as exc:
        raise LinkError(f"garbage: {exc}") from exc


def decode_up(data: bytes) -> Up:
    """Return what a child sent.

    Raises:
        LinkError: It is something else.
    """
    try:
        return _up.decode(data)
    except (msgspec.DecodeError, ValueError) as exc:
        raise LinkError(f"garbage: {exc}") from exc


def no_outcome(identity: DeliveryId, receiver: str, error: ErrorRecord) -> Outcome:
    """Return the outcome of a message that `receiver` never got."""
    return Outcome(identity, receiver, How.FAILED, "process", b"", error)
