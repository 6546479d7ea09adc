"""What the engine needs of a microscope, whatever it is made of."""

from __future__ import annotations

from typing import Protocol

import msgspec

from hal.base import ErrorRecord
from hal.frames import LedgerCounts


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

    def arm(self, camera: str, frames: int | None) -> float:
        """Get a camera ready; return its exposure time in seconds."""

    def open_recording(self) -> tuple[str, ...]:
        """Create the files; return their paths."""

    def resume_recording(self) -> None:
        """Go on with the files after the recorder has ended and begun anew."""

    def start(self, camera: str) -> None:
        """Let an armed camera expose."""

    def stop(self, camera: str) -> None:
        """End a camera's film and wait until it stands still."""

    def finish_recording(self, state: str, drain_s: float) -> FinishedFilm:
        """Store what is on its way, close, verify, and write the sidecar."""
