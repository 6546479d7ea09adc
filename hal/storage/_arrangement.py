"""What a finished film becomes: an image along the axes of its plan, and a rest.

While it is recorded a film has one axis, that of its frames: so it is exact after each
of them. When it is finished, those frames that fill whole steps of the outermost axis,
from the first frame on and without a gap, become an image with all axes of the plan.
All others are an image of their own, along one axis. No place without a frame is ever
made up, for readers would show it as black.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from hal.frames import FilmLayout

NGFF_ORDER = "tcz"
"""Order in which OME-Zarr wants the axes, whatever order they were taken in."""


class Arrangement(NamedTuple):
    """How the frames of a finished film are shared out."""

    axes: tuple[tuple[str, int], ...]
    """Of the image, in order of acquisition; the first may be shorter than planned."""
    rest: int
    """Frames behind it, along one axis."""

    @property
    def whole(self) -> int:
        """Frames of the image."""
        return math.prod(size for _, size in self.axes)

    @property
    def dimension_order(self) -> str:
        """As OME-XML names it: what goes quickest first."""
        used = "".join(axis.upper() for axis, _ in reversed(self.axes))
        return "XY" + used + "".join(axis for axis in "ZCT" if axis not in used)

    def size(self, axis: str) -> int:
        """Return the length of an axis; 1 if it is not used."""
        return dict(self.axes).get(axis, 1)

    @property
    def ngff_axes(self) -> tuple[str, ...]:
        """Names of the axes in the order of OME-Zarr."""
        return tuple(axis for axis in NGFF_ORDER if axis in dict(self.axes))

    def place(self, frame: int) -> tuple[int, ...]:
        """Return where a frame of the image is along `ngff_axes`."""
        index = FilmLayout(axes=self.axes).index(frame)
        return tuple(index[axis] for axis in self.ngff_axes)


def has_axes(layout: FilmLayout | None) -> bool:
    """Whether a film that is complete becomes more than frames along one axis of time.

    Several positions are several images, and stay along one axis.
    """
    return layout is not None and [axis for axis, _ in layout.image_axes] not in (
        [],
        ["t"],
    )


def arrangement(layout: FilmLayout | None, frames: Iterable[int]) -> Arrangement | None:
    """Return what a film becomes; None where it stays along one axis.

    Args:
        layout: How its frames were planned.
        frames: Index in the run of each that is stored.
    """
    if layout is None or not has_axes(layout):
        return None
    axes = layout.image_axes
    in_step = stored = 0
    for frame in frames:
        in_step += frame == in_step == stored
        stored += 1
    inner = math.prod(size for _, size in axes[1:])
    steps = min(in_step // inner, axes[0][1])
    if not steps:
        return None
    return Arrangement(((axes[0][0], steps), *axes[1:]), stored - steps * inner)
