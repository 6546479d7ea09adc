"""News of the microscope's side as they cross a wire, and who says and hears them."""

from __future__ import annotations

from typing import Final, Protocol

from hal.base import InvalidMessage, Record, pack, record_class, unpack, wire_name
from hal.kernel import Event

STATE_SCHEMA: Final = 1
"""Raised when the fields of `StateTold` change their meaning."""


class StateTold(Record, frozen=True):
    """One event, told to a client.

    What cannot be read by an older or younger client says so when it is asked for its
    event, and can be passed on, or over, all the same.
    """

    schema: int
    """`STATE_SCHEMA` of who tells it."""
    session: str
    """HAL's session; another one: nothing that was told before holds any more."""
    number: int
    """Counted from 1 for each subscriber; one that is left out was lost on the way."""
    wall_s: float
    """When it was told, seconds since 1970."""
    is_news: bool
    """False for what was so already when the subscription began."""
    type: str
    """Name of the event on the wire."""
    version: int
    """Of the schema of that event."""
    payload: bytes
    """The event, packed."""

    def event(self) -> Event:
        """Return the event.

        Raises:
            InvalidMessage: It is of a schema, a type or a version not known here.
        """
        if self.schema != STATE_SCHEMA:
            raise InvalidMessage(
                f"{self.type}: told in schema {self.schema}: expected {STATE_SCHEMA}"
            )
        cls = record_class(self.type)
        if not issubclass(cls, Event):
            raise InvalidMessage(f"'{self.type}' is not an event")
        if cls.version != self.version:
            raise InvalidMessage(
                f"{self.type}: told as version {self.version}, known here as version "
                f"{cls.version}"
            )
        event = unpack(cls, self.payload)
        assert isinstance(event, Event)
        return event


def told(
    event: Event, *, session: str, number: int, wall_s: float, is_news: bool
) -> StateTold:
    """Return `event` as it is told.

    Raises:
        InvalidMessage: It holds something that is not plain data.
    """
    return StateTold(
        schema=STATE_SCHEMA,
        session=session,
        number=number,
        wall_s=wall_s,
        is_news=is_news,
        type=wire_name(type(event).__name__),
        version=event.version,
        payload=pack(event),
    )


class UiClient(Protocol):
    """A user interface, as the side it listens to sees it.

    It owns no hardware and keeps nobody waiting: whoever listens too slowly, or raises,
    is told that its feed has ended, and may subscribe again.

    Runs on: a thread of its subscription, one call after the other.
    """

    def state_told(self, news: StateTold) -> None:
        """Take what is so now, or what has just happened, in order; returns soon."""

    def feed_ended(self, why: str) -> None:
        """Hear that nothing more is told, and why; once, and last."""


class StatePublisher(Protocol):
    """The other end of a feed: where the microscope's side tells what happens.

    Runs on: any; nothing blocks.
    """

    def publish_state(self, event: Event) -> None:
        """Tell all who have subscribed."""
