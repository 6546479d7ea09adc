"""One frame: what is known about it, and its pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np

Pixels = np.ndarray[Any, np.dtype[Any]]
"""Array of shape `(height, width)`."""


class FrameInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a frame except its pixels; small enough for any wire."""

    camera: str
    index: int
    """Counted from 0 at the start of the run; never reused, never skipped silently."""
    event_index: int
    """The event of the plan it answers; in a plain film the same as `index`."""
    hardware_counter: int | None = None
    """The camera's own counter from 0 at its start; None where it has none."""
    hardware_s: float | None = None
    """The camera's own clock, seconds; None where it has none."""
    host_s: float
    """Monotonic time of arrival on this machine, seconds."""
    exposure_s: float
    shape: tuple[int, int]
    """`(height, width)` in binned pixels."""
    dtype: str
    """Name of the pixel type, e.g. `uint16`."""


class Frame(NamedTuple):
    """A frame as a reader gets it."""

    info: FrameInfo
    pixels: Pixels
    """Read-only view of `info.shape`; how long it holds is the reader's promise."""
