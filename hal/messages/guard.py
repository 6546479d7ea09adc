"""Guards: what holds runs back because of a condition of the microscope."""

from __future__ import annotations

from hal.kernel import Event


class GuardChanged(Event, frozen=True):
    """A guard begins or ends to hold runs back, or was overruled."""

    guard: str
    is_holding: bool
    """Whether it holds back whatever run follows a plan, and those to come."""
    why: str
    """What is wrong, in words; empty when all is well. Not empty either while it holds
    nothing back because a person let the run go on."""


class GuardsOverruled(Event, frozen=True):
    """A person let a run go on although guards held it back."""

    run_id: str
    guards: tuple[str, ...]
