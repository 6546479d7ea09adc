"""Where a camera puts its frames, and how their readers are kept apart."""

from __future__ import annotations

from typing import Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from hal.base import Clock, StateError, SystemClock, did_you_mean
from hal.frames._slots import Cursor, SlotTable
from hal.frames.frame import FrameInfo, Pixels
from hal.frames.readers import LatestReader, LosslessReader


class Lag(NamedTuple):
    """Which reader holds up the writer."""

    reader: str
    behind: int
    """Frames published that it has not released."""


class ReaderState(NamedTuple):
    """One reader of a ring, for status displays and reports."""

    name: str
    lossless: bool
    behind: int


class FrameRing:
    """Fixed-size store: one camera writes, many readers follow.

    Runs on: `reserve`, `put` camera; everything else any.

    Guarantees:
        `put` never waits; `lagging` names the reader that `reserve` waits for.
        A lossless view never changes before `release`.
        A latest reader gets a checked copy and the count it skipped.
        Every wait has a timeout and ends at once after `wake` or `end`.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        slots: int,
        clock: Clock | None = None,
    ) -> None:
        """Take the memory at once, for good.

        Args:
            name: Usually that of the camera; errors carry it.
            shape: `(height, width)` of every frame.
            dtype: Type of a pixel, in the machine's byte order.
            slots: How many frames it holds; at least 2.
            clock: Whose time the timeouts are.

        Raises:
            BadInput: A ring of this form is not possible.
        """
        self.name = name
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.slots = slots
        self._clock: Clock = SystemClock() if clock is None else clock
        self._table = SlotTable(shape, self.dtype, slots)

    @property
    def nbytes(self) -> int:
        """Memory of all slots."""
        return self._table.nbytes

    @property
    def published(self) -> int:
        """Frames put so far."""
        with self._table.lock:
            return self._table.published

    @property
    def ended(self) -> bool:
        """Whether the writer has said that no more frames come."""
        with self._table.lock:
            return self._table.ended

    @property
    def error(self) -> str | None:
        """Why the writer ended; None while it has not, or when it was meant to."""
        with self._table.lock:
            return self._table.error

    @property
    def readers(self) -> tuple[ReaderState, ...]:
        """All open readers, in the order they were opened."""
        with self._table.lock:
            return tuple(
                ReaderState(c.name, c.lossless, self._table.published - c.position)
                for c in self._table.cursors.values()
            )

    def reserve(self, timeout_s: float) -> Pixels | None:
        """Return the next slot to fill; None when a reader still needs it.

        Until `put`, repeating it returns the same slot. After None, `lagging` says
        whom it waited for; None comes early when the ring is woken.

        Raises:
            StateError: The ring was ended.
        """
        deadline_s = self._clock.monotonic_s() + timeout_s
        space = self._table.space
        woken = False
        while True:
            with self._table.lock:
                if self._table.ended:
                    raise StateError(f"ring '{self.name}' has ended: no more frames")
                if self._table.reserved or self._table.is_free():
                    return self._table.take_next()
                if woken and self._table.woken:
                    return None
                self._table.woken = False
                # Cleared under the lock that every release sets it under.
                space.clear()
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                return None
            woken = self._clock.wait(space, left_s)

    def put(self, info: FrameInfo) -> None:
        """Publish the slot last reserved; never waits.

        Raises:
            StateError: No slot is reserved, or the ring was ended meanwhile.
        """
        with self._table.lock:
            if self._table.ended:
                raise StateError(f"ring '{self.name}' has ended: no more frames")
            if not self._table.reserved:
                raise StateError(f"ring '{self.name}': put without reserve")
            self._table.publish(info)
            self._table.wake_readers()

    def end(self, error: str | None = None) -> None:
        """Say that no more frames come; what is published can still be read.

        The first call counts: a clean-up that ends the ring again changes nothing.

        Args:
            error: Why, when the writer could not go on.
        """
        with self._table.lock:
            if self._table.ended:
                return
            self._table.ended = True
            self._table.error = error
            self._table.wake_readers()
            self._table.space.set()

    def wake(self) -> None:
        """Let everyone who waits here return None at once, to look at a stop token."""
        with self._table.lock:
            self._table.woken = True
            self._table.wake_readers()
            self._table.space.set()

    def lagging(self) -> Lag | None:
        """Name the reader that holds up the writer, the slowest first; None if none."""
        with self._table.lock:
            if self._table.reserved or self._table.is_free():
                return None
            slowest = min(
                (c for c in self._table.cursors.values() if c.lossless),
                key=lambda c: c.position,
            )
            return Lag(slowest.name, self._table.published - slowest.position)

    @overload
    def open_reader(
        self, name: str, lossless: Literal[True] = True, *, from_start: bool = False
    ) -> LosslessReader: ...
    @overload
    def open_reader(
        self, name: str, lossless: Literal[False], *, from_start: bool = False
    ) -> LatestReader: ...
    def open_reader(
        self, name: str, lossless: bool = True, *, from_start: bool = False
    ) -> LosslessReader | LatestReader:
        """Return a new reader; its first frame is the next one published.

        Args:
            name: For `lagging` and errors; one reader of that name at a time.
            lossless: Every frame, holding up the writer; else the newest, never.
            from_start: Begin with the very first frame of the ring instead.

        Raises:
            StateError: The name is taken, or the first frame is gone already.
        """
        table = self._table
        with table.lock:
            if name in table.cursors:
                raise StateError(f"ring '{self.name}' has a reader '{name}' already")
            if from_start and table.oldest() > 0:
                raise StateError(
                    f"ring '{self.name}': reader '{name}' came too late to begin with "
                    f"frame 0: {table.oldest()} are overwritten"
                )
            position = 0 if from_start else table.published
            cursor = Cursor(name, position, lossless=lossless)
            table.cursors[name] = cursor
        kind = LosslessReader if lossless else LatestReader
        return kind(table, cursor, self._clock, self._forget)

    def drop_reader(self, name: str) -> None:
        """Release the place of a reader that died or hangs; it finds itself closed.

        Raises:
            StateError: No reader of that name is open.
        """
        with self._table.lock:
            cursor = self._table.cursors.get(name)
            known = tuple(self._table.cursors)
        if cursor is None:
            raise StateError(
                f"ring '{self.name}' has no reader '{name}'{did_you_mean(name, known)}"
            )
        self._forget(cursor)

    def _forget(self, cursor: Cursor) -> None:
        with self._table.lock:
            cursor.open = False
            # Another reader may have taken the name since.
            if self._table.cursors.get(cursor.name) is cursor:
                del self._table.cursors[cursor.name]
            cursor.wake.set()
            self._table.space.set()
