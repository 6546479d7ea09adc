"""What the engine needs of a microscope, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from hal.base import ErrorRecord
from hal.frames import LedgerCounts


class Armed(msgspec.Struct, frozen=True):
    """What a camera or feed says that is ready for a film."""

    exposure_s: float
    frames: int | None
    """How many frames there will be of it; None until stopped."""


class FinishedFilm(msgspec.Struct, frozen=True):
    """What the recorder says at the end of a film."""

    files: tuple[str, ...]
    frames: dict[str, LedgerCounts]
    problems: tuple[ErrorRecord, ...]


class Rig(Protocol):
    """The microscope as a film sees it.

    Runs on: the engine's thread; every call may block, and has a deadline of its own.
    All raise `HalError` when the microscope cannot.
    """

    def feeds(self, cameras: tuple[str, ...]) -> Mapping[str, str]:
        """Return the feeds that are saved with these cameras, each with its camera.

        A feed that is made of another one comes after it.
        """

    def arm(self, camera: str, frames: int | None) -> Armed:
        """Get a camera or feed ready for a film of so many frames of each camera."""

    def open_recording(self) -> tuple[str, ...]:
        """Create the files; return their paths."""

    def resume_recording(self) -> None:
        """Go on with the files after the recorder has ended and begun anew."""

    def start(self, camera: str) -> None:
        """Let an armed camera expose, or an armed feed take what its source brings."""

    def stop(self, camera: str) -> None:
        """End the film of a camera or feed and wait until it stands still."""

    def finish_recording(self, state: str, drain_s: float) -> FinishedFilm:
        """Store what is on its way, close, verify, and write the sidecar."""
