"""Light: sources, shutters, filter wheels."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from hal.base import Record
from hal.kernel import Access, Event, Request


class SetLight(Request, frozen=True):
    """Set power, or on and off, or both; answers with a `LightState`."""

    access: ClassVar[Access] = Access.HOLDER
    power_mw: Annotated[float, Meta(ge=0)] | None = None
    is_on: bool | None = None


class GetLight(Request, frozen=True):
    """Answers with a `LightState`."""


class LightState(Record, frozen=True):
    """What a light source does."""

    power_mw: float
    """Set point; what comes out while it is on."""
    is_on: bool


class LightChanged(Event, frozen=True):
    """A light source has another power, or is on or off."""

    light: str
    power_mw: float
    is_on: bool


class SetShutter(Request, frozen=True):
    """Open or close."""

    access: ClassVar[Access] = Access.HOLDER
    is_open: bool


class ShutterChanged(Event, frozen=True):
    """A shutter is open or closed."""

    shutter: str
    is_open: bool


class MoveFilterWheel(Request, frozen=True):
    """Bring a filter into the light, by slot (from 1) or name; completes on arrival."""

    access: ClassVar[Access] = Access.RUN
    filter: int | str


class FilterWheelMoved(Event, frozen=True):
    """Another filter is in the light."""

    wheel: str
    slot: int
    name: str
