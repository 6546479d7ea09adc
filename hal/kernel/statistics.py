"""How a module is doing, at one moment."""

from __future__ import annotations

import msgspec

from hal.base import ModuleState


class ModuleStatistics(msgspec.Struct, frozen=True):
    """A snapshot; counts are since HAL was started, over all generations."""

    module: str
    generation: int
    state: ModuleState
    queued: int
    """Messages and calls that wait in its mailbox."""
    handled: int
    """Messages whose handler has come back."""
    slow: int
    """Of these, how many took longer than a handler may (10 ms)."""
    slowest_s: float
    """What the longest of them took since the snapshot before."""
    restarts: int
    busy_with: str
    """What it is doing, for people; empty when idle."""
    thread: str
    """What the thread of its handlers is called."""
    pid: int = 0
    """The process it lives in, if it is not HAL's own; 0 otherwise."""
    cpu_s: float = 0.0
    """Processor time that process has used."""
    memory_mb: float = 0.0
    """Memory it has now."""
