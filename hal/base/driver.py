"""What the kernel needs to know of a driver, whatever kind of device it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hal.base.parameters import ParameterSpec, Value
from hal.base.safe_state import SafeStateCall


class Driver(Protocol):
    """A device as its module sees it; `hal.devices.Device` is the usual base.

    Runs on: worker, except `halt` and `abandon`, which any thread may call while
    another call is going on, and which take no lock that call holds.
    """

    def open(self) -> None:
        """Connect, identify, and bring all parameters to the hardware."""

    def close(self) -> None:
        """Apply the safe state and release the hardware; harmless when not open."""

    def halt(self) -> None:
        """Stop whatever moves or emits, now."""

    def abandon(self) -> None:
        """Close the handle from outside, so that a hung call may end."""

    def safe_state(self) -> None:
        """Light off, motion stopped, shutter closed."""

    def outside_safe_state(self) -> SafeStateCall | None:
        """Return what makes it safe from a process of its own; None if nothing can.

        The one method that a driver may leave out.
        """

    def specs(self) -> tuple[ParameterSpec, ...]:
        """Describe every parameter."""

    def values(self) -> dict[str, Value]:
        """Return all present values."""

    def propose(
        self, changes: Mapping[str, object], *, running: bool = False
    ) -> dict[str, Value]:
        """Check a change; touch nothing."""

    def commit(self, accepted: Mapping[str, Value]) -> dict[str, Value]:
        """Apply a checked change; return the values that are true now."""
