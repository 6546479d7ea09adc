"""The account of a run: which frames were asked for, came, were stored, are right."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import msgspec

from hal.frames._index_set import IndexSet

MOST_LISTED = 10_000
"""So many gaps or mismatches are named one by one; the counts are always complete."""


class LedgerCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger of one camera at one moment."""

    camera: str
    planned: int | None
    """None for a film until stopped."""
    triggered: int
    received: int
    stored: int
    """Written to the kernel: survives the death of every process."""
    verified: int
    """Read back and found as written."""
    gaps: tuple[int, ...] = ()
    """Index of each frame lost, ascending; the first 10,000 of them."""
    gap_count: int = 0
    mismatched: tuple[int, ...] = ()
    """Index of each frame read back otherwise than written; the first 10,000."""
    mismatch_count: int = 0
    closed: bool = False
    """Whether the run is over, so that what is not stored by now never will be."""

    @property
    def complete(self) -> bool:
        """Whether every frame is stored and verification found nothing wrong."""
        wanted = self.received if self.planned is None else self.planned
        return self.stored == wanted and not self.gap_count and not self.mismatch_count


class FrameLedger:
    """Counts the frames of one camera in one run, and names those that are lost.

    Runs on: any. The camera, the recorder and the verification write to it, each in
    its own time and in any order; a frame noted twice counts once.
    """

    def __init__(self, camera: str, planned: int | None) -> None:
        """Open the account.

        Args:
            camera: Whose frames.
            planned: How many will be asked for; None when it goes on until stopped.
        """
        self.camera = camera
        self.planned = planned
        self._lock = threading.Lock()
        self._triggered = 0
        self._received = IndexSet()
        self._stored = IndexSet()
        self._missed = IndexSet()
        self._mismatched = IndexSet()
        self._verified = 0
        self._closed = False

    def triggered(self, count: int = 1) -> None:
        """Note that the camera was asked for `count` more frames."""
        with self._lock:
            self._triggered += count

    def received(self, index: int) -> None:
        """Note that a frame came; an index beyond the next one opens a gap."""
        with self._lock:
            self._received.add(index)

    def missed(self, first: int, stop: int | None = None) -> None:
        """Note that a frame will never come, or all from `first` to before `stop`."""
        with self._lock:
            self._missed.add(first, stop)

    def stored(self, first: int, stop: int | None = None) -> None:
        """Note that a frame is stored, or all from `first` to before `stop`."""
        with self._lock:
            self._stored.add(first, stop)

    def verified(self, count: int, mismatched: Iterable[int] = ()) -> None:
        """Note a verification: `count` frames were right, `mismatched` were not."""
        with self._lock:
            self._verified += count
            for index in mismatched:
                self._mismatched.add(index)

    def close(self) -> None:
        """Say that the run is over: what came and is not stored by now is a gap."""
        with self._lock:
            self._closed = True

    def snapshot(self) -> LedgerCounts:
        """Return the counts as of now."""
        with self._lock:
            # Frames after the last one that came were never taken: not gaps.
            end = max(self._received.end, self._missed.end, self._stored.end)
            arrived = self._stored if self._closed else self._present()
            holes = tuple(arrived.holes(end))
            mismatches = self._mismatched.ranges
            return LedgerCounts(
                camera=self.camera,
                planned=self.planned,
                triggered=self._triggered,
                received=len(self._received),
                stored=len(self._stored),
                verified=self._verified,
                gaps=tuple(_listed(holes)),
                gap_count=sum(stop - first for first, stop in holes),
                mismatched=tuple(_listed(mismatches)),
                mismatch_count=len(self._mismatched),
                closed=self._closed,
            )

    def _present(self) -> IndexSet:
        """Frames that came, by whichever account was told first."""
        present = IndexSet()
        for first, stop in (*self._received.ranges, *self._stored.ranges):
            present.add(first, stop)
        return present


def _listed(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    left = MOST_LISTED
    for first, stop in ranges:
        yield from range(first, min(stop, first + left))
        left -= min(left, stop - first)
        if not left:
            return
