"""What is known about a film before its first frame."""

from __future__ import annotations

import msgspec

from hal.frames import FilmLayout


class FilmDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Goes into every file of one camera's film, as far as the format has room."""

    camera: str
    shape: tuple[int, int]
    """`(height, width)` of every frame, in binned pixels."""
    dtype: str = "uint16"
    """Name of the pixel type; values are in the machine's byte order."""
    planned: int | None = None
    """Frames asked for; None for a film until stopped."""
    exposure_s: float = 0.0
    frame_interval_s: float | None = None
    """Time from one frame to the next, where it is known beforehand."""
    pixel_size_um: float | None = None
    """Size of a binned pixel in the sample."""
    binning: int = 1
    roi_x_px: int = 0
    """First column of the region read out, unbinned, from 0."""
    roi_y_px: int = 0
    """First row of the region read out, unbinned, from 0."""
    stage_um: tuple[float, float] | None = None
    """Stage position at the start."""
    started_wall_s: float = 0.0
    """Seconds since 1970-01-01 UTC."""
    run_id: str = ""
    simulated: bool = False
    """Whether any part of it comes from a simulator; said in every file with room."""
    software: dict[str, str] = {}
    """Version by name."""
    notes: str = ""
    layout: FilmLayout | None = None
    """How the frames lie along the axes of the run's plan, if they are in step."""
