"""Where a run is: one immutable picture of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from hal.base import ErrorRecord, Record
from hal.frames import LedgerCounts


class RunState(enum.StrEnum):
    """The states of a run."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    """Until an event of the plan is due, or a wait is over."""
    PAUSING = "pausing"
    """Asked to pause, and about to finish what is being done."""
    PAUSED = "paused"
    CANCELLING = "cancelling"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing changes any more."""
        return self in (RunState.DONE, RunState.ERROR, RunState.CANCELLED)


class RunStatus(Record, frozen=True, kw_only=True):
    """A run at one moment."""

    run_id: str
    state: RunState
    step: str = ""
    """What it is doing, in words: `arming cameras`, `verifying` ..."""
    n_events_total: int | None = None
    """Planned events; in a film, frames of each camera. None until cancelled."""
    n_events_consumed: int = 0
    """Events done or passed over: in a film, frames that every camera has stored."""
    follows_plan: bool = False
    """Whether it does events one by one; else it is a film."""
    event: int | None = None
    """Number of the event of a plan that is being done; None before and after."""
    index: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Its place along each axis of the plan: `p` is the position, for example."""
    phase: str = ""
    lag_ms: float = 0.0
    """How late the last event began that had a time; the first frame is on time."""
    wait_remaining_s: float | None = None
    """How long until the next event is due; None while something is done."""
    why_paused: str = ""
    """Who or what asked for the pause."""
    queues: Mapping[str, int] = msgspec.field(default_factory=dict)
    """What waits to be done, by whom: `storage` frames not stored yet ..."""
    n_frames_received: int = 0
    """Frames that came, of all cameras together."""
    started_at_s: float | None = None
    """Wall time of the start of exposure, seconds since 1970-01-01 UTC."""
    finished_at_s: float | None = None
    """Wall time of the end, data verified."""
    frames: dict[str, LedgerCounts] = msgspec.field(default_factory=dict)
    """The account of each camera, and of each feed that is saved."""
    files: tuple[str, ...] = ()
    """Full paths, the sidecar last."""
    fatal_error: ErrorRecord | None = None
    """Why it ended in `error`."""
    background_errors: tuple[ErrorRecord, ...] = ()
    """What went wrong without ending it."""

    @property
    def is_complete(self) -> bool:
        """Whether it was done to its end, and every frame of it is stored.

        Not so where the plan allowed an event to be passed over that failed.
        """
        whole = all(counts.complete for counts in self.frames.values())
        return self.state is RunState.DONE and whole
