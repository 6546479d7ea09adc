"""How closely a real HAL process is guarded; tests in a process of theirs have none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Safeguards:
    """What stands beside the watchdog's own thread, which a held GIL stops as well."""

    heartbeat: bool = True
    """Keep a file for stacks that are written from C, although a call keeps the
    interpreter. One per process; whoever asks by SIGUSR1 gets them (not on Windows)."""
    standstill_s: float = 1.0
    """So long may all of Python stand still, before the sentinel asks for the stacks,
    when nothing is due."""
    sentinel: bool = True
    """Have a second process look after this one, and end it as the last resort."""
    told_after_s: float = 5.0
    """After so long without a beat the sentinel's report says so."""
    kill_after_s: float = 30.0
    """After so long it applies safe states, writes a report, and ends the process."""
    safe_state_s: float = 5.0
    """How long a safe state may take."""
    restart_after_s: float = 10.0
    """At least so long lies between two starts of the sentinel."""
