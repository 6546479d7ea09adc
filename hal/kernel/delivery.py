"""One message on its way: who owes an answer, what came back, and when."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from hal.base import Clock, DeliveryId, ErrorRecord, HalError, wire_name
from hal.kernel.message import Lane, Message

SLACK_S: Final = 60.0
"""How much longer than any deadline a `wait` without timeout lasts at most."""


class How(enum.StrEnum):
    """The ways a ticket can end."""

    DONE = "done"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    DEAD = "dead"
    FULL = "full"
    SUPERSEDED = "superseded"


class Ticket(msgspec.Struct, rename={"receiver": "to"}):
    """One receiver's debt: it ends exactly once, by whoever claims it first.

    A struct, because making and rendering sixty of them must not cost a message more
    than all the rest.
    """

    receiver: str
    queued_s: float
    deadline_at_s: float
    started_s: float | None = None
    ended_s: float | None = None
    by: str = ""
    how: How | None = None

    def extend(self, deadline_at_s: float) -> None:
        """Give the receiver until `deadline_at_s`; never shortens."""
        self.deadline_at_s = max(self.deadline_at_s, deadline_at_s)


class Delivery:
    """A sent message with its tickets, errors and responses.

    Runs on: any. Everything but `wait` returns at once.

    Guarantees:
        Completes exactly once, with one outcome per receiver.
        After `complete` is true nothing in it changes but times of its tickets.
    """

    def __init__(
        self,
        identity: DeliveryId,
        message: Message,
        *,
        principal: str,
        clock: Clock,
        deadline_s: float,
        deadline_is_explicit: bool = False,
        to: str | None = None,
        cause: DeliveryId | None = None,
        run_id: str | None = None,
        on_behalf_of: str | None = None,
        sync: bool = False,
    ) -> None:
        self.id = identity
        self.message = message
        self.principal = principal
        self.to = to
        self.cause = cause
        self.run_id = run_id
        self.on_behalf_of = on_behalf_of or principal
        """Who set it in motion: the sender of the first message that caused it."""
        self.sync = sync
        self.deadline_s = deadline_s
        self.deadline_is_explicit = deadline_is_explicit
        self.sent_s = clock.monotonic_s()
        self.accepted = False
        """Whether the broker has taken it up; a chained one waits for its turn."""
        self.is_held = False
        """Whether it waits behind a barrier, or is one that waits."""
        self.flaw: ErrorRecord | None = None
        """Why it can reach nobody, found when it was made."""
        self.done_s: float | None = None
        self.tickets: dict[str, Ticket] = {}
        self.responses: dict[str, object] = {}
        self.errors: tuple[ErrorRecord, ...] = ()
        self.complete = False
        self.then: Delivery | None = None
        """Sent when this one has completed, whatever its outcome."""
        self.on_complete: Callable[[Delivery], None] = _nothing
        """Called once, by the thread that ended the last ticket; must not block."""
        self.on_extended: Callable[[Delivery, float], None] = _nothing_more
        """Called when a receiver was given so many seconds from now; must not block."""
        self._clock = clock
        self._owed: dict[str, Ticket] = {}
        self._left: list[bool] = []
        self._found: list[ErrorRecord] = []
        self._waiting: list[threading.Event] = []

    @property
    def lane(self) -> Lane:
        """The lane of its message."""
        return self.message.lane

    @property
    def type(self) -> str:
        """Wire name of its message."""
        return wire_name(type(self.message).__name__)

    @property
    def pending(self) -> tuple[str, ...]:
        """Receivers that still owe an answer: the reference count, by name."""
        return tuple(self._owed)

    @property
    def deadline_at_s(self) -> float:
        """When the sender stops waiting, unless a receiver was given longer."""
        return self.sent_s + self.deadline_s

    def extend(self, receiver: str, patience_s: float) -> None:
        """Give `receiver` so long from now, unless the sender has set a deadline."""
        if not self.deadline_is_explicit:
            now_s = self._clock.monotonic_s()
            self.tickets[receiver].extend(now_s + patience_s)
        self.on_extended(self, patience_s)

    def issue(self, receivers: tuple[str, ...], now_s: float) -> None:
        """Create one ticket per receiver; called once, before any of them gets it."""
        deadline_at_s = self.deadline_at_s
        tickets = {name: Ticket(name, now_s, deadline_at_s) for name in receivers}
        # Prefilled so that `list.pop`, atomic in every Python, hands True to exactly
        # one claimer: the last. Counting down an integer would need a lock.
        self._left = [True] + [False] * (len(tickets) - 1)
        self.tickets = tickets
        self._owed = dict(tickets)

    def is_owed_by(self, receiver: str) -> bool:
        """Whether `receiver` has not ended its ticket yet."""
        return receiver in self._owed

    def claim(
        self,
        receiver: str,
        how: How,
        by: str,
        response: object = None,
        error: ErrorRecord | None = None,
    ) -> bool:
        """End `receiver`'s ticket; the last one completes the delivery.

        Returns:
            False if somebody else ended it before: the outcome given here is late, has
            changed nothing, and the caller reports it.
        """
        # `dict.pop` is the atomic step that makes one claimer win.
        ticket = self._owed.pop(receiver, None)
        if ticket is None:
            return False
        ticket.ended_s = self._clock.monotonic_s()
        ticket.how = how
        ticket.by = by
        if response is not None:
            self.responses[receiver] = response
        if error is not None:
            self._found.append(error)
        if self._left.pop():
            self._complete()
        return True

    def refuse(self, error: ErrorRecord) -> None:
        """Complete without any receiver, with `error` attached."""
        self._found.append(error)
        self._complete()

    def finish_empty(self) -> None:
        """Complete an event that nobody subscribed to."""
        self._complete()

    def conclude(
        self,
        tickets: dict[str, Ticket],
        responses: dict[str, object],
        errors: tuple[ErrorRecord, ...],
    ) -> None:
        """Complete as this delivery has in the process that had its tickets; once."""
        self.tickets = tickets
        self.responses = responses
        self._found = list(errors)
        self._complete()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return True once it is complete, False after `timeout_s`.

        Without a timeout it waits until the last deadline given to it or one of its
        receivers (a job's may be long), and some slack.
        """
        event = threading.Event()
        self._waiting.append(event)
        # Order matters: the completer sets `complete` first and looks for events
        # second; we added our event first and look at `complete` second.
        if self.complete:
            return True
        if timeout_s is not None:
            self._clock.wait(event, timeout_s)
            return self.complete
        while not self.complete and (left_s := self._patience_s()) > 0:
            self._clock.wait(event, left_s)
        return self.complete

    def result(self) -> object:
        """Return the only response (None if there is none).

        Raises:
            HalError: The first attached error, in its own class.
        """
        # A warning beside a response is for those who look; alone, it is the answer.
        for error in self.errors:
            if error.severity == "error" or not self.responses:
                raise error.to_exception()
        if not self.complete:
            raise HalError(f"{self.type} ({self.id}) has not completed")
        return next(iter(self.responses.values()), None)

    def _patience_s(self) -> float:
        given_s = [ticket.deadline_at_s for ticket in self.tickets.values()]
        last_s = max([self.deadline_at_s, *given_s])
        return last_s + SLACK_S - self._clock.monotonic_s()

    def _complete(self) -> None:
        self.errors = tuple(self._found)
        self.done_s = self._clock.monotonic_s()
        self.complete = True
        for event in self._waiting:
            event.set()
        self.on_complete(self)


def _nothing(_delivery: Delivery) -> None:
    pass


def _nothing_more(_delivery: Delivery, _patience_s: float) -> None:
    pass
