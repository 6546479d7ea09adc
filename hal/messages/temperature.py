"""Temperatures: measured, and held."""

from __future__ import annotations

from typing import ClassVar

from hal.base import Record
from hal.kernel import Access, Event, Lane, Request


class GetTemperature(Request, frozen=True):
    """Answers with a `TemperatureState`."""


class SetTemperature(Request, frozen=True):
    """Begin to hold a temperature, or none; answers with a `TemperatureState`.

    Completes when the controller confirms the order; what it takes to get there is
    minutes, and `GetTemperature` tells when it is reached.
    """

    access: ClassVar[Access] = Access.HOLDER
    target_c: float | None
    """None turns heating and cooling off."""


class TemperatureState(Record, frozen=True):
    """What a thermometer or a temperature controller says."""

    temperature_c: float
    target_c: float | None = None
    """None when it holds none, or cannot."""
    is_reached: bool = False
    """Whether the temperature is near its target."""


class TemperatureMeasured(Event, frozen=True):
    """A thermometer was asked to report now and then, and does."""

    lane: ClassVar[Lane] = Lane.DISPLAY
    sensor: str
    temperature_c: float
    target_c: float | None
    is_reached: bool
