"""What is known about a running film, told by many and read by the engine."""

from __future__ import annotations

import threading

from hal.base import Clock
from hal.frames import FrameLedger, LedgerCounts


class CameraProgress:
    """One camera's part in a film."""

    def __init__(self, camera: str, planned: int | None, now_s: float) -> None:
        self.ledger = FrameLedger(camera, planned)
        self.last_news_s = now_s
        """When anything was last heard of its frames."""
        self.sent: int | None = None
        """How many frames it took in all; None while it goes on."""
        self.error = ""
        """Why the camera or the recorder could not go on."""

    @property
    def is_done(self) -> bool:
        """Whether the camera has ended and all it took is stored."""
        return self.sent is not None and self.ledger.snapshot().stored >= self.sent


class FilmProgress:
    """The account of a film while it goes on.

    Runs on: `received`, `stored`, `ended`, `failed`, `cancel` any; the rest the engine.
    """

    def __init__(
        self, cameras: tuple[str, ...], planned: int | None, clock: Clock
    ) -> None:
        self._clock = clock
        now_s = clock.monotonic_s()
        self.cameras = {name: CameraProgress(name, planned, now_s) for name in cameras}
        self.cancelled = threading.Event()
        self.news = threading.Event()
        """Set at every change; the engine clears it before it looks."""

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

    def ended(self, camera: str, frames: int, error: str) -> None:
        """Note that a camera takes no more frames."""
        progress = self._told(camera)
        progress.sent = frames
        progress.error = progress.error or error
        self.news.set()

    def failed(self, camera: str, error: str) -> None:
        """Note that the recorder cannot go on with a camera."""
        progress = self._told(camera)
        progress.error = progress.error or error
        self.news.set()

    def cancel(self) -> None:
        """Ask the engine to end the film."""
        self.cancelled.set()
        self.news.set()

    def restart_stall_clocks(self) -> None:
        """Count silence from now: exposure has begun."""
        for progress in self.cameras.values():
            progress.last_news_s = self._clock.monotonic_s()

    def counts(self) -> dict[str, LedgerCounts]:
        """Return every camera's account as of now."""
        return {name: p.ledger.snapshot() for name, p in self.cameras.items()}

    def _told(self, camera: str) -> CameraProgress:
        progress = self.cameras[camera]
        progress.last_news_s = self._clock.monotonic_s()
        return progress
