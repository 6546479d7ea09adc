"""What devices are able to: limits, where they are, and how long they take, as data.

Times are None where a driver cannot tell (`times_are_exact` is False).
"""

from __future__ import annotations

from hal.base import Record
from hal.devices import MoveTiming
from hal.kernel import Request


class GetCameraAbility(Request, frozen=True):
    """Answers with a `CameraAbility`; touches no hardware."""


class GetStageAbility(Request, frozen=True):
    """Answers with a `StageAbility`."""


class StageAbility(Record, frozen=True, kw_only=True):
    """An XY stage: where it may go, where it is, how long it takes."""

    x_low_um: float
    x_high_um: float
    y_low_um: float
    y_high_um: float
    x_um: float
    y_um: float
    timing: MoveTiming | None = None


class GetZAbility(Request, frozen=True):
    """Answers with a `ZAbility`."""


class ZAbility(Record, frozen=True, kw_only=True):
    """A focus drive: where it may go, where it is, how long it takes."""

    z_low_um: float
    z_high_um: float
    z_um: float
    timing: MoveTiming | None = None


class GetWheelAbility(Request, frozen=True):
    """Answers with a `WheelAbility`."""


class WheelAbility(Record, frozen=True, kw_only=True):
    """A filter wheel: its filters, which one is in the light, how long a turn takes."""

    filters: tuple[str, ...]
    """Names, from slot 1 on."""
    slot: int
    """In the light now, counted from 1."""
    move_s: tuple[tuple[float, ...], ...] | None = None
    """From each slot (row) to each other."""


class GetLightAbility(Request, frozen=True):
    """Answers with a `LightAbility`."""


class LightAbility(Record, frozen=True, kw_only=True):
    """A light source: how bright it may be, what it does, how long a change takes."""

    max_power_mw: float
    power_mw: float
    """Set now."""
    is_on: bool
    switch_s: float | None = None


class GetShutterAbility(Request, frozen=True):
    """Answers with a `ShutterAbility`."""


class ShutterAbility(Record, frozen=True, kw_only=True):
    """A shutter: whether it is open, and how long a change takes."""

    is_open: bool
    open_s: float | None = None
    close_s: float | None = None
