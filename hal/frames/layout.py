"""How the frames of a film lie along the axes of the plan that took them."""

from __future__ import annotations

import math

from hal.base import Record

_IN_AN_IMAGE = "tcz"


class FilmLayout(Record, frozen=True, kw_only=True):
    """Frame number k is where k stands when all crossings of the axes are counted.

    The last axis goes quickest. A film with frames left out or added has no layout.
    """

    axes: tuple[tuple[str, int], ...]
    """Name (`t`, `p`, `g`, `c`, `z`) and length of each, in order of acquisition."""
    channels: tuple[str, ...] = ()
    """Names along `c`."""
    z_step_um: float | None = None
    """Distance of neighbours along `z`; None where it is not the same everywhere."""
    interval_s: float | None = None
    """Planned time from one `t` to the next; None as `z_step_um`."""
    position_names: tuple[str, ...] = ()
    """Names along `p`."""

    @property
    def frames(self) -> int:
        """Of the whole film."""
        return math.prod(size for _, size in self.axes)

    @property
    def text(self) -> str:
        """The axes as people read them: `t=5, c=2`."""
        return ", ".join(f"{axis}={size}" for axis, size in self.axes)

    @property
    def image_axes(self) -> tuple[tuple[str, int], ...]:
        """The axes of the one image that it is; empty where it is several, or a frame.

        An image has `t`, `c` and `z`: several positions or fields are several images.
        """
        rest = tuple(
            (axis, size) for axis, size in self.axes if axis not in "pg" or size > 1
        )
        is_one = all(axis in _IN_AN_IMAGE for axis, _ in rest)
        return rest if is_one else ()

    def index(self, frame: int) -> dict[str, int]:
        """Return the place of a frame along each axis."""
        found = {}
        for axis, size in reversed(self.axes):
            frame, found[axis] = divmod(frame, size)
        return dict(reversed(found.items()))
