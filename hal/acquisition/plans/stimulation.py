"""Stimulation in a sequence: light where an analysis says, after images of a place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from hal.acquisition.plans._checks import check_seconds
from hal.acquisition.plans.events import (
    AutofocusEvent,
    ChannelName,
    ImageEvent,
    StimulationEvent,
)
from hal.acquisition.plans.sequence import Block
from hal.base import PlanError

_PLACE: Final = "tpg"
"""Axes along which each entry is stimulated; along the others its images are taken."""


class Stimulation(msgspec.Struct, frozen=True, kw_only=True):
    """What is done after the images of each position at each timepoint."""

    analysis: str
    """Name of the module that says where."""
    projector: str
    """Name of the module that brings the light there."""
    channel: ChannelName | None = None
    """Its light; None for that of the images."""
    duration_s: Annotated[float, Meta(gt=0)] = 0.1
    deadline_s: Annotated[float, Meta(gt=0)] = 2.0
    """So long the mask is waited for."""


def check_stimulation(what: Stimulation, block: Block) -> None:
    """Refuse what cannot be done in a sequence.

    Raises:
        PlanError: With the field, and what was expected.
    """
    for name in ("analysis", "projector"):
        if not getattr(what, name):
            raise PlanError(f"stimulation.{name}='': expected the name of a module")
    for name in ("duration_s", "deadline_s"):
        check_seconds(f"stimulation.{name}", getattr(what, name), above_zero=True)
    for each in (block, *(p.block for p in block.positions if p.block is not None)):
        if set(each.order.rstrip("cz")) & set("cz"):
            raise PlanError(
                f"stimulation: axis_order={each.order!r}: expected c and z at its end, "
                "since it comes after all images of a place"
            )


def stimulated(
    events: Iterator[ImageEvent | AutofocusEvent], what: Stimulation
) -> Iterator[ImageEvent | AutofocusEvent | StimulationEvent]:
    """Yield the events, and a stimulation behind the last image of each place."""
    event = next(events, None)
    while event is not None:
        following = next(events, None)
        yield event
        if isinstance(event, ImageEvent) and (
            following is None or _place(following) != _place(event)
        ):
            yield StimulationEvent(
                index={axis: n for axis, n in event.index.items() if axis in _PLACE},
                min_start_time_s=event.min_start_time_s,
                x_um=event.x_um,
                y_um=event.y_um,
                position_name=event.position_name,
                channel=what.channel,
                mask_from=what.analysis,
                projector=what.projector,
                duration_s=what.duration_s,
                deadline_s=what.deadline_s,
            )
        event = following


def _place(event: ImageEvent | AutofocusEvent) -> tuple[int | None, ...]:
    return tuple(event.index.get(axis) for axis in _PLACE)
