"""What a process has used of the machine."""

from __future__ import annotations

from typing import NamedTuple


class ProcessUsage(NamedTuple):
    """Processor time and memory of a process, so far and now."""

    pid: int
    cpu_s: float
    memory_mb: float
