"""Names and numbers: sessions, runs, deliveries, modules."""

from __future__ import annotations

import itertools
import re

import msgspec
from ulid import ULID

MODULE_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
"""What a module instance may be called, everywhere: XML, `--set`, sidecar, trace."""


def new_ulid() -> str:
    """Return a new ULID: 26 characters, sorts by time of creation, never collides."""
    return str(ULID())


class DeliveryId(msgspec.Struct, frozen=True):
    """Identity of one delivery, unique across sessions and processes."""

    session: str
    """ULID of the HAL session."""
    origin: str
    """Process that sent it (`main`, or the name of a child process)."""
    counter: int
    """Counted from 1 in that process."""

    def __str__(self) -> str:
        """Return the short form for people; unique within one session."""
        return f"{self.origin}#{self.counter}"


class IdSource:
    """Hands out delivery ids of one session and process.

    Runs on: any; `itertools.count` is advanced under the interpreter's own lock.
    """

    def __init__(self, origin: str = "main", session: str | None = None) -> None:
        self.session = session or new_ulid()
        self.origin = origin
        self._counter = itertools.count(1)

    def next(self) -> DeliveryId:
        """Return the next id."""
        return DeliveryId(self.session, self.origin, next(self._counter))
