"""The axes of a useq sequence, as our own data; every value checked on the way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hal.acquisition.plans.events import ChannelName, DeviceProperty
from hal.acquisition.plans.sequence import (
    Block,
    ChannelEntry,
    Focus,
    GridPoint,
    PositionEntry,
    TimeRun,
    Times,
)
from hal.base import PlanError

if TYPE_CHECKING:
    import useq

_MOST: Final = 1_000_000
"""Entries of an axis other than time; beyond it somebody mistyped a step."""
_US: Final = timedelta(microseconds=1)


class FocusPlans:
    """Numbers focus plans, so that positions that share one are known.

    Runs on: any one thread.
    """

    def __init__(self) -> None:
        self._known: list[object] = []

    def focus(self, plan: useq.AutoFocusPlan | None) -> Focus | None:
        """Return a focus plan as data."""
        if plan is None:
            return None
        number = next((n for n, each in enumerate(self._known) if each is plan), None)
        if number is None:
            number = len(self._known)
            self._known.append(plan)
        return Focus(
            number,
            tuple(getattr(plan, "axes", ())),
            plan.autofocus_device_name or "",
            plan.autofocus_motor_offset,
        )


def block_of(sequence: useq.MDASequence, where: str, focus: FocusPlans) -> Block:
    """Return the axes of a sequence.

    Args:
        sequence: The whole one, or that of a position.
        where: Path of its fields, for error texts; empty for the whole one.
        focus: Of the whole sequence.

    Raises:
        PlanError: It cannot be run: with the field, and what was expected.
    """
    z_plan, grid_plan = sequence.z_plan, sequence.grid_plan
    heights = _heights(z_plan, f"{where}z_plan")
    block = Block(
        order="",
        times=times_of(sequence.time_plan, f"{where}time_plan"),
        positions=_positions(sequence, where, focus),
        grid=_grid(grid_plan, f"{where}grid_plan"),
        channels=tuple(
            _channel(channel, f"{where}channels[{number}]")
            for number, channel in enumerate(sequence.channels)
        ),
        heights_um=heights,
        middle=z_plan.num_positions() // 2 if z_plan is not None else 0,
        has_z_plan=z_plan is not None,
        z_is_relative=z_plan is not None and z_plan.is_relative,
        has_grid_plan=grid_plan is not None,
        grid_is_relative=grid_plan is not None and grid_plan.is_relative,
        has_axes=bool(
            sequence.time_plan is not None
            or len(sequence.stage_positions)
            or z_plan is not None
            or sequence.channels
            or grid_plan is not None
        ),
        focus=focus.focus(sequence.autofocus_plan),
    )
    order = "".join(
        str(axis) for axis in sequence.axis_order if block.entries(str(axis))
    )
    if block.has_z_plan and "z" not in order:
        for number, channel in enumerate(block.channels):
            if not channel.do_stack:
                raise PlanError(
                    f"{where}channels[{number}].do_stack=False: expected 'z' in "
                    f"{where}axis_order, which says where the middle plane is"
                )
    return msgspec.structs.replace(block, order=order)


def unknown_height(block: Block) -> PlanError:
    """Return why useq cannot say at what height a position is focused."""
    planes = len(block.heights_um)
    number, count = next(
        (number, position.block.size("z"))
        for number, position in enumerate(block.positions)
        if position.block is not None and position.block.size("z") > planes
    )
    return PlanError(
        f"stage_positions[{number}].sequence.z_plan: {count} planes, expected at most "
        f"the {planes} of the sequence's own z_plan, from which useq counts the height "
        "to focus at"
    )


def times_of(plan: useq.AnyTimePlan | None, where: str) -> Times:
    """Return a time plan as runs of even spacing.

    Raises:
        PlanError: Time runs backwards, or an interval cannot be worked out.
    """
    if plan is None:
        return Times()
    phases = getattr(plan, "phases", None)
    if phases is None:
        step_us, count = _run(plan, where)
        return Times((TimeRun(0, step_us, count),))
    # Each phase begins where the one before ended, with a timepoint they share.
    runs, end_us = [TimeRun(0, 0, 1)], 0
    for number, phase in enumerate(phases):
        step_us, count = _run(phase, f"{where}.phases[{number}]")
        if count > 1:
            runs.append(TimeRun(end_us + step_us, step_us, count - 1))
        end_us += step_us * (count - 1)
    return Times(tuple(runs))


def number(field: str, value: Any) -> float | None:
    """Return a number of a sequence, None if it has none.

    Raises:
        PlanError: It is not finite.
    """
    if value is None:
        return None
    if not math.isfinite(value):
        raise PlanError(f"{field}={value}: expected a finite number")
    return float(value)


def exposure_s(field: str, exposure_ms: float | None) -> float | None:
    """Return an exposure time in seconds, None if none is given.

    Raises:
        PlanError: It is not finite.
    """
    value = number(field, exposure_ms)
    return None if value is None else value / 1000


def properties(
    field: str, listed: Iterable[tuple[str, str, Any]] | None
) -> tuple[DeviceProperty, ...]:
    """Return parameters of devices.

    Raises:
        PlanError: A value is no number, text or truth value.
    """
    found = []
    for count, (device, name, value) in enumerate(listed or ()):
        if not isinstance(value, bool | int | float | str):
            raise PlanError(
                f"{field}[{count}]: {device}.{name}={value!r}: expected a number, "
                "text, true or false"
            )
        if isinstance(value, float):
            number(f"{field}[{count}]: {device}.{name}", value)
        found.append(DeviceProperty(device, name, value))
    return tuple(found)


def _run(plan: Any, where: str) -> tuple[int, int]:
    try:
        interval, count = plan.interval, plan.loops
    except ZeroDivisionError:
        said = "interval=0" if "interval" in type(plan).model_fields else "loops=1"
        raise PlanError(
            f"{where}: the interval cannot be worked out from a duration and {said}"
        ) from None
    seconds = interval.total_seconds()
    if seconds < 0:
        raise PlanError(f"{where}.interval={seconds:g}: expected seconds from 0")
    if count < 1:
        raise PlanError(f"{where}.duration: expected seconds from 0")
    return interval // _US, count


def _heights(plan: useq.AnyZPlan | None, where: str) -> tuple[float, ...]:
    if plan is None:
        return ()
    for name in type(plan).model_fields:
        value = getattr(plan, name)
        for each in value if isinstance(value, list) else [value]:
            number(f"{where}.{name}", each)
    step = getattr(plan, "step", None)
    if step is not None and step < 0:
        raise PlanError(
            f"{where}.step={step:g}: expected a number from 0; go_up says the direction"
        )
    _check_count(plan.num_positions(), where, "planes")
    heights = tuple(float(um) for um in plan)
    if not heights:
        raise PlanError(f"{where}: no planes: expected at least one")
    return heights


def _grid(plan: Any, where: str) -> tuple[GridPoint, ...]:
    if plan is None:
        return ()
    for name in type(plan).model_fields:
        value = getattr(plan, name)
        for each in value if isinstance(value, tuple | list) else [value]:
            if isinstance(each, float):
                number(f"{where}.{name}", each)
    _check_count(_fields(plan, where), where, "fields")
    try:
        points = tuple(
            GridPoint(
                number(f"{where}: x", point.x),
                number(f"{where}: y", point.y),
                bool(point.is_relative),
            )
            for point in itertools.islice(plan, _MOST)
        )
    except (ValueError, ZeroDivisionError, OverflowError) as exc:
        raise PlanError(f"{where}: {exc}") from exc
    if not points:
        raise PlanError(f"{where}: no fields: expected at least one")
    return points


def _fields(plan: Any, where: str) -> int:
    try:
        return int(plan.num_positions())
    except ValueError:
        return 0  # needs the size of a field to say so, but not to iterate
    except (ZeroDivisionError, OverflowError) as exc:
        raise PlanError(f"{where}: {exc}") from exc


def _channel(channel: useq.Channel, where: str) -> ChannelEntry:
    return ChannelEntry(
        ChannelName(channel.config, channel.group),
        exposure_s(f"{where}.exposure", channel.exposure),
        channel.do_stack,
        number(f"{where}.z_offset", channel.z_offset) or 0.0,
        channel.acquire_every,
        channel.camera or "",
    )


def _positions(
    sequence: useq.MDASequence, where: str, focus: FocusPlans
) -> tuple[PositionEntry, ...]:
    _check_count(len(sequence.stage_positions), f"{where}stage_positions", "positions")
    found = []
    for count, position in enumerate(sequence.stage_positions):
        at = f"{where}stage_positions[{count}]"
        own = position.sequence
        if own is not None and own.setup is not None:
            raise PlanError(f"{at}.sequence.setup: expected it in the whole sequence")
        found.append(
            PositionEntry(
                number(f"{at}.x", position.x),
                number(f"{at}.y", position.y),
                number(f"{at}.z", position.z),
                position.name or "",
                properties(f"{at}.properties", position.properties),
                block_of(own, f"{at}.sequence.", focus) if own is not None else None,
            )
        )
    return tuple(found)


def _check_count(count: int, where: str, what: str) -> None:
    if count > _MOST:
        raise PlanError(f"{where}: {count} {what}, expected at most {_MOST}")
