"""What modules say to each other: frozen typed records, one class per meaning."""

from __future__ import annotations

import enum
from typing import ClassVar

from hal.base import Record


class Lane(enum.StrEnum):
    """Which queue a message waits in."""

    NORMAL = "normal"
    """Totally ordered everywhere; waits while its receiver runs a job."""
    URGENT = "urgent"
    """Ordered in itself; overtakes the normal lane and is taken during a job."""
    DISPLAY = "display"
    """Taken when nothing else waits; a newer message replaces one of its kind."""


class Access(enum.StrEnum):
    """Who may still use a module while a run holds it."""

    ANYBODY = "anybody"
    """It disturbs nothing: questions, and everything that makes safe."""
    HOLDER = "holder"
    """The run, and whoever it belongs to: live parameters."""
    RUN = "run"
    """The run alone: whatever moves, switches or starts."""


class Message(Record, frozen=True):
    """Base of `Request` and `Event`; the class is the schema.

    Numbers carry their unit in the name (`x_um`). A field's limits are given as
    `Annotated[float, msgspec.Meta(ge=0)]`; numbers must be finite in any case.
    """

    version: ClassVar[int] = 1
    """Raised when fields change their meaning."""
    lane: ClassVar[Lane] = Lane.NORMAL
    deadline_s: ClassVar[float] = 5.0
    """How long the sender waits if it does not say otherwise."""
    cancels_queued: ClassVar[bool] = False
    """Whether it is a stop: what its receiver was sent before, and has not begun,
    completes as `Cancelled` instead of being run. For the urgent lane."""

    access: ClassVar[Access] = Access.ANYBODY
    """Who may send it to a module that a run holds."""

    def conflation_key(self) -> str:
        """Return what tells this message from others of its class and sender.

        On the display lane a message replaces the one with the same key.
        """
        return ""


class Request(Message, frozen=True):
    """Asks exactly one module to do something; named in the imperative."""


class Event(Message, frozen=True):
    """Tells whoever subscribed what has happened; named in the past."""
