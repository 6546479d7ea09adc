"""A handler at work, as the watchdog sees it."""

from __future__ import annotations

from collections.abc import Callable

from hal.base import ErrorRecord
from hal.kernel.delivery import Delivery


class HandlerActivity:
    """One message being handled on a module's own thread.

    Runs on: `expire` watchdog.
    """

    kind = "handler"

    def __init__(
        self,
        module: str,
        delivery: Delivery,
        started_s: float,
        deadline_at_s: float,
        on_expire: Callable[[HandlerActivity, ErrorRecord], None],
    ) -> None:
        self.module = module
        self.delivery = delivery
        self.started_s = started_s
        self.deadline_at_s = deadline_at_s
        self._on_expire = on_expire

    @property
    def what(self) -> str:
        """Type of the message."""
        return self.delivery.type

    @property
    def delivery_id(self) -> str:
        """Short id of the message."""
        return str(self.delivery.id)

    def expire(self, error: ErrorRecord) -> None:
        """Give it up."""
        self._on_expire(self, error)
