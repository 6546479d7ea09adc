"""One call that a `WorkerManager` makes, and what became of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, TypeVar

from hal.base import CallbackResult
from hal.kernel.timers import Timer

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class WorkerResult(CallbackResult[T]):
    """What became of a task: its value, or its error with the stack.

    After a time-out `error` is a `WorkerTimeout` and `stack_trace` shows all threads.
    """

    timed_out: bool = False


OnEnd = Callable[[WorkerResult[Any]], object]


class Task:
    """One submitted call, its limit, and who is told how it ended.

    Runs on: any.
    """

    def __init__(
        self,
        name: str,
        fn: Callable[[], Any],
        limit_s: float | None,
        on_complete: OnEnd | None,
        on_error: OnEnd | None,
        context: Context,
    ) -> None:
        self.name = name
        self.fn = fn
        self.limit_s = limit_s
        self.on_complete = on_complete
        self.on_error = on_error
        self.context = context
        self.started_s = 0.0
        self.timer: Timer | None = None
        self.thread: threading.Thread | None = None
        self.was_spared = False
        # `list.pop` is the atomic step that makes one of those who end it win.
        self._unended = [True]

    @property
    def has_ended(self) -> bool:
        """Whether its outcome is decided."""
        return not self._unended

    @property
    def is_alive(self) -> bool:
        """Whether its thread still runs."""
        return self.thread is not None and self.thread.is_alive()

    def claim(self) -> bool:
        """Return True to the first who ends it, False to everybody after."""
        try:
            return self._unended.pop()
        except IndexError:
            return False
