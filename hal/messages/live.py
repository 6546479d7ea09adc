"""Looking without recording: live pictures, and single ones."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from hal.kernel import Event, Request


class StartLive(Request, frozen=True):
    """Have cameras expose into their rings, where displays find the newest frame.

    Nothing is stored. A run that begins ends it; while one goes on it is refused.
    Answers when the cameras expose.
    """

    deadline_s: ClassVar[float] = 30.0
    cameras: tuple[str, ...] = ()
    """Names; empty for all."""
    frames: Annotated[int, Meta(ge=1)] | None = None
    """Of each camera, 1 for a snap; None until `StopLive`."""


class StopLive(Request, frozen=True):
    """Have them stand still; answers when they do. Harmless when nothing is live."""

    deadline_s: ClassVar[float] = 30.0


class LiveChanged(Event, frozen=True):
    """Cameras have begun to show, or have ended."""

    is_live: bool
    cameras: tuple[str, ...] = ()
    why: str = ""
    """What went wrong, if it did not end as it was meant to."""
