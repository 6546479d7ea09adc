"""Messages of the kernel's tests.

In a module of its own, imported by one name everywhere: a class defined twice would be
two kinds of record with one name on the wire.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec

from hal.base import Record
from hal.kernel import Event, Lane, Request


class Noted(Event, frozen=True):
    """Something to put down, by whoever said it."""

    who: str
    number: int


class NotedToo(Event, frozen=True):
    """Another class of event, to mix with `Noted`."""

    who: str
    number: int


class Shouted(Event, frozen=True):
    """An event of the urgent lane."""

    lane: ClassVar[Lane] = Lane.URGENT
    who: str
    number: int


class Whispered(Event, frozen=True):
    """An event that nobody listens to."""


class Act(Request, frozen=True):
    """Do what the test has prepared under this name."""

    what: str


class ActAtOnce(Request, frozen=True):
    """The same in the urgent lane."""

    lane: ClassVar[Lane] = Lane.URGENT
    what: str


class ActInRun(Request, frozen=True):
    """The same as part of a run."""

    what: str
    run_id: str


class Whimsical(Request, frozen=True):
    """A request that no module handles."""


class PlaceProbe(Request, frozen=True):
    """A request with all kinds of fields, and a receiver: see `Placer`."""

    x_um: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)]
    turns: int = 0
    label: str = ""
    path_um: tuple[float, ...] = ()
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class Measured(Record, frozen=True):
    """A response."""

    name: str
    value: float
