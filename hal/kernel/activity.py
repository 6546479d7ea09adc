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
        self.what = delivery.type
        self.delivery_id = str(delivery.id)
        self.started_s = started_s
        self.deadline_at_s = deadline_at_s
        self._on_expire = on_expire

    def expire(self, error: ErrorRecord) -> None:
        """Give it up."""
        self._on_expire(self, error)
