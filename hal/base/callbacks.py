"""Calling foreign code: what it raises becomes data, and never an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Generic, Self, TypeVar

from hal.base.error_record import ErrorRecord
from hal.base.log import get_logger

T = TypeVar("T")

log = get_logger(module="hal")


@dataclass(frozen=True, eq=False)
class CallbackResult(Generic[T]):
    """What became of one call: its value, or its error with the stack.

    Runs on: any.
    """

    success: bool
    value: T | None = None
    """What the call returned; None if it failed."""
    error: BaseException | None = None
    """What it raised; keeps the objects of its stack alive as long as it is kept."""
    stack_trace: str = field(default="", repr=False)
    """The formatted stack of `error`; empty after a success."""

    @classmethod
    def of(cls, cb: Callable[..., T], /, *args: Any, **kw: Any) -> Self:
        """Return what became of `cb(*args, **kw)`.

        Everything is caught, SystemExit too: foreign code ends its own call, never
        HAL. The one exception is KeyboardInterrupt on the main thread, which nobody
        raised: a person pressed Ctrl-C while `cb` happened to run.

        Raises:
            KeyboardInterrupt: On the main thread only.
        """
        try:
            value = cb(*args, **kw)
        except KeyboardInterrupt as exc:
            if threading.current_thread() is threading.main_thread():
                raise
            return cls._failed(exc)
        except BaseException as exc:  # noqa: BLE001 - attached to the result
            return cls._failed(exc)
        return cls(success=True, value=value)

    def raise_if_error(self) -> None:
        """Raise what the call raised, the same object; nothing after a success."""
        if self.error is not None:
            raise self.error

    @classmethod
    def _failed(cls, exc: BaseException) -> Self:
        stack = ErrorRecord.from_exception(exc, "").traceback
        return cls(success=False, error=exc, stack_trace=stack)


def safe_callback(
    cb: Callable[..., T],
    /,
    *args: Any,
    on_error: Callable[[CallbackResult[T]], object] | None = None,
    **kw: Any,
) -> CallbackResult[T]:
    """Call `cb(*args, **kw)`, log a failure with its place, return what became of it.

    Catches what `CallbackResult.of` does. For a `cb` that has an argument named
    `on_error` itself, pass a `functools.partial`.

    Runs on: any; `cb` and `on_error` run on the same thread.

    Args:
        cb: Anything that can be called; it needs no `__name__`.
        args: Passed to `cb`.
        on_error: Called with the result of a failure. What it raises is logged, too.
        kw: Passed to `cb`.

    Raises:
        KeyboardInterrupt: On the main thread only: Ctrl-C.
    """
    result: CallbackResult[T] = CallbackResult.of(cb, *args, **kw)
    if result.error is not None:
        _log_failure("callback failed", cb, result)
        if on_error is not None:
            told: CallbackResult[object] = CallbackResult.of(on_error, result)
            if told.error is not None:
                _log_failure("on_error failed", on_error, told, of=_describe(cb))
    return result


def _log_failure(
    phrase: str, cb: object, result: CallbackResult[Any], **more: str
) -> None:
    if result.error is not None:
        reason = ErrorRecord.from_exception(result.error, "").text
        log.error(
            phrase,
            callback=_describe(cb),
            reason=reason,
            exception=result.stack_trace,
            **more,
        )


def _describe(cb: object) -> str:
    """Return where `cb` comes from, without running any code of its own."""
    # Only exact types are asked for a name: a foreign object may do anything when an
    # attribute is read, and for many callables there is none.
    while True:
        if type(cb) is partial:
            cb = cb.func
        elif type(cb) is MethodType:
            cb = cb.__func__
        else:
            break
    if type(cb) is FunctionType:
        code = cb.__code__
        return f"{cb.__qualname__} ({code.co_filename}:{code.co_firstlineno})"
    if type(cb) is BuiltinFunctionType or type(cb) is type:
        return cb.__qualname__
    return f"{type(cb).__module__}.{type(cb).__qualname__} object"
