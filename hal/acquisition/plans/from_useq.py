"""Plans from useq-schema's `MDASequence`, and back."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import msgspec

from hal.acquisition.plans import _useq_axes as axes
from hal.acquisition.plans._counting import images, timings
from hal.acquisition.plans._placing import Placement
from hal.acquisition.plans._walk import Walk
from hal.acquisition.plans.events import (
    AutofocusEvent,
    CameraRegion,
    ChannelName,
    SetupEvent,
)
from hal.acquisition.plans.parts import SequencePart
from hal.acquisition.plans.phases import phase_of
from hal.acquisition.plans.plan import Plan, checked
from hal.acquisition.plans.sequence import Block, TimeRun, Times
from hal.base import PlanError, StartError

if TYPE_CHECKING:
    import useq


def from_useq(sequence: useq.MDASequence) -> Plan:
    """Return the plan of a sequence: useq's own events, in its order.

    The `setup` of a sequence comes as the first event. Random points without a seed
    are drawn once, here. `phase_id` and `phase_name` are read from its `metadata`.

    Raises:
        PlanError: It cannot be run: with the field, and what was expected.
        StartError: The package useq-schema is not installed.
    """
    package = useq_package()
    if not isinstance(sequence, package.MDASequence):
        raise PlanError(f"expected a useq.MDASequence, got {type(sequence).__name__}")
    phase = phase_of(sequence.metadata)
    block = axes.block_of(sequence, "", axes.FocusPlans())
    part = SequencePart(
        block=block,
        events_count=images(block) + _focusings(block),
        images_count=images(block),
        restarts_timer=_restarts(block),
        keep_shutter_open_across=tuple(sequence.keep_shutter_open_across),
        setup=_setup(sequence.setup),
        useq_json=_json(sequence, package),
        phase=phase.id if phase else "",
    )
    if part.setup is not None:
        part = msgspec.structs.replace(part, events_count=part.events_count + 1)
    if not part.images_count:
        raise PlanError(
            "the sequence takes no image: expected a time_plan, stage_positions, "
            "channels, a grid_plan or a z_plan"
        )
    return checked(Plan(parts=(part,), phases=(phase,) if phase else ()))


def to_useq(plan: Plan) -> useq.MDASequence:
    """Return the sequence a plan was made from.

    Raises:
        PlanError: useq has no words for it: it is not one sequence, was given other
            numbers or times since, or has random points without a seed.
        StartError: The package useq-schema is not installed.
    """
    package = useq_package()
    part = plan.parts[0] if len(plan.parts) == 1 else None
    if not isinstance(part, SequencePart):
        raise PlanError("only a plan of one sequence can be told to useq")
    if part.position_numbers or part.time_per_position_s or plan.first_t:
        raise PlanError("useq has no words for positions with times of their own")
    if part.stimulation is not None:
        raise PlanError("useq has no words for stimulation by an analysis")
    if not part.useq_json:
        raise PlanError("random points without a random_seed cannot be told to useq")
    read: useq.MDASequence = package.MDASequence.model_validate_json(part.useq_json)
    return read


def useq_package() -> ModuleType:
    """Return useq, which only those who make plans need.

    Raises:
        StartError: It is not installed.
    """
    try:
        import useq
    except ImportError as exc:
        raise StartError(
            "plans need the package useq-schema: pip install 'halscope[plans]'"
        ) from exc
    return useq


def _setup(event: useq.MDAEvent | None) -> SetupEvent | None:
    if event is None:
        return None
    if event.slm_image is not None:
        raise PlanError("setup.slm_image: no device here takes an image")
    roi, channel = event.roi, event.channel
    return SetupEvent(
        x_um=axes.number("setup.x_pos", event.x_pos),
        y_um=axes.number("setup.y_pos", event.y_pos),
        z_um=axes.number("setup.z_pos", event.z_pos),
        position_name=event.pos_name or "",
        channel=None if channel is None else ChannelName(channel.config, channel.group),
        exposure_s=axes.exposure_s("setup.exposure", event.exposure),
        properties=axes.properties("setup.properties", event.properties),
        roi=None
        if roi is None
        else CameraRegion(roi.offset_x, roi.offset_y, roi.width, roi.height),
    )


def _focusings(block: Block) -> int:
    """Return how often it focuses.

    Raises:
        PlanError: useq cannot say at what height.
    """
    if block.focus is None and not any(
        position.block is not None and position.block.focus is not None
        for position in block.positions
    ):
        return 0
    part = SequencePart(block=block, events_count=0, images_count=0)
    try:
        return sum(
            repeats * sum(isinstance(event, AutofocusEvent) for event in events)
            for events, repeats in part.stretches(Placement())
        )
    except IndexError as exc:
        raise axes.unknown_height(block) from exc


def _restarts(block: Block) -> bool:
    """Return whether the timer is started again on the way."""
    visits = any(
        position.block is not None and position.block.has_axes
        for position in block.positions
    )
    if not timings(block) or (block.order.startswith("t") and not visits):
        return False
    events = Walk(_shortened(block)).events()
    first = next(events, None)
    return any(e.reset_timer and first and e.index != first.index for e in events)


def _shortened(block: Block) -> Block:
    """Return a block with as many times as are needed to see its timer start again."""
    every = max((channel.acquire_every for channel in block.channels), default=1)
    count = min(len(block.times), 1 + every)
    positions = (
        msgspec.structs.replace(
            position, block=position.block and _shortened(position.block)
        )
        for position in block.positions
    )
    return msgspec.structs.replace(
        block,
        times=Times((TimeRun(0, 1, count),)) if count else block.times,
        positions=tuple(positions),
    )


def _json(sequence: useq.MDASequence, package: ModuleType) -> str:
    spots = sequence.stage_positions
    if isinstance(spots, package.WellPlatePlan):
        plans = [sequence.grid_plan, spots.well_points_plan]
    else:
        own = (spot.sequence for spot in spots if spot.sequence is not None)
        plans = [sequence.grid_plan, *(each.grid_plan for each in own)]
    if any(
        isinstance(plan, package.RandomPoints) and plan.random_seed is None
        for plan in plans
    ):
        return ""
    return sequence.model_dump_json()
