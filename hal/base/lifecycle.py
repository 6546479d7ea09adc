"""The words for what a module, and the whole system, is doing."""

from __future__ import annotations

import enum


class ModuleState(enum.StrEnum):
    """Where a module is in its life; state and reason are visible to every module."""

    LOADED = "loaded"
    CONFIGURED = "configured"
    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DEGRADED = "degraded"
    """Runs, but its device does not answer: refuses work that needs it."""
    HUNG = "hung"
    """Given up past a deadline, and still inside the call."""
    RESTARTING = "restarting"
    """Given up; a successor is on its way."""
    FAILED = "failed"
    """Given up for good: it failed too often."""

    @property
    def takes_work(self) -> bool:
        """Whether a module in this state can be asked to do something."""
        return self in (ModuleState.CONFIGURED, ModuleState.STARTED)
