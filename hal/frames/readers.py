"""How frames are taken out of a ring: all of them, or just the newest."""

from __future__ import annotations

from typing import NamedTuple, Self

from hal.base import Clock, StateError, StorageError
from hal.frames._memory import Place, RingMemory
from hal.frames.frame import Frame
from hal.frames.waiting import wait_until

_COPY_ATTEMPTS = 8


class Newest(NamedTuple):
    """What a latest reader gets."""

    frame: Frame
    """A copy; it belongs to the caller."""
    skipped: int
    """Frames published since the previous copy that this reader never saw."""


class _Reader:
    """What both kinds share: a place in the ring, and an end."""

    def __init__(
        self, name: str, memory: RingMemory, place: Place, clock: Clock
    ) -> None:
        self.name = name
        """Under which the ring names this reader."""
        self._memory = memory
        self._place = place
        self._clock = clock

    @property
    def behind(self) -> int:
        """Frames published that this reader has not released (or seen) yet."""
        return max(0, self._memory.published - self._position())

    @property
    def at_end(self) -> bool:
        """Whether no frame will come any more: all taken after the end, or closed.

        Why the writer ended is in the ring's `error`.
        """
        # The end is read first: what is published by then is all there is.
        ended = self._memory.ended
        drained = self._position() >= self._memory.published
        return not self._is_open() or (ended and drained)

    def close(self) -> None:
        """Give up the place, with what it still held; harmless when repeated.

        A `next` or `latest` that waits on another thread returns None at once.
        """
        with self._memory.lock:
            if self._is_open():
                self._memory.leave(self._place.index)
        self._memory.wake_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _is_open(self) -> bool:
        return self._memory.has(self._place)

    def _position(self) -> int:
        return self._memory.position(self._place.index)

    def _move_to(self, position: int) -> None:
        with self._memory.lock:
            if self._is_open():
                self._memory.move_to(self._place.index, position)

    def _wait_for_frame(self, timeout_s: float) -> bool:
        """Return True with a frame to take, False after `timeout_s`, wake-up or end."""
        there = False

        def is_there_or_never() -> bool:
            nonlocal there
            there = self._is_open() and self._position() < self._memory.published
            return there or self.at_end

        memory = self._memory
        wait_until(
            is_there_or_never, memory, memory.frames_bell, self._clock, timeout_s
        )
        return there


class LosslessReader(_Reader):
    """Gets every frame, in order, once; until it releases one, the writer keeps it.

    Runs on: `next` and `release` one thread at a time; `close` and the rest any.

    Guarantees:
        The view of a frame never changes before its `release` (or `close`).
        Frames come without a gap from where the reader was opened.
        A frame that was overwritten all the same, by a defect, does not go unseen.
    """

    def __init__(
        self, name: str, memory: RingMemory, place: Place, clock: Clock
    ) -> None:
        super().__init__(name, memory, place, clock)
        self._holding: int | None = None

    def next(self, timeout_s: float) -> Frame | None:
        """Return the next frame without copying it; None when there is none in time.

        None comes early when the ring is woken, closed or at its end: ask `at_end`.

        Raises:
            StateError: The previous frame was not released.
            StorageError: The frame was overwritten before it was read.
        """
        if not self._wait_for_frame(timeout_s):
            return None
        if self._holding is not None:
            raise StateError(
                f"reader '{self.name}' asked for a frame before releasing the previous"
            )
        sequence = self._position()
        frame = self._memory.frame(sequence)
        if frame is None:
            if not self._is_open():
                return None
            raise self._torn(sequence)
        self._holding = sequence
        return frame

    def release(self) -> None:
        """Give the slot of the last frame back; its view must not be used any more.

        Raises:
            StateError: There is no frame to release.
            StorageError: It was overwritten while it was held.
        """
        sequence, self._holding = self._holding, None
        if sequence is None:
            raise StateError(f"reader '{self.name}' has no frame to release")
        if self._is_open() and not self._memory.still_holds(sequence):
            raise self._torn(sequence)
        self._move_to(sequence + 1)
        self._memory.space_bell.ring()

    def _torn(self, sequence: int) -> StorageError:
        return StorageError(
            f"frame {sequence} of ring '{self._memory.handle.name}' was overwritten "
            f"while reader '{self.name}' needed it"
        )


class LatestReader(_Reader):
    """Gets a copy of the newest frame and never holds up the writer.

    Runs on: `latest` one thread at a time; `close` and the rest any.
    """

    def latest(self, timeout_s: float = 0.0) -> Newest | None:
        """Return a copy of the newest frame not seen yet; None when there is none.

        Args:
            timeout_s: How long to wait for one; by default not at all.
        """
        if not self._wait_for_frame(timeout_s):
            return None
        for _attempt in range(_COPY_ATTEMPTS):
            sequence = self._memory.published - 1
            frame = self._memory.frame(sequence)
            if frame is None:
                continue
            pixels = frame.pixels.copy()
            if not self._memory.still_holds(sequence):
                continue
            skipped = sequence - self._position()
            self._move_to(sequence + 1)
            pixels.flags.writeable = False
            return Newest(Frame(frame.info, pixels), skipped)
        # The writer laps the whole ring faster than one frame is copied: nothing that
        # is whole can be shown this time, and the next call counts these as skipped.
        return None
