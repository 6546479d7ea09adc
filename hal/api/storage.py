"""The storage, as whoever has frames sees it."""

from __future__ import annotations

from typing import Protocol

from hal.base import Record
from hal.frames import FrameInfo, Pixels
from hal.messages import OpenRecording, RecordingFinished, RecordingOpened


class StorageHealth(Record, frozen=True):
    """How the storage is doing."""

    state: str
    """Of the module that stores: `started` if all is well."""
    reason: str
    run_id: str
    """What is being recorded through this; empty for nothing."""
    free_bytes: int
    """Left on the disk of the recording; 0 without one."""
    waiting: dict[str, int]
    """Frames submitted and not acknowledged, by camera."""


class StorageAPI(Protocol):
    """Stores films: it alone writes.

    Runs on: any but an actor; `submit` one thread for each camera.

    Guarantees:
        A frame is acknowledged when it would survive the end of every process.
        `submit` waits for a slow disk no longer than it is told.
    """

    def open(self, request: OpenRecording) -> RecordingOpened:
        """Begin a film of frames that will be submitted here.

        Raises:
            HalError: It was refused, in the class of the refusal; nothing is left.
        """

    def submit(self, frame: Pixels, metadata: FrameInfo, timeout_s: float) -> bool:
        """Hand over a copy of a frame; False if there is no room for it in time.

        Frames of one camera come in the order of their `index`, from 0 on.

        Raises:
            StateError: Nothing is being recorded of this camera.
            BadInput: Another shape or type than announced, or not the next index.
        """

    def stored(self, camera: str) -> int:
        """Return how many frames have been acknowledged; they are the first ones."""

    def wait_until_stored(self, camera: str, frames: int, timeout_s: float) -> bool:
        """Return True once so many have been acknowledged, False after `timeout_s`."""

    def finish(self, state: str) -> RecordingFinished:
        """Store what was submitted, close and verify the files.

        Args:
            state: How the film ended: `done`, `error` or `cancelled`.

        Raises:
            StateError: Nothing is being recorded.
        """

    def health(self) -> StorageHealth:
        """Return how the storage is doing."""
