"""When a condition pauses runs, and when it no longer does."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Order(enum.Enum):
    """What a guard has to tell the acquisition."""

    SUSPEND = "suspend"
    RELEASE = "release"


class Terms(NamedTuple):
    """How patient a guard is; its parameters of now."""

    after_s: float
    """So long it must have been wrong before anything is paused."""
    settle_s: float
    """So long it must have been good before anything goes on."""
    by_itself: bool
    """Whether runs go on then, or wait for a person."""


class Vigil:
    """One condition, watched.

    What is wrong without a break, or with breaks shorter than `settle_s`, is one
    episode. It pauses runs once: a person who lets a run go on meanwhile knows of it,
    and that run is not paused again before the condition has been good. The next run
    is, for nobody has decided about that one.

    Runs on: actor of its guard.
    """

    def __init__(self, *, may_be_holding: bool = False) -> None:
        """Know nothing.

        Args:
            may_be_holding: Whether an earlier generation of the guard may have left
                runs paused: then they are released as soon as all is well.
        """
        self.is_holding = False
        """Whether runs are to be paused."""
        self._may_be_holding = may_be_holding
        self._wrong = ""
        self._since_s: float | None = None
        """Since when it is as it is now; None before anything was seen."""
        self._first = ""
        """What was wrong when runs were paused."""
        self._told = ""
        self._overruled_in = ""
        """Run that a person let go on in this episode."""
        self._run_id = ""

    @property
    def why(self) -> str:
        """What is wrong and what comes of it, for people; empty for nothing.

        It tells what was wrong when runs were paused, so that it does not change with
        every reading.
        """
        if self.is_holding:
            return self._told
        if self._overruled_in:
            return f"{self._first} (a person let the run go on)"
        return ""

    def see(self, wrong: str, now_s: float) -> None:
        """Note how it is.

        Args:
            wrong: What is wrong, in words; empty for nothing.
            now_s: Monotonic time.
        """
        if self._since_s is None or bool(wrong) != bool(self._wrong):
            self._since_s = now_s
        self._wrong = wrong

    def run_goes_on(self, run_id: str) -> None:
        """Note that a run goes on."""
        self._run_id = run_id

    def run_ended(self, run_id: str) -> None:
        """Note that a run is over; what a person decided was about that one."""
        if self._run_id == run_id:
            self._run_id = ""
        if self._overruled_in == run_id:
            self._overruled_in = ""

    def overrule(self, run_id: str) -> None:
        """Note that a person let a run go on that was held back by this."""
        self._may_be_holding = False
        if self.is_holding:
            self.is_holding, self._overruled_in = False, run_id

    def begin_anew(self) -> bool:
        """Know nothing any more; return whether runs are to be released."""
        was_holding = self.is_holding or self._may_be_holding
        self.forgotten()
        self._wrong, self._since_s = "", None
        return was_holding

    def forgotten(self) -> None:
        """Note that the acquisition began anew and knows nothing of this."""
        self.is_holding = self._may_be_holding = False
        self._overruled_in = ""

    def decide(self, now_s: float, terms: Terms) -> Order | None:
        """Return what is to be told now; None for nothing new."""
        if self._since_s is None:
            return None
        for_s = now_s - self._since_s
        if self._wrong:
            return self._decide_wrong(for_s, terms)
        if for_s < terms.settle_s:
            return None
        self._overruled_in = ""
        if not (self.is_holding or self._may_be_holding):
            return None
        # Without a run there is nobody who has been held up and should have a look.
        if terms.by_itself or not self._run_id:
            self.is_holding = self._may_be_holding = False
            return Order.RELEASE
        waits = f"{self._first} (good again, waits for a person to resume)"
        return self._tell(waits) if self.is_holding else None

    def _decide_wrong(self, for_s: float, terms: Terms) -> Order | None:
        if self.is_holding:
            return self._tell(self._first)  # not good any more, perhaps
        if for_s < terms.after_s or self._overruled_in:
            return None
        self.is_holding, self._may_be_holding = True, False
        self._first, self._told = self._wrong, ""
        return self._tell(self._first)

    def _tell(self, why: str) -> Order | None:
        if why == self._told:
            return None
        self._told = why
        return Order.SUSPEND
