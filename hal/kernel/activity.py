"""A handler at work, as the watchdog sees it."""

from __future__ import annotations

from collections.abc import Callable

from hal.base import ErrorRecord
from hal.kernel.delivery import Delivery


class HandlerActivity:
    """Something a module does on its own thread: a message handled, or its start.

    Late is what takes longer than its sender waits; it hangs when it takes longer than
    the module itself may.

    Runs on: `expire` watchdog, the rest actor.
    """

    __slots__ = (
        "_on_expire",
        "_open",
        "deadline_at_s",
        "delivery",
        "hangs_at_s",
        "module",
        "started_s",
        "what",
    )
    kind = "handler"

    def __init__(
        self,
        module: str,
        what: str,
        delivery: Delivery | None,
        *,
        started_s: float,
        patience_s: float,
        on_expire: Callable[[HandlerActivity, ErrorRecord], None],
    ) -> None:
        self.module = module
        self.what = what
        self.delivery = delivery
        self.started_s = started_s
        self.hangs_at_s = started_s + patience_s
        self.deadline_at_s = self.hangs_at_s
        if delivery is not None:
            given_s = delivery.tickets[module].deadline_at_s
            self.deadline_at_s = min(given_s, self.hangs_at_s)
        self._on_expire = on_expire
        # Taken by its thread when it is done, or by the watchdog when it gives it up.
        self._open = [True]

    @property
    def delivery_id(self) -> str | None:
        """Short id of the message."""
        return None if self.delivery is None else str(self.delivery.id)

    @property
    def has_ended(self) -> bool:
        """Whether it is done, or was given up."""
        return not self._open

    def end(self) -> bool:
        """Return whether the caller is the first to end it."""
        try:
            return self._open.pop()
        except IndexError:
            return False

    def expire(self, error: ErrorRecord) -> None:
        """Give it up, or only tell who waits no longer."""
        self._on_expire(self, error)
