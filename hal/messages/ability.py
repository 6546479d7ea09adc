"""What devices are able to, as data."""

from __future__ import annotations

from hal.base import Record
from hal.kernel import Request


class GetWheelAbility(Request, frozen=True):
    """Answers with a `WheelAbility`."""


class WheelAbility(Record, frozen=True, kw_only=True):
    """A filter wheel: its filters, and which one is in the light."""

    filters: tuple[str, ...]
    """Names, from slot 1 on."""
    slot: int
    """In the light now, counted from 1."""
