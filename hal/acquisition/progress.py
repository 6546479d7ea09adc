"""What is known about a run that goes on, told by many and read by its engine."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import msgspec

from hal.base import Clock, ErrorRecord, ThreadSafeValue
from hal.frames import MOST_LISTED, FrameLedger, LedgerCounts


class CameraProgress:
    """The part of one camera in a run, or of one feed."""

    def __init__(
        self, camera: str, planned: int | None, now_s: float, made_of: str = ""
    ) -> None:
        self.made_of = made_of
        """Of a feed: the camera whose frames it is made of."""
        self.planned = planned
        self.passed_over: list[int] = []
        """Indices of frames that are missing because the plan allows it."""
        self.ledger = FrameLedger(camera, planned)
        self.last_news_s = now_s
        """When anything was last heard of its frames."""
        self.sent: int | None = None
        """How many frames it took in all; None while it goes on."""
        self.errors: list[ErrorRecord] = []
        """Why camera and recorder could not go on, the first reason first."""

    @property
    def is_done(self) -> bool:
        """Whether the camera has ended and all it took is stored."""
        return self.sent is not None and self.ledger.snapshot().stored >= self.sent

    @property
    def is_behind(self) -> bool:
        """Whether frames have come that are not stored yet."""
        counts = self.ledger.snapshot()
        return counts.stored < counts.received


class RunProgress:
    """The account of a run while it goes on.

    Runs on: `received`, `stored`, `ended`, `failed`, `tolerate`, `analysis_failed`,
    `cancel`, `recorder_lost` any; the rest the engine.

    Guarantees:
        An error is either among those that `close` returns, or refused.
    """

    def __init__(self, planned: Mapping[str, int | None], clock: Clock) -> None:
        """Begin with nothing.

        Args:
            planned: The cameras, each with how many frames of it are planned.
            clock: Whose time counts.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._is_closed = False
        self.cameras: dict[str, CameraProgress] = {}
        """And feeds, once they were added."""
        self.add_cameras(planned)
        self.tolerated: list[ErrorRecord] = []
        """What went wrong and ends no run."""
        self.analyses: set[str] = set()
        """Who watches the run."""
        self._failed_analyses: set[str] = set()
        self.cancelled = threading.Event()
        self.recorder_error = ThreadSafeValue[ErrorRecord | None](None)
        """Why the recorder must be asked to go on; the engine takes it."""
        self.news = threading.Event()
        """Set at every change; the engine clears it before it looks."""

    def add_cameras(self, planned: Mapping[str, int | None]) -> None:
        """Have cameras take part, before the run begins."""
        now_s = self._clock.monotonic_s()
        parts = {name: CameraProgress(name, n, now_s) for name, n in planned.items()}
        self.cameras = {**self.cameras, **parts}  # at once, as in `add_feed`

    def add_feed(self, feed: str, camera: str, planned: int | None) -> None:
        """Have a feed take part, before the film begins.

        Args:
            feed: Its name.
            camera: Whose frames it is made of.
            planned: How many frames there will be of it.
        """
        now_s = self._clock.monotonic_s()
        part = CameraProgress(feed, planned, now_s, made_of=camera)
        # Replaced at once: others may look through it.
        self.cameras = {**self.cameras, feed: part}

    def received(self, camera: str, first: int, last: int) -> None:
        """Note frames that have come."""
        progress = self._told(camera)
        for index in range(first, last + 1):
            progress.ledger.received(index)
        self.news.set()

    def stored(self, camera: str, first: int, last: int) -> None:
        """Note frames that the recorder has acknowledged."""
        self._told(camera).ledger.stored(first, last + 1)
        self.news.set()

    def ended(self, camera: str, frames: int, error: ErrorRecord | None) -> bool:
        """Note that a camera takes no more frames; as `failed`, if with an error."""
        # First the error: a camera that has sent all is not looked at for long.
        is_told = error is None or self.failed(camera, error)
        self._told(camera).sent = frames
        self.news.set()
        return is_told

    def failed(self, camera: str, error: ErrorRecord) -> bool:
        """Note that camera or recorder cannot go on.

        Returns:
            Whether the run will tell of it; False if its last word has been spoken.
        """
        with self._lock:
            if self._is_closed:
                return False
            self._told(camera).errors.append(error)
        self.news.set()
        return True

    def tolerate(self, error: ErrorRecord) -> bool:
        """Note what went wrong without ending the run; as `failed` otherwise."""
        with self._lock:
            if self._is_closed:
                return False
            self.tolerated.append(error)
        return True

    def analysis_failed(self, name: str, error: ErrorRecord) -> bool:
        """Note that the run goes on without an analysis; its first error counts."""
        with self._lock:
            is_known = name in self._failed_analyses
            self._failed_analyses.add(name)
        return is_known or self.tolerate(error)

    def close(self) -> tuple[ErrorRecord, ...]:
        """Return all errors noted; later ones are refused."""
        with self._lock:
            self._is_closed = True
            return tuple(e for p in self.cameras.values() for e in p.errors)

    def pass_over(self, camera: str, index: int) -> None:
        """Note a frame that will not come, which the plan allows. Engine."""
        progress = self.cameras[camera]
        progress.passed_over.append(index)
        progress.ledger.missed(index)

    def plan_more(self, camera: str, planned: int | None) -> None:
        """Note that so many frames of a camera are planned now. Engine."""
        progress = self.cameras[camera]
        progress.planned = progress.ledger.planned = planned

    def settled(self, stored: Mapping[str, LedgerCounts]) -> dict[str, LedgerCounts]:
        """Return the recorder's account with what it does not know. Engine."""
        return {
            name: self._settle(self.cameras[name], counts)
            if name in self.cameras
            else counts
            for name, counts in stored.items()
        }

    @property
    def passed_over(self) -> dict[str, int]:
        """How many frames of each camera are missing because the plan allows it."""
        return {name: len(p.passed_over) for name, p in self.cameras.items()}

    def cancel(self) -> None:
        """Ask the engine to end the run."""
        self.cancelled.set()
        self.news.set()

    def recorder_lost(self, error: ErrorRecord) -> None:
        """Note that the recorder has ended and will begin anew."""
        self.recorder_error.set(error)
        self.news.set()

    def restart_stall_clocks(self) -> None:
        """Count silence from now: exposure has begun."""
        for progress in self.cameras.values():
            progress.last_news_s = self._clock.monotonic_s()

    def counts(self) -> dict[str, LedgerCounts]:
        """Return every camera's account as of now."""
        return {name: p.ledger.snapshot() for name, p in self.cameras.items()}

    @staticmethod
    def _settle(progress: CameraProgress, counts: LedgerCounts) -> LedgerCounts:
        if not progress.passed_over:
            return msgspec.structs.replace(counts, planned=progress.planned)
        # Those at the end: the recorder does not know that they were to come.
        late = [i for i in progress.passed_over if i not in counts.gaps]
        end = counts.received + counts.gap_count
        unknown = sorted(index for index in late if index >= end)
        gaps = (*counts.gaps, *unknown)
        return msgspec.structs.replace(
            counts,
            planned=progress.planned,
            gaps=gaps[:MOST_LISTED],
            gap_count=counts.gap_count + len(unknown),
        )

    def _told(self, camera: str) -> CameraProgress:
        progress = self.cameras[camera]
        progress.last_news_s = self._clock.monotonic_s()
        return progress
