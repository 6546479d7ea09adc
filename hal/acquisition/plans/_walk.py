"""From axes to events, in useq's order and with useq's rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from hal.acquisition.plans.events import (
    AutofocusEvent,
    ChannelName,
    DeviceProperty,
    ImageEvent,
)
from hal.acquisition.plans.sequence import (
    AXES,
    Block,
    ChannelEntry,
    Focus,
    PositionEntry,
)


class _State(msgspec.Struct):
    """What an event is about to be; a position's own block starts from a copy."""

    index: dict[str, int]
    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    name: str = ""
    channel: ChannelName | None = None
    camera: str = ""
    exposure_s: float | None = None
    properties: tuple[DeviceProperty, ...] = ()
    time_s: float | None = None


class Walk:
    """One pass over a block; has the memory that focus plans and timers need.

    Runs on: any one thread.
    """

    def __init__(self, block: Block) -> None:
        self._block = block
        self._focused: dict[int, Mapping[str, int]] = {}

    def events(
        self, times: range | None = None
    ) -> Iterator[ImageEvent | AutofocusEvent]:
        """Yield the events; times count from the start of the sequence.

        Args:
            times: Only these of the outermost time axis.
        """
        yield from self._pass(self._block, times)

    def _pass(
        self, block: Block, times: range | None
    ) -> Iterator[ImageEvent | AutofocusEvent]:
        order = block.order
        where = [order.index(axis) if axis in order else -1 for axis in AXES]
        used = [(axis, at) for axis, at in zip(AXES, where, strict=True) if at >= 0]
        at_t, at_p, at_g, at_c, at_z = where
        last_t = last_p = -1
        for crossing in block.crossings(times):
            index = {axis: crossing[at] for axis, at in used}
            position = block.positions[crossing[at_p]] if at_p >= 0 else None
            channel = block.channels[crossing[at_c]] if at_c >= 0 else None
            if is_skipped(block, position, channel, index):
                continue
            state = _State(index)
            z_um = block.heights_um[crossing[at_z]] if at_z >= 0 else None
            grid = crossing[at_g] if at_g >= 0 else None
            place(state, block, position, channel, grid, z_um)
            if position is not None:
                state.name = position.name
                if position.properties and crossing[at_p] != last_p:
                    state.properties = position.properties
                last_p = crossing[at_p]
            if channel is not None:
                state.channel, state.camera = channel.channel, channel.camera
                state.exposure_s = channel.exposure_s
            if at_t >= 0:
                state.time_s = block.times.at_s(crossing[at_t])
            focus = block.focus
            if position is not None and position.block is not None:
                own = position.block
                if own.has_axes:
                    yield from self._visit(position, own, state, last_t)
                    continue
                focus = own.focus or focus
            t = index.get("t", -1)
            yield from self._emit(state, focus, t == 0 and last_t != 0)
            last_t = t if t >= 0 else last_t

    def _visit(
        self, position: PositionEntry, own: Block, parent: _State, last_t: int
    ) -> Iterator[ImageEvent | AutofocusEvent]:
        """Take what a position has of its own, with what is said around it."""
        focus = own.focus or self._block.focus
        used = [(axis, own.order.index(axis)) for axis in AXES if axis in own.order]
        exposure_s = parent.exposure_s
        for crossing in own.crossings():
            own_index = {axis: crossing[at] for axis, at in used}
            channel = own.channels[own_index["c"]] if "c" in own_index else None
            if is_skipped(own, None, channel, own_index):
                continue
            state = _State(
                {**parent.index, **own_index},
                name=parent.name,
                channel=parent.channel,
                camera=parent.camera,
                properties=parent.properties,
                time_s=parent.time_s,
            )
            z_um = own.heights_um[own_index["z"]] if "z" in own_index else None
            place(state, own, None, channel, own_index.get("g"), z_um)
            _shift(state, own, position, parent)
            if channel is not None:
                state.channel, state.camera = channel.channel, channel.camera
                # One without an exposure takes that of the channel before it.
                if channel.exposure_s is not None:
                    exposure_s = channel.exposure_s
            state.exposure_s = exposure_s
            if "t" in own_index:
                state.time_s = own.times.at_s(own_index["t"])
            t = state.index.get("t", -1)
            yield from self._emit(state, focus, t == 0 and last_t != 0)
            last_t = t if t >= 0 else last_t

    def _emit(
        self, state: _State, focus: Focus | None, resets: bool
    ) -> Iterator[ImageEvent | AutofocusEvent]:
        if focus is not None and self._is_due(focus, state.index):
            yield AutofocusEvent(
                index=state.index,
                min_start_time_s=state.time_s,
                reset_timer=resets,
                x_um=state.x_um,
                y_um=state.y_um,
                z_um=self._home_um(state),
                position_name=state.name,
                channel=state.channel,
                exposure_s=state.exposure_s,
                properties=state.properties,
                camera=state.camera,
                device=focus.device,
                motor_offset_um=focus.motor_offset_um,
            )
        yield ImageEvent(
            index=state.index,
            min_start_time_s=state.time_s,
            reset_timer=resets,
            x_um=state.x_um,
            y_um=state.y_um,
            z_um=state.z_um,
            position_name=state.name,
            channel=state.channel,
            exposure_s=state.exposure_s,
            properties=state.properties,
            camera=state.camera,
        )

    def _is_due(self, focus: Focus, index: Mapping[str, int]) -> bool:
        before = self._focused.get(focus.number, {})
        self._focused[focus.number] = index
        return any(
            axis in focus.axes and before.get(axis) != at for axis, at in index.items()
        )

    def _home_um(self, state: _State) -> float | None:
        """Return where to focus: a stack around the focus is left for its origin."""
        block = self._block
        if state.z_um is None or not block.z_is_relative or "z" not in state.index:
            return state.z_um
        return state.z_um - block.heights_um[state.index["z"]]


