"""What to acquire, as data."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from hal.base import Record


class FilmPlan(Record, frozen=True):
    """A film: so many frames of each camera, one after the other, nothing else."""

    frames: Annotated[int, Meta(ge=1)] | None
    """Of each camera; None to go on until cancelled."""
    cameras: tuple[str, ...] = ()
    """Names of the cameras; empty for all."""
