"""A regular acquisition as data: a few axes, and what is taken at each crossing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import msgspec

from hal.acquisition.plans.events import ChannelName, DeviceProperty

AXES = "tpgcz"
"""All axes: time, position, grid, channel, height."""


class TimeRun(msgspec.Struct, frozen=True):
    """Evenly spaced times, in whole microseconds, so that they add up exactly."""

    first_us: int
    step_us: int
    count: int


class Times(msgspec.Struct, frozen=True):
    """The time axis: runs of even spacing, one after the other; never a long list."""

    runs: tuple[TimeRun, ...] = ()

    def __len__(self) -> int:
        return sum(run.count for run in self.runs)

    def at_s(self, index: int) -> float:
        """Return time number `index`, from 0, in seconds."""
        for run in self.runs:
            if index < run.count:
                return (run.first_us + index * run.step_us) / 10**6
            index -= run.count
        raise IndexError(index)

    @property
    def last_s(self) -> float:
        """The last time."""
        return self.at_s(len(self) - 1) if self.runs else 0.0

    @property
    def interval_s(self) -> float:
        """Time between the last two; 0 where there is one only."""
        if len(self) < 2:
            return 0.0
        return self.last_s - self.at_s(len(self) - 2)

    def intervals_s(self) -> tuple[float, ...]:
        """Return each interval that occurs, once per run, in order."""
        found: list[float] = []
        end_us: int | None = None
        for run in self.runs:
            if end_us is not None:
                found.append((run.first_us - end_us) / 10**6)
            if run.count > 1:
                found.append(run.step_us / 10**6)
            end_us = run.first_us + (run.count - 1) * run.step_us
        return tuple(dict.fromkeys(found))


class Focus(msgspec.Struct, frozen=True):
    """When to focus: whenever one of these axes has gone on."""

    number: int
    """Which focus plan it is; positions with the same one share its memory."""
    axes: tuple[str, ...]
    device: str = ""
    motor_offset_um: float | None = None


class GridPoint(msgspec.Struct, frozen=True):
    """A field of a grid."""

    x_um: float | None
    y_um: float | None
    is_relative: bool
    """Whether it counts from the position."""


class ChannelEntry(msgspec.Struct, frozen=True):
    """A channel, and when it is taken."""

    channel: ChannelName
    exposure_s: float | None = None
    do_stack: bool = True
    """Taken at every height; otherwise only at the middle one."""
    z_offset_um: float = 0.0
    acquire_every: int = 1
    """Taken at every so-manieth time."""
    camera: str = ""


class PositionEntry(msgspec.Struct, frozen=True):
    """A position, and what is done there."""

    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    name: str = ""
    properties: tuple[DeviceProperty, ...] = ()
    block: Block | None = None
    """What is taken here instead; empty of axes if it only says how to focus."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Axes, outermost first, and their entries."""

    order: str
    """Axes that are used."""
    times: Times = Times()
    positions: tuple[PositionEntry, ...] = ()
    grid: tuple[GridPoint, ...] = ()
    channels: tuple[ChannelEntry, ...] = ()
    heights_um: tuple[float, ...] = ()
    middle: int = 0
    """Height of channels that are not stacked."""
    has_z_plan: bool = False
    z_is_relative: bool = False
    has_grid_plan: bool = False
    grid_is_relative: bool = False
    has_axes: bool = True
    focus: Focus | None = None

    def size(self, axis: str) -> int:
        """Return how many entries an axis has; 0 if it is not used."""
        return self.entries(axis) if axis in self.order else 0

    def entries(self, axis: str) -> int:
        """Return how many entries an axis has, used or not."""
        if axis == "t":
            return len(self.times)
        if axis == "p":
            return len(self.positions)
        if axis == "g":
            return len(self.grid)
        return len(self.channels if axis == "c" else self.heights_um)

    def crossings(self, times: range | None = None) -> Iterator[tuple[int, ...]]:
        """Yield the indices along each axis of `order`, the last one quickest.

        Args:
            times: Only these of the time axis.
        """
        axes: list[range] = [range(self.size(axis)) for axis in self.order]
        at = self.order.find("t")
        if at < 0:
            yield from product(*axes)
            return
        # The time axis may be very long, and `product` would make a list of it.
        inner = list(product(*axes[at + 1 :]))
        for outer in product(*axes[:at]):
            for t in axes[at] if times is None else times:
                for rest in inner:
                    yield (*outer, t, *rest)
