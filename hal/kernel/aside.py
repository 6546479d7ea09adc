"""Code of a module that nobody may wait for: called on a thread of its own."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from functools import partial
from typing import Final

from hal.base import ErrorRecord, get_logger
from hal.kernel.actor import ModuleActor
from hal.kernel.context import Context
from hal.kernel.worker import Job

ASIDE_S: Final = 5.0
"""What a module may take to make safe, let go of what it owns, or be made."""

log = get_logger(module="hal")


class Aside:
    """Calls code of modules under the watchdog's eyes.

    Runs on: the supervisor.

    Guarantees:
        `then(True)` says that it has ended; before that, `then(False)` that it takes
        too long. Both are said where `tell` has things done.
    """

    def __init__(
        self, context: Context, tell: Callable[[Callable[[], object]], None]
    ) -> None:
        self._context = context
        self._tell = tell

    def call(
        self,
        actor: ModuleActor,
        what: str,
        fn: Callable[[], None],
        then: Callable[[bool], object],
    ) -> None:
        """Call `fn`, which is about the end of a generation."""
        self.start(actor.name, f"{actor.thread_name}/end", what, fn, then)

    def start(
        self,
        module: str,
        thread_name: str,
        what: str,
        fn: Callable[[], None],
        then: Callable[[bool], object],
    ) -> None:
        """Call `fn`, once, on a new thread."""
        watchdog = self._context.watchdog

        def ended(job: Job) -> None:
            watchdog.unwatch(job)
            self._tell(partial(then, True))

        def expired(_job: Job, error: ErrorRecord) -> None:
            log.error("takes too long", what=what, name=module, why=error.text)
            self._tell(partial(then, False))

        job = Job(
            module,
            fn,
            what=what,
            deadline_s=ASIDE_S,
            delivery=None,
            then=None,
            context=contextvars.Context(),
            clock=self._context.clock,
            on_end=ended,
            on_expire=expired,
        )
        watchdog.watch(job)
        self._context.threads.start(thread_name, job.run)
