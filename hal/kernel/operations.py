"""What is going on in the background, by id: who started it, how it ended."""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from hal.base import (
    Cancelled,
    Clock,
    ErrorRecord,
    HalError,
    SystemClock,
    ThreadSafeFlag,
    get_logger,
    new_ulid,
    safe_callback,
)

_KEPT: Final = 1000

log = get_logger(module="hal")


class OperationState(enum.StrEnum):
    """Where an operation is; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows."""
        return self not in (OperationState.PENDING, OperationState.RUNNING)


@dataclass(frozen=True)
class _Facts:
    """All that changes, replaced as a whole, so that a reader never sees half."""

    state: OperationState
    started_s: float | None = None
    completed_s: float | None = None
    ended_at_s: float = 0.0
    error: ErrorRecord | None = None
    result: Any = None


class Operation:
    """Something that takes a while: its state, its times, how it ended.

    Made and moved on by an `OperationTracker`; everybody else looks and waits.

    Runs on: any.

    Guarantees:
        It ends once; after that nothing in it changes.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.id = new_ulid()
        self.name = name
        self.created_s = clock.wall_s()
        """Seconds since 1970-01-01 UTC, as all times here."""
        self._clock = clock
        self._lock = threading.Lock()
        self._facts = _Facts(OperationState.PENDING)
        self._ended = ThreadSafeFlag(clock)
        self._callbacks: list[Callable[[Operation], object]] = []

    @property
    def state(self) -> OperationState:
        """Where it is."""
        return self._facts.state

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._facts.state.is_terminal

    @property
    def started_s(self) -> float | None:
        """When it began to run; None if it never has."""
        return self._facts.started_s

    @property
    def completed_s(self) -> float | None:
        """When it ended, in whatever way."""
        return self._facts.completed_s

    @property
    def error(self) -> ErrorRecord | None:
        """Why it failed or was cancelled."""
        return self._facts.error

    @property
    def result(self) -> Any:
        """What it was completed with."""
        return self._facts.result

    def wait(self, timeout_s: float) -> bool:
        """Return True once it has ended, False after `timeout_s`."""
        return self._ended.wait(timeout_s)

    def age_s(self) -> float:
        """Return how long ago it ended; 0 while it goes on."""
        facts = self._facts
        if not facts.state.is_terminal:
            return 0.0
        return self._clock.monotonic_s() - facts.ended_at_s

    def begin(self) -> bool:
        """Note that it runs; False if it did already or has ended."""
        with self._lock:
            if self._facts.state is not OperationState.PENDING:
                return False
            now_s = self._clock.wall_s()
            self._facts = replace(
                self._facts, state=OperationState.RUNNING, started_s=now_s
            )
            return True

    def end(
        self,
        state: OperationState,
        *,
        result: object = None,
        error: ErrorRecord | None = None,
    ) -> bool:
        """Move it to its final state; False, and no change, if it has one."""
        with self._lock:
            if self._facts.state.is_terminal:
                return False
            self._facts = replace(
                self._facts,
                state=state,
                completed_s=self._clock.wall_s(),
                ended_at_s=self._clock.monotonic_s(),
                result=result,
                error=error,
            )
        self._ended.set()
        return True

    def on_end(self, callback: Callable[[Operation], object]) -> None:
        """Call `callback` once with it when it has ended: at once if it has."""
        with self._lock:
            self._callbacks.append(callback)
        if self.is_terminal:
            self.tell()

    def tell(self) -> None:
        """Make the calls that `on_end` noted, each once; what they raise is logged."""
        while True:
            with self._lock:
                if not self._callbacks:
                    return
                callback = self._callbacks.pop(0)
            safe_callback(callback, self)


class OperationTracker:
    """All operations of one place, by id.

    An id nobody knows, or one that has ended, is a warning in the log and False: news
    that comes late harms nothing.

    Runs on: any.

    Guarantees:
        Of several threads that end one operation, one gets True.
        The newest 1000 ended operations are kept, all others forgotten.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin with nothing.

        Args:
            clock: Gives the times and counts the waiting; the machine's by default.
        """
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._operations: dict[str, Operation] = {}
        self._ended: deque[Operation] = deque()

    def start(self, name: str) -> Operation:
        """Return a new operation that runs."""
        operation = Operation(name, self._clock)
        operation.begin()
        return self._add(operation)

    def queue(self, name: str) -> Operation:
        """Return a new operation that is PENDING until `begin`."""
        return self._add(Operation(name, self._clock))

    def begin(self, operation_id: str) -> bool:
        """Note that a pending operation runs now."""
        operation = self._known(operation_id)
        if operation is None:
            return False
        if not operation.begin():
            self._warn_late(operation, OperationState.RUNNING)
            return False
        return True

    def complete(self, operation_id: str, result: object = None) -> bool:
        """End it well, with `result`."""
        return self._end(operation_id, OperationState.COMPLETED, result=result)

    def fail(self, operation_id: str, error: BaseException | ErrorRecord | str) -> bool:
        """End it with `error`."""
        return self._end(operation_id, OperationState.FAILED, error=error)

    def cancel(self, operation_id: str, reason: str = "cancelled") -> bool:
        """End it as given up on purpose, and say why."""
        error = Cancelled(reason)
        return self._end(operation_id, OperationState.CANCELLED, error=error)

    def get(self, operation_id: str) -> Operation | None:
        """Return the operation, None if it is not known."""
        return self._known(operation_id)

    def get_pending(self) -> tuple[Operation, ...]:
        """Return all that have not ended, PENDING or RUNNING, the oldest first."""
        with self._lock:
            operations = tuple(self._operations.values())
        return tuple(op for op in operations if not op.is_terminal)

    def wait_all(self, timeout_s: float) -> bool:
        """Return True once all that are open now have ended, False after `timeout_s`.

        The time is for all of them together.
        """
        until_s = self._clock.monotonic_s() + timeout_s
        return all(
            operation.wait(until_s - self._clock.monotonic_s())
            for operation in self.get_pending()
        )

    def on_complete(
        self, operation_id: str, callback: Callable[[Operation], object]
    ) -> bool:
        """Call `callback` once with the operation when it has ended, however it did.

        It is called on the thread that ends the operation, or here and now if that has
        happened. It must not block; what it raises is logged.
        """
        operation = self._known(operation_id)
        if operation is None:
            return False
        operation.on_end(callback)
        return True

    def cleanup_completed(self, max_age_s: float) -> int:
        """Forget what ended at least `max_age_s` ago; return how many those were."""
        forgotten = 0
        with self._lock:
            while self._ended and self._ended[0].age_s() >= max_age_s:
                self._forget_oldest()
                forgotten += 1
        return forgotten

    def _add(self, operation: Operation) -> Operation:
        with self._lock:
            self._operations[operation.id] = operation
        return operation

    def _end(
        self,
        operation_id: str,
        state: OperationState,
        *,
        result: object = None,
        error: BaseException | ErrorRecord | str | None = None,
    ) -> bool:
        operation = self._known(operation_id)
        if operation is None:
            return False
        record = _recorded(error, operation.name)
        if not operation.end(state, result=result, error=record):
            self._warn_late(operation, state)
            return False
        with self._lock:
            self._ended.append(operation)
            while len(self._ended) > _KEPT:
                self._forget_oldest()
        # Last, so that a callback finds everything else done, whatever it does.
        operation.tell()
        return True

    def _forget_oldest(self) -> None:
        del self._operations[self._ended.popleft().id]

    def _known(self, operation_id: str) -> Operation | None:
        with self._lock:
            operation = self._operations.get(operation_id)
        if operation is None:
            log.warning("operation unknown", id=operation_id)
        return operation

    def _warn_late(self, operation: Operation, wanted: OperationState) -> None:
        log.warning(
            "operation not changed",
            id=operation.id,
            name=operation.name,
            state=operation.state,
            wanted=wanted,
        )


def _recorded(
    error: BaseException | ErrorRecord | str | None, name: str
) -> ErrorRecord | None:
    if isinstance(error, str):
        error = HalError(error)
    if isinstance(error, BaseException):
        return ErrorRecord.from_exception(error, name)
    return error
