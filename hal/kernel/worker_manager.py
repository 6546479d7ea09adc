"""Blocking work outside of modules: a bounded number at once, each with a time limit.

Modules use `run_job`; this is for scripts and tools that bring their own functions.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from psygnal import Signal

from hal.base import (
    BadInput,
    Cancelled,
    Clock,
    ErrorRecord,
    StateError,
    SystemClock,
    ThreadSafeFlag,
    WorkerTimeout,
    get_logger,
    safe_callback,
)
from hal.kernel.announcer import Announcer
from hal.kernel.dump_folder import DumpFolder
from hal.kernel.task import OnEnd, Task, WorkerResult
from hal.kernel.thread_dump import dump_threads
from hal.kernel.timers import Timers
from hal.kernel.waits import blocking_module

STRICT_LIMIT_S: Final = 60.0
"""How long a task may take in strict mode if nothing else was said."""
LONGEST_LIMIT_S: Final = 30 * 86_400.0
"""Windows cannot wait for more than 49 days."""
CALLBACK_LIMIT_S: Final = 60.0
"""How long a task's callback keeps others from running."""
_PAUSE_S: Final = 1.0
_SECOND_CHANCE_S: Final = 0.1

log = get_logger(module="hal")


class WorkerManager:
    """Runs functions on daemon threads of its own and tells how each ended, once.

    A task past its limit is given up, with the stacks of all threads: its thread cannot
    be ended, so it is left alone and a new one takes its place. What it returns later
    changes nothing.

    Callbacks run on a thread of the task. Signals are emitted in order on another one,
    possibly a little later.

    Runs on: any.

    Guarantees:
        Each task has one outcome: one signal of `completed`, `error` and `timeout`, and
        one callback.
        No task and no callback that hangs keeps the others from running for good.

    Signals:
        started: The name of a task that begins.
        completed: The name of a task that returned, and its `WorkerResult`.
        error: The name of a task that raised or was cancelled, and its `WorkerResult`.
        timeout: The name of a task that was given up; `on_error` gets the result.
    """

    started = Signal(str)
    completed = Signal(str, object)
    error = Signal(str, object)
    timeout = Signal(str)

    def __init__(
        self,
        max_workers: int = 4,
        *,
        strict: bool = False,
        clock: Clock | None = None,
        dump_folder: Path | None = None,
    ) -> None:
        """Begin without tasks; `shutdown` ends its one permanent thread.

        Args:
            max_workers: How many tasks run at once; those that hang do not count.
            strict: A task without a limit of its own gets one of 60 s.
            clock: Counts limits and waiting; the machine's by default.
            dump_folder: Where the stacks of all threads are written after a time-out.

        Raises:
            BadInput: `max_workers` is less than 1.
        """
        if max_workers < 1:
            raise BadInput(f"max_workers is {max_workers}: expected at least 1")
        self.max_workers = max_workers
        self._default_limit_s = STRICT_LIMIT_S if strict else None
        self._clock = clock or SystemClock()
        self._dumps = DumpFolder(dump_folder, self._clock)
        self._announcer = Announcer("worker/signals", self._clock)
        self._lock = threading.Lock()
        self._is_shut = False
        self._queue: deque[Task] = deque()
        self._running: dict[str, Task] = {}
        self._untold: dict[str, Task] = {}
        """From `submit` until the callbacks have returned."""
        self._given_up: dict[str, Task] = {}
        """Past their limit; forgotten when their threads have ended after all."""
        self._all_told = ThreadSafeFlag(self._clock)
        self._all_told.set()
        self._timers = Timers(self._clock)
        self._timers.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def submit(
        self,
        task_name: str,
        task: Callable[[], Any],
        timeout_ms: float = -1,
        on_complete: OnEnd | None = None,
        on_error: OnEnd | None = None,
    ) -> str:
        """Run `task` as soon as there is room, and return the name it goes by.

        Args:
            task_name: What it is about; `-2` and so on is added while another task
                goes by that name.
            task: Called without arguments, in a copy of the caller's context.
            timeout_ms: How long it may take once it runs; -1 for as long as it wants
                (in strict mode 60 s).
            on_complete: Called with the result if it returned.
            on_error: Called with the result if it raised, was cancelled, or timed out.

        Raises:
            BadInput: `timeout_ms` is neither -1 nor within 0 and 30 days.
            StateError: After `shutdown`.
        """
        limit_s = self._default_limit_s
        if timeout_ms != -1:
            limit_s = timeout_ms / 1000.0
            if not 0.0 < limit_s <= LONGEST_LIMIT_S:
                raise BadInput(
                    f"timeout_ms of '{task_name}' is {timeout_ms}: expected -1 (none) "
                    f"or more than 0, at most {LONGEST_LIMIT_S * 1000.0:.0f} (30 days)"
                )
        context = copy_context()
        # What the task waits for holds up the caller's module only if that waits too.
        context.run(blocking_module.set, "")
        with self._lock:
            if self._is_shut:
                raise StateError(f"'{task_name}' not accepted: workers are shut down")
            name = self._free_name(task_name)
            new = Task(name, task, limit_s, on_complete, on_error, context)
            self._untold[name] = new
            self._all_told.clear()
            self._queue.append(new)
        self._start_waiting()
        return name

    def left_behind(self) -> tuple[str, ...]:
        """Return the tasks that were given up and still hang, by name."""
        with self._lock:
            self._forget_returned()
            return tuple(self._given_up)

    def shutdown(self, wait: bool = True, timeout_s: float = 2.0) -> tuple[str, ...]:
        """End all: what has not begun is cancelled, what runs may end in time.

        What still runs afterwards is given up: its outcome is `Cancelled`, with the
        stacks of all threads, and its thread is left alone.

        Args:
            wait: Whether to wait for what runs and for callbacks and signals.
            timeout_s: For all of that together.

        Returns:
            The names of tasks whose threads, or callbacks, still go on.
        """
        until_s = self._clock.monotonic_s() + (timeout_s if wait else 0.0)
        with self._lock:
            self._is_shut = True
            waiting = list(self._queue)
            self._queue.clear()
        self._cancel(waiting, "was cancelled before it began")
        self._all_told.wait(until_s - self._clock.monotonic_s())
        with self._lock:
            running = list(self._running.values())
        self._cancel(running, "was given up: it had not ended at the shutdown")
        self._all_told.wait(until_s - self._clock.monotonic_s())
        self._announcer.wait_until_idle(until_s - self._clock.monotonic_s())
        self._timers.stop()
        with self._lock:
            self._forget_returned()
            left = tuple({**self._given_up, **self._untold})
        if left:
            log.warning("tasks left behind at shutdown", tasks=", ".join(left))
        return left

    # -- beginning ----------------------------------------------------------------

    def _free_name(self, wanted: str) -> str:
        self._forget_returned()
        name, number = wanted, 1
        while name in self._untold or name in self._given_up:
            number += 1
            name = f"{wanted}-{number}"
        return name

    def _forget_returned(self) -> None:
        self._given_up = {n: t for n, t in self._given_up.items() if t.is_alive}

    def _start_waiting(self) -> None:
        while (task := self._next()) is not None:
            # Known before it starts, so that nobody finds a task at work without one.
            task.thread = threading.Thread(
                target=self._run, name=f"worker/{task.name}", args=(task,), daemon=True
            )
            try:
                task.thread.start()
            except RuntimeError as exc:
                error = StateError(f"'{task.name}' got no thread: {exc}")
                self._end(task, WorkerResult(success=False, error=error))

    def _next(self) -> Task | None:
        """Return the next task, given its place among those that run."""
        with self._lock:
            if not self._queue or len(self._running) >= self.max_workers:
                return None
            task = self._queue.popleft()
            self._running[task.name] = task
            return task

    def _run(self, task: Task) -> None:
        """Run a task from its beginning to its last callback; on its own thread."""
        if task.has_ended:
            return
        # Only now: that a busy machine takes long to begin is not the task's fault.
        task.started_s = self._clock.monotonic_s()
        if task.limit_s is not None:
            self._watch(task, task.limit_s)
        self._announcer.announce(self.started, task.name)
        result = task.context.run(WorkerResult[Any].of, task.fn)
        if self._end(task, result):
            self._start_waiting()

    # -- ending -------------------------------------------------------------------

    def _end(self, task: Task, result: WorkerResult[Any]) -> bool:
        """Decide the outcome and tell it, or note that it comes too late."""
        if not task.claim():
            log.warning("late result ignored", task=task.name, success=result.success)
            return False
        if task.timer is not None:
            task.timer.cancel()
        self._tell(task, result)
        return True

    def _tell(self, task: Task, result: WorkerResult[Any]) -> None:
        callback = task.on_complete if result.success else task.on_error
        if result.timed_out:
            self._announcer.announce(self.timeout, task.name)
        elif result.success:
            self._announcer.announce(self.completed, task.name, result)
        else:
            self._announcer.announce(self.error, task.name, result)
        if result.error is not None:
            _log_failure(task, result, result.error)
        if callback is not None:
            limit = self._timers.after(
                CALLBACK_LIMIT_S, lambda: self._leave_callback(task)
            )
            # A copy, because a task that hangs is still inside its own context.
            task.context.copy().run(safe_callback, callback, result)
            limit.cancel()
        with self._lock:
            self._leave(task)
            del self._untold[task.name]
            if not self._untold:
                self._all_told.set()

    def _leave(self, task: Task) -> None:
        # By identity: once its callback was left behind, its place may be another's.
        if self._running.get(task.name) is task:
            del self._running[task.name]

    # -- what hangs ---------------------------------------------------------------

    def _watch(self, task: Task, limit_s: float) -> None:
        task.timer = self._timers.after(limit_s, lambda: self._expire(task))

    def _expire(self, task: Task) -> None:
        """Give up a task past its limit; on the timer thread, which calls nobody."""
        age_s = self._clock.monotonic_s() - task.started_s
        limit_s = task.limit_s or 0.0
        # A suspended machine makes everything look late; whoever was about to end gets
        # the time to do so.
        if age_s > limit_s + _PAUSE_S and not task.was_spared:
            task.was_spared = True
            self._watch(task, _SECOND_CHANCE_S)
            return
        if not task.claim():
            return
        dump, path = self._dump(task)
        text = f"task '{task.name}' has been going on for {age_s:.2f} s"
        text += f", allowed {limit_s:g} s"
        text += f"; stacks of all threads in {path}" if path else ""
        result = WorkerResult[Any](
            success=False,
            error=WorkerTimeout(text, age_s=age_s, dump_file=path),
            stack_trace=dump,
            timed_out=True,
        )
        with self._lock:
            self._given_up[task.name] = task
        self._tell_elsewhere([(task, result)], f"worker/{task.name}/timeout")

    def _leave_callback(self, task: Task) -> None:
        _, path = self._dump(task)
        log.error("callback hangs", task=task.name, dump_file=path)
        with self._lock:
            self._leave(task)
        self._start_waiting()

    def _dump(self, task: Task) -> tuple[str, str]:
        dump = _stacks()
        return dump, self._dumps.write(dump, task.name).path

    def _cancel(self, tasks: list[Task], why: str) -> None:
        """End `tasks` that have not ended, and tell so on another thread."""
        dump = _stacks() if any(task.is_alive for task in tasks) else ""
        cancelled = [task for task in tasks if task.claim()]
        if not cancelled:
            return
        with self._lock:
            self._given_up |= {task.name: task for task in cancelled if task.is_alive}
        self._tell_elsewhere(
            [
                (
                    task,
                    WorkerResult[Any](
                        success=False,
                        error=Cancelled(f"task '{task.name}' {why}"),
                        stack_trace=dump if task.is_alive else "",
                    ),
                )
                for task in cancelled
            ],
            "worker/shutdown",
        )

    def _tell_elsewhere(
        self, outcomes: list[tuple[Task, WorkerResult[Any]]], thread_name: str
    ) -> None:
        def tell() -> None:
            for task, result in outcomes:
                self._tell(task, result)
                self._start_waiting()

        try:
            threading.Thread(target=tell, name=thread_name, daemon=True).start()
        except RuntimeError:  # no more threads to be had
            tell()


def _stacks() -> str:
    # Contained: a task that is given up is told so even when nobody can say where.
    return safe_callback(dump_threads).value or "(no stacks: see the log)"


def _log_failure(task: Task, result: WorkerResult[Any], error: BaseException) -> None:
    reason = ErrorRecord.from_exception(error, "").text
    phrase = "task timed out" if result.timed_out else "task failed"
    say = log.warning if isinstance(error, Cancelled) else log.error
    say(phrase, task=task.name, reason=reason, exception=result.stack_trace)
