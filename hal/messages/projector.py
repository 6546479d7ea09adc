"""Projectors: light onto parts of the sample."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from hal.frames import PackedMask
from hal.kernel import Access, Event, Request


class ProjectMask(Request, frozen=True):
    """Let light through where a mask says, for a time; completes when all is dark."""

    access: ClassVar[Access] = Access.RUN
    mask: PackedMask
    """In pixels of a camera, or of a part of it."""
    duration_s: Annotated[float, Meta(gt=0, le=3600)]


class MaskProjected(Event, frozen=True):
    """Light has gone onto a part of the sample."""

    projector: str
    lit_px: int
    """How many pixels of the projector let it through."""
    duration_s: float
