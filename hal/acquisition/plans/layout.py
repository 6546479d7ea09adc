"""Which place along the axes of a plan each frame of its film has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Final

import msgspec

from hal.acquisition.plans._placing import Placement
from hal.acquisition.plans.events import ImageEvent
from hal.acquisition.plans.parts import AnyPart, SequencePart, WaitPart
from hal.acquisition.plans.plan import Plan
from hal.acquisition.plans.sequence import (
    AXES,
    Block,
    ChannelEntry,
    PositionEntry,
)
from hal.frames import FilmLayout

_MOST_EVENTS: Final = 10_000
"""Plans that are no sequences are gone through up to this size."""


def layout_of(plan: Plan, camera: str) -> FilmLayout | None:
    """Return how the frames of a camera lie along the axes of a plan.

    None unless every crossing of the axes has one image of that camera and no image is
    anywhere else: not for channels that are skipped, positions with plans of their own,
    several cameras, or plans that are endless. A plan that goes on with another counts
    from its own first timepoint.

    Sequences are not gone through, however long; of other plans those with up to 10,000
    events are, and larger ones have no layout.

    Runs on: any.
    """
    if plan.film is not None or not plan.n_images:
        return None
    placed = list(plan.schedule())
    if all(isinstance(part, SequencePart | WaitPart) for part, _ in placed):
        return _of_sequences(placed, camera)
    if plan.n_events is None or plan.n_events > _MOST_EVENTS:
        return None
    return _of_events(plan, camera)


def _of_sequences(
    placed: Sequence[tuple[AnyPart, Placement]], camera: str
) -> FilmLayout | None:
    """Join sequences that follow each other in time and are alike otherwise."""
    layouts = [
        _of_sequence(part, at, camera)
        for part, at in placed
        if isinstance(part, SequencePart)
    ]
    if len(layouts) == 1:
        return layouts[0]
    layouts = [layout and _by_time(layout) for layout in layouts]
    first = layouts[0]
    if first is None:
        return None
    total = 0
    for layout in layouts:
        if layout is None or layout.axes[0][0] != "t" or not _are_alike(layout, first):
            return None
        total += layout.axes[0][1]
    return FilmLayout(
        axes=(("t", total), *first.axes[1:]),
        channels=first.channels,
        z_step_um=first.z_step_um,
        position_names=first.position_names,
    )


def _by_time(layout: FilmLayout) -> FilmLayout:
    """Put time first where that changes nothing."""
    sizes = dict(layout.axes)
    before = list(sizes)[: list(sizes).index("t")]
    if sizes["t"] > 1 and any(sizes[axis] > 1 for axis in before):
        return layout
    rest = tuple(each for each in layout.axes if each[0] != "t")
    return msgspec.structs.replace(layout, axes=(("t", sizes["t"]), *rest))


def _are_alike(one: FilmLayout, other: FilmLayout) -> bool:
    """Return whether they differ in their times only."""
    return msgspec.structs.replace(one, axes=one.axes[1:], interval_s=None) == (
        msgspec.structs.replace(other, axes=other.axes[1:], interval_s=None)
    )


def _of_sequence(part: SequencePart, at: Placement, camera: str) -> FilmLayout | None:
    block = part.block
    numbers = part.position_numbers
    axes = tuple((axis, block.size(axis)) for axis in block.order)
    if (
        part.images_count != math.prod(size for _, size in axes)
        or any(spot.block is not None and spot.block.has_axes for spot in _spots(block))
        or numbers not in ((), tuple(range(len(numbers))))
        or not _is_of_camera({entry.camera for entry in _entries(block)}, camera)
    ):
        return None
    if at.t is not None and "t" not in block.order:
        axes = (("t", 1), *axes)
    if at.p is not None or numbers:
        axes = axes if "p" in block.order else (("p", 1), *axes)
    intervals_s = block.times.intervals_s() if "t" in block.order else ()
    return FilmLayout(
        axes=axes,
        channels=tuple(str(entry.channel) for entry in _entries(block)),
        z_step_um=_step(block.heights_um) if "z" in block.order else None,
        interval_s=intervals_s[0] if len(intervals_s) == 1 and intervals_s[0] else None,
        position_names=tuple(spot.name for spot in _spots(block)),
    )


def _spots(block: Block) -> tuple[PositionEntry, ...]:
    return block.positions if "p" in block.order else ()


def _entries(block: Block) -> tuple[ChannelEntry, ...]:
    return block.channels if "c" in block.order else ()


def _is_of_camera(cameras: set[str], camera: str) -> bool:
    """Return whether all images are of one camera, the one in use or that of a name."""
    return cameras <= {""} or cameras == {camera}


def _step(values: Sequence[float | None]) -> float | None:
    """Return how far neighbours are apart; None where that is 0, or not the same."""
    known = [value for value in values if value is not None]
    steps = [abs(after - before) for before, after in pairwise(known)]
    if len(known) < len(values) or not steps:
        return None
    step = (max(known) - min(known)) / len(steps)
    is_even = all(math.isclose(each, step, rel_tol=1e-6) for each in steps)
    return step if is_even and step > 0 else None


def _of_events(plan: Plan, camera: str) -> FilmLayout | None:
    """Go through the images and see whether they are in step with some axes."""
    images = list(_images(plan))
    start = plan.first_t or 0
    axes = _axes(images, start)
    if not axes or not _is_of_camera({image.camera for image in images}, camera):
        return None
    layout = FilmLayout(axes=axes)
    heads: dict[str, dict[int, ImageEvent]] = {axis: {} for axis, _ in axes}
    channels: dict[int, str] = {}
    names: dict[int, str] = {}
    for number, image in enumerate(images):
        index = _from(image, start)
        if index != layout.index(number):
            return None
        channel = "" if image.channel is None else str(image.channel)
        if "c" in index and channels.setdefault(index["c"], channel) != channel:
            return None
        if "p" in index:
            names.setdefault(index["p"], image.position_name)
        for axis, at in index.items():
            if not any(index[other] for other in index if other != axis):
                heads[axis][at] = image
    return FilmLayout(
        axes=axes,
        channels=tuple(channels[at] for at in sorted(channels)),
        z_step_um=_step([i.z_um for i in heads.get("z", {}).values()]),
        interval_s=_step([i.min_start_time_s for i in heads.get("t", {}).values()]),
        position_names=tuple(names[at] for at in sorted(names)),
    )


def _images(plan: Plan) -> Iterator[ImageEvent]:
    for event in islice(plan, _MOST_EVENTS):
        if isinstance(event, ImageEvent):
            yield event


def _from(image: ImageEvent, first_t: int) -> dict[str, int]:
    """Return the place of an image, counted from the first timepoint."""
    return {
        axis: at - first_t if axis == "t" else at for axis, at in image.index.items()
    }


def _axes(images: Sequence[ImageEvent], first_t: int) -> tuple[tuple[str, int], ...]:
    """Return the axes there would have to be: the one that changes last first."""
    sizes: dict[str, int] = {}
    changes: dict[str, int] = {}
    for number, image in enumerate(images):
        for axis, at in _from(image, first_t).items():
            sizes[axis] = max(sizes.get(axis, 0), at + 1)
            if at and axis not in changes:
                changes[axis] = number
    still = len(images)
    order = sorted(sizes, key=lambda axis: (-changes.get(axis, still), AXES.find(axis)))
    if math.prod(sizes.values()) != len(images):
        return ()
    return tuple((axis, sizes[axis]) for axis in order)
