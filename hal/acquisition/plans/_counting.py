"""How much a block comes to, from its axes instead of by going through it."""

from __future__ import annotations

from hal.acquisition.plans.sequence import AXES, Block, PositionEntry


def images(block: Block) -> int:
    """Return the number of images of a block."""
    if not block.order or not all(block.size(axis) for axis in block.order):
        return 0
    if "p" not in block.order:
        return _at(block, None)
    # Positions that do the same are counted once.
    kinds: dict[int, int] = {}
    for position in block.positions:
        key = id(position.block)
        if key not in kinds:
            kinds[key] = _at(block, position)
    return sum(kinds[id(position.block)] for position in block.positions)


def sizes(block: Block) -> dict[str, int]:
    """Return the length of each axis that is used, as far as its indices go."""
    found = {axis: block.size(axis) for axis in AXES if axis in block.order}
    own_blocks = [
        position.block
        for position in block.positions
        if "p" in block.order and position.block is not None
    ]
    for own in own_blocks:
        for axis in own.order:
            found[axis] = max(found.get(axis, 0), own.size(axis))
    return {axis: found[axis] for axis in AXES if axis in found}


def timings(block: Block) -> tuple[Block, ...]:
    """Return the blocks whose time axis says when things happen."""
    inner = [
        position.block
        for position in block.positions
        if "p" in block.order and position.block is not None
    ]
    timed = [own for own in inner if "t" in own.order]
    if "t" in block.order and (len(timed) < len(block.positions) or not inner):
        timed.insert(0, block)
    return tuple(timed)


def _at(block: Block, position: PositionEntry | None) -> int:
    """Return the images at one position."""
    own = position.block if position is not None else None
    each = images(own) if own is not None and own.has_axes else 1
    skips = own is not None and own.focus is None
    channels = range(max(1, block.size("c")))
    heights = range(max(1, block.size("z")))
    fields = max(1, block.size("g"))
    if own is not None and skips:
        has_plan = own.has_grid_plan or own.has_z_plan or bool(own.times.runs)
        if own.channels or not has_plan:
            channels = channels[:1]
        if own.has_z_plan:
            heights = heights[:1]
        if own.has_grid_plan:
            fields = 1
    times = max(1, block.size("t"))
    total = 0
    for c in channels:
        n_times, n_heights = times, len(heights)
        if "c" in block.order:
            entry = block.channels[c]
            if "t" in block.order:
                n_times = -(-times // entry.acquire_every)
            if not entry.do_stack and block.has_z_plan:
                n_heights = int(block.middle in heights)
        total += n_times * n_heights
    return total * fields * each
