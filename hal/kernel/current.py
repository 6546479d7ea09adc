"""Which delivery is being handled here and now, in whatever thread that is.

A context variable, so that jobs, loops and SDK callbacks started from a handler (they
run in a copy of its context) name it as the cause of what they send.
"""

from __future__ import annotations

from contextvars import ContextVar

from hal.kernel.delivery import Delivery

current_delivery: ContextVar[Delivery | None] = ContextVar("delivery", default=None)


def current_principal() -> str:
    """Return on whose behalf the running code works; empty outside handlers."""
    delivery = current_delivery.get()
    return "" if delivery is None else delivery.on_behalf_of
