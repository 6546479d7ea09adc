"""The loop of a feed: out of one ring, into another, every frame accounted for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from hal.base import Clock, ErrorRecord, RunError, get_logger
from hal.frames import (
    Frame,
    FrameRing,
    IndexBatches,
    LatestReader,
    LosslessReader,
    Pixels,
)
from hal.kernel import Loop
from hal.messages import FramesReceived
from modules.feeds.kinds import FeedKind, Region
from modules.feeds.mean import Mean

POLL_S: Final = 0.2
"""The longest single wait, so that a stop and the watchdog are heard."""


class Making:
    """One film of one feed.

    A frame of the feed is numbered by its place, from 0, and otherwise carries what is
    known of the last frame that went into it: event, times, counter. Its exposure is
    that of all its frames together.

    Runs on: `run` its loop's thread; the rest any.

    Guarantees:
        With a lossless reader, a frame is made of all its frames or not at all; one
        that is not leaves a gap, and at the very end an error.
        With a latest reader, for display, a frame is made of the next ones seen.
        The reader is closed and the ring ended on every way out.
    """

    def __init__(
        self,
        feed: str,
        kind: FeedKind,
        region: Region,
        source: FrameRing,
        reader: LosslessReader | LatestReader,
        ring: FrameRing,
        *,
        run_id: str,
        block_s: float,
        clock: Clock,
        tell: Callable[[FramesReceived], None],
    ) -> None:
        """Follow `source` from where `reader` is.

        Args:
            feed: Its name.
            kind: Which frames it takes.
            region: What part of them.
            source: The ring of the camera, or of another feed.
            reader: The feed's place in it; closed in the end.
            ring: Its own ring; ended in the end.
            run_id: For the news.
            block_s: How long its own ring may be full.
            clock: Whose time counts.
            tell: Hears of frames that were made.
        """
        self.run_id = run_id
        self.ring = ring
        self.count = 0
        """Frames made so far."""
        self.left_over = 0
        """Frames of the source that were too few for another one at the end."""
        self.error: ErrorRecord | None = None
        """What went wrong first."""
        self._feed = feed
        self._kind = kind
        x, y, width, height = region
        self._part = (slice(y, y + height), slice(x, x + width))
        self._source = source
        self._reader = reader
        self._is_lossless = isinstance(reader, LosslessReader)
        self._mean = Mean((height, width), source.dtype) if kind.members > 1 else None
        self._block_s = block_s
        self._clock = clock
        self._log = get_logger(module=feed)
        self._source_end = 0
        self._place = 0
        self._gathered = 0
        self._exposure_s = 0.0
        self._batches = IndexBatches(
            lambda first, last: tell(FramesReceived(run_id, feed, first, last)), clock
        )

    @property
    def source_name(self) -> str:
        """Whose frames it takes."""
        return self._source.name

    def run(self, loop: Loop) -> None:
        """Make frames until the source ends, or HAL stops while it goes on.

        Raises:
            RunError: A reader held the ring up for too long, or the last frame could
                not be made because the source had lost some.
        """
        try:
            self._follow(loop)
        except BaseException as exc:
            self.error = ErrorRecord.from_exception(exc, self._feed)
            raise
        finally:
            self._batches.tell()
            self.close(None if self.error is None else self.error.text)

    def close(self, error: str | None = None) -> None:
        """Let the source go, and end the ring; harmless when repeated."""
        self._reader.close()
        self.ring.end(error or self._source.error)

    def _follow(self, loop: Loop) -> None:
        while not self._is_to_end(loop):
            loop.beat()
            frame = self._next_frame()
            if frame is not None:
                self._take(frame, loop)
                if isinstance(self._reader, LosslessReader):
                    self._reader.release()
            elif self._reader.at_end:
                self._check_end()
                return
            self._batches.tell_if_due()

    def _is_to_end(self, loop: Loop) -> bool:
        # A source that has ended leaves a known rest, which is taken in any case.
        return loop.stopping.is_set() and not self._source.ended

    def _next_frame(self) -> Frame | None:
        if isinstance(self._reader, LosslessReader):
            return self._reader.next(POLL_S)
        newest = self._reader.latest(POLL_S)
        return None if newest is None else newest.frame

    def _take(self, frame: Frame, loop: Loop) -> None:
        """Have a frame of the source go where it belongs."""
        index = frame.info.index
        self._source_end = index + 1
        place = self._kind.place_of(index)
        if place is None:
            return
        if place != self._place and self._is_lossless:
            self._gathered = 0  # the one before lacks a frame, and never will be whole
        self._place = place
        part = frame.pixels[self._part]
        self._gather(part, frame.info.exposure_s)
        if self._gathered == self._kind.members:
            self._gathered = 0
            self._publish(frame, part, loop)

    def _gather(self, part: Pixels, exposure_s: float) -> None:
        if not self._gathered:
            self._exposure_s = 0.0
        self._gathered += 1
        self._exposure_s += exposure_s
        if self._mean is not None:
            if self._gathered == 1:
                self._mean.begin()
            self._mean.add(part)

    def _publish(self, last: Frame, part: Pixels, loop: Loop) -> None:
        slot = self._reserve(loop)
        if slot is None:
            return
        if self._mean is None:
            slot[...] = part
        else:
            self._mean.into(slot)
        if self._place != self._batches.next:
            self._tell_of_gap()
        self.ring.put(
            msgspec.structs.replace(
                last.info,
                camera=self._feed,
                index=self._place,
                exposure_s=self._exposure_s,
                shape=self.ring.shape,
            )
        )
        self._batches.add(self._place)
        self.count += 1

    def _tell_of_gap(self) -> None:
        """Say which frames could not be made, before the next one that could."""
        if self._is_lossless:
            self._log.warning(
                "frames not made: their source has lost some",
                first=self._batches.next,
                last=self._place - 1,
                source=self.source_name,
                run=self.run_id,
            )

    def _reserve(self, loop: Loop) -> Any:
        """Return the next slot, or None when the loop is to end meanwhile."""
        give_up_s = self._clock.monotonic_s() + self._block_s
        while (slot := self.ring.reserve(POLL_S)) is None:
            loop.beat()
            if self._is_to_end(loop):
                return None
            if self._clock.monotonic_s() > give_up_s:
                raise RunError(
                    f"{self._feed} was held up for {self._block_s:g} s: "
                    f"{self.ring.held_up_by}; {self.count} frames were made"
                )
        return slot

    def _check_end(self) -> None:
        """See what is left of the source, now that all of it was taken.

        A gap before the last frame shows by itself, one behind it does not.
        """
        if not self._is_lossless:
            return
        expected = self._kind.whole_of(self._source_end)
        if self._batches.next < expected:
            raise RunError(
                f"{self._feed}: its last frame, {expected - 1}, could not be made: "
                f"{self.source_name} has lost frames that belong to it"
            )
        self.left_over = self._gathered
