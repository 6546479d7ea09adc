"""Channels: the light, filters and camera that a plan calls by one name."""

from __future__ import annotations

from typing import ClassVar

from hal.acquisition import ChannelName
from hal.base import Record
from hal.kernel import Lane, Request


class GetChannel(Request, frozen=True):
    """Answers with a `ChannelDescription`; at any time, also during a run."""

    lane: ClassVar[Lane] = Lane.URGENT


class ChannelDescription(Record, frozen=True, kw_only=True):
    """What it takes to look at one channel; modules by name, empty for none."""

    name: ChannelName
    """What plans call it."""
    light: str = ""
    power_mw: float | None = None
    """Power to set on `light`; None without one."""
    shutter: str = ""
    """What lets the light through."""
    filter_wheel: str = ""
    filter: str = ""
    """Name of a filter, or number of a slot, as `MoveFilterWheel` takes it."""
    camera: str = ""
    """What it is looked at with; empty for any."""
    lit_area_cm2: float | None = None
    """Area of the sample that the light falls on; None if nobody measured it."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Modules that bring the light: source, shutter, wheel."""
        named = (self.light, self.shutter, self.filter_wheel)
        return tuple(name for name in named if name)
