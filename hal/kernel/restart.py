"""How often, and with whom, a module is restarted."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Strategy(enum.StrEnum):
    """Who begins anew when a module does."""

    ONE_FOR_ONE = "one_for_one"
    """The module alone."""
    REST_FOR_ONE = "rest_for_one"
    """The module, and after it all that require it."""


@dataclass(frozen=True)
class RestartPolicy:
    """When to restart a module, and when to give it up.

    After the terms of Erlang/OTP's supervisors
    (https://www.erlang.org/doc/system/sup_princ).
    """

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 3
    """So many restarts in `period_s` are tried; the next end is the last."""
    period_s: float = 60.0
    backoff_s: float = 0.1
    """Before the second restart in `period_s`; twice as long before each further."""
    most_s: float = 30.0
    """The longest pause."""

    def pause_s(self, ends: int) -> float:
        """Return how long to wait, after so many ends in the period."""
        if ends <= 1:
            return 0.0
        return float(min(self.backoff_s * 2.0 ** (ends - 2), self.most_s))


USUAL_POLICY: Final = RestartPolicy()
