"""What a module may do about its own failures and its end."""

from __future__ import annotations

from typing import ClassVar


class Hooks:
    """Called by the kernel; a module overrides those it needs.

    What a hook raises is logged; one that takes too long is left alone.
    """

    isolation: ClassVar[str] = "none"
    """Where it lives if neither the configuration nor its driver says: `none`,
    `process`, or `process:NAME`."""
    end_s: ClassVar[float] = 2.0
    """What `make_safe` may take, in a process of its own, when HAL has died."""
    is_refused = False
    """Whether it cannot be made as it is configured: it is not tried again."""

    @property
    def pid(self) -> int:
        """The process it has of its own; 0 if it has none, or it has not begun."""
        return 0

    def job_failed(self, error: BaseException) -> None:
        """Look at what a job raised, before its sender is told; does nothing here."""

    def make_safe(self, *, hung: bool, is_free: bool) -> None:
        """Bring what it owns to a safe state; this generation was given up.

        Args:
            hung: Whether that is why.
            is_free: Whether no thread, of this or an earlier generation, is inside what
                it owns.

        Runs on: a thread of its own.
        """

    def let_go(self) -> None:
        """Release what it owns, for the next generation; no thread is in it any more.

        Runs on: a thread of its own.
        """

    def device_is_free(self) -> None:
        """Take over what an earlier generation has let go of."""

    def emergency_cleanup(self) -> None:
        """Free what outlives a generation: GPU memory, DMA buffers; does nothing here.

        Runs on: a thread of its own, after this generation was given up.
        """