def is_skipped(
    block: Block,
    position: PositionEntry | None,
    channel: ChannelEntry | None,
    index: Mapping[str, int],
) -> bool:
    """Return whether nothing is taken at a crossing."""
    if channel is not None:
        if "t" in index and index["t"] % channel.acquire_every:
            return True
        if not channel.do_stack and block.has_z_plan and index["z"] != block.middle:
            return True
    own = position.block if position is not None else None
    if own is None or own.focus is not None:
        return False
    has_plan = own.has_grid_plan or own.has_z_plan or bool(own.times.runs)
    # What the position brings along itself is not taken once for each of the others.
    if index.get("c", 0) and (bool(own.channels) or not has_plan):
        return True
    if index.get("z", 0) and own.has_z_plan:
        return True
    return bool(index.get("g", 0)) and own.has_grid_plan


def place(
    state: _State,
    block: Block,
    position: PositionEntry | None,
    channel: ChannelEntry | None,
    grid: int | None,
    z_um: float | None,
) -> None:
    """Work out where an event is: position, field of the grid, height."""
    if z_um is not None:
        if channel is not None:
            z_um += channel.z_offset_um
        if block.z_is_relative and position is not None:
            z_um += position.z_um or 0
        state.z_um = z_um
    elif position is not None:
        state.z_um = position.z_um
    if grid is None:
        if position is not None:
            state.x_um, state.y_um = position.x_um, position.y_um
        return
    point = block.grid[grid]
    state.x_um, state.y_um = point.x_um, point.y_um
    if point.is_relative and position is not None:
        state.x_um = _plus(state.x_um, position.x_um)
        state.y_um = _plus(state.y_um, position.y_um)


def _shift(state: _State, own: Block, position: PositionEntry, parent: _State) -> None:
    """Count what a position's own grid or stack says from the position, if relative."""
    if not own.has_z_plan:
        state.z_um = parent.z_um
    elif own.z_is_relative:
        state.z_um = _plus(state.z_um, position.z_um)
    if not own.has_grid_plan:
        state.x_um, state.y_um = parent.x_um, parent.y_um
    elif own.grid_is_relative:
        state.x_um = _plus(state.x_um, position.x_um)
        state.y_um = _plus(state.y_um, position.y_um)


def _plus(value: float | None, more: float | None) -> float | None:
    return None if value is None else value + (more or 0.0)
