"""How frames are taken out of a ring: all of them, or just the newest."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

from hal.base import Clock, StateError
from hal.frames._slots import Cursor, SlotTable
from hal.frames.frame import Frame

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
        self,
        table: SlotTable,
        cursor: Cursor,
        clock: Clock,
        forget: Callable[[Cursor], None],
    ) -> None:
        self._table = table
        self._cursor = cursor
        self._clock = clock
        self._forget = forget

    @property
    def name(self) -> str:
        """Under which the ring names this reader."""
        return self._cursor.name

    @property
    def behind(self) -> int:
        """Frames published that this reader has not released (or seen) yet."""
        with self._table.lock:
            return self._table.published - self._cursor.position

    @property
    def at_end(self) -> bool:
        """Whether no frame will come any more: all taken after the end, or closed.

        Why the writer ended is in the ring's `error`.
        """
        with self._table.lock:
            return self._at_end()

    def close(self) -> None:
        """Give up the place, with what it still held; harmless when repeated.

        A `next` or `latest` that waits on another thread returns None at once.
        """
        self._forget(self._cursor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _at_end(self) -> bool:
        drained = self._cursor.position >= self._table.published
        return not self._cursor.open or (self._table.ended and drained)

    def _wait_for_frame(self, timeout_s: float) -> bool:
        """Return True with a frame to take, False after `timeout_s`, wake-up or end."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        wake = self._cursor.wake
        woken = False
        while True:
            with self._table.lock:
                if not self._cursor.open:
                    return False
                if self._cursor.position < self._table.published:
                    return True
                if self._table.ended or woken:
                    return False
                # Cleared under the lock that every publisher sets it under: a frame
                # put after this line always wakes the wait below.
                wake.clear()
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                return False
            woken = self._clock.wait(wake, left_s)


class LosslessReader(_Reader):
    """Gets every frame, in order, once; until it releases one, the writer keeps it.

    Runs on: `next` and `release` one thread at a time; `close` and the rest any.

    Guarantees:
        The view of a frame never changes before its `release` (or `close`).
        Frames come without a gap from where the reader was opened.
    """

    def __init__(
        self,
        table: SlotTable,
        cursor: Cursor,
        clock: Clock,
        forget: Callable[[Cursor], None],
    ) -> None:
        super().__init__(table, cursor, clock, forget)
        self._holding = False

    def next(self, timeout_s: float) -> Frame | None:
        """Return the next frame without copying it; None when there is none in time.

        None comes early when the ring is woken, closed or at its end: ask `at_end`.

        Raises:
            StateError: The previous frame was not released.
        """
        if not self._wait_for_frame(timeout_s):
            return None
        if self._holding:
            raise StateError(
                f"reader '{self.name}' asked for a frame before releasing the previous"
            )
        with self._table.lock:
            if not self._cursor.open:
                return None
            self._holding = True
            return self._table.frame(self._cursor.position)

    def release(self) -> None:
        """Give the slot of the last frame back; its view must not be used any more.

        Raises:
            StateError: There is no frame to release.
        """
        if not self._holding:
            raise StateError(f"reader '{self.name}' has no frame to release")
        self._holding = False
        with self._table.lock:
            self._cursor.position += 1
            self._table.space.set()


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
            with self._table.lock:
                sequence = self._table.published - 1
                frame = self._table.frame(sequence)
            pixels = frame.pixels.copy()
            with self._table.lock:
                if not self._table.still_holds(sequence):
                    continue
                skipped = sequence - self._cursor.position
                self._cursor.position = sequence + 1
            pixels.flags.writeable = False
            return Newest(Frame(frame.info, pixels), skipped)
        # The writer laps the whole ring faster than one frame is copied: nothing that
        # is whole can be shown this time, and the next call counts these as skipped.
        return None
