"""What the modules of a simulated world say to each other.

Every message tells its receivers what to do with it, by an act such as `answer`,
`hang:7` or `job:ask:bob`: see `tests.kernel.world_modules`.
"""

from __future__ import annotations

from typing import ClassVar, Final

from hal.kernel import Access, Event, Lane, Message, Request


class Heard(Event, frozen=True):
    """For all: an event of the normal lane."""

    who: str
    """The thread that sent it, or a chain."""
    number: int
    """Counts what `who` has sent, from 1 on; 0 where there is no order."""
    act: str = "answer"


class Alarmed(Event, frozen=True):
    """For all: an event of the urgent lane."""

    lane: ClassVar[Lane] = Lane.URGENT
    who: str
    number: int
    act: str = "answer"


class Displayed(Event, frozen=True):
    """For all: an event of the display lane; there are three kinds of it."""

    lane: ClassVar[Lane] = Lane.DISPLAY
    who: str
    number: int
    act: str = "answer"

    def conflation_key(self) -> str:
        return str(self.number % 3)


class Perform(Request, frozen=True):
    """For one: a request of the normal lane."""

    who: str
    number: int
    act: str = "answer"


class PerformNow(Request, frozen=True):
    """For one: a request of the urgent lane."""

    lane: ClassVar[Lane] = Lane.URGENT
    who: str
    number: int
    act: str = "answer"


class PerformInRun(Request, frozen=True):
    """For one: a request that a lease may stand against."""

    access: ClassVar[Access] = Access.RUN
    who: str
    number: int
    act: str = "answer"


class CallOff(Request, frozen=True):
    """For one: a stop, which cancels what waits in the normal lane."""

    lane: ClassVar[Lane] = Lane.URGENT
    cancels_queued: ClassVar[bool] = True
    who: str
    number: int
    act: str = "answer"


Said = Heard | Alarmed | Displayed | Perform | PerformNow | PerformInRun | CallOff

KINDS: Final[dict[str, type[Said]]] = {
    cls.__name__: cls
    for cls in (
        *(Heard, Alarmed, Displayed),
        *(Perform, PerformNow, PerformInRun, CallOff),
    )
}


def is_said(message: Message) -> bool:
    """Whether it is one of these."""
    return type(message).__name__ in KINDS
