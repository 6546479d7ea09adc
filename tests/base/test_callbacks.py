"""R3, R4, R5: what a callback raises is caught, logged with its place, handed on."""

from __future__ import annotations

import functools
import threading
import types
from typing import Any

import pytest

from hal.base import CallbackResult, StateError, safe_callback


def fail(*args: object, **kw: object) -> int:
    raise ValueError(f"boom {args} {kw}")


class Shy:
    """A callable that fails, and also when anybody looks at it."""

    def __call__(self, *_args: object) -> int:
        raise ValueError("boom")

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Named:
    def method(self, *_: object) -> int:
        return fail()

    @staticmethod
    def static(*_: object) -> int:
        return fail()


def test_a_success_has_the_value_and_nothing_to_raise(logged: list[Any]) -> None:
    result = safe_callback(divmod, 7, 2)

    assert (result.success, result.value) == (True, (3, 1))
    assert (result.error, result.stack_trace) == (None, "")
    result.raise_if_error()
    assert logged == []


def test_arguments_of_any_name_reach_the_callback() -> None:
    def echo(*args: object, **kw: object) -> object:
        return args, kw

    result = safe_callback(echo, 1, cb=2, args=3)

    assert result.value == ((1,), {"cb": 2, "args": 3})


def test_a_failure_has_the_error_and_the_stack_and_raises_the_same_object(
    logged: list[Any],
) -> None:
    result = safe_callback(fail, 1, at=2)

    assert not result.success
    assert result.value is None
    assert str(result.error) == "boom (1,) {'at': 2}"
    assert "in fail\n" in result.stack_trace
    with pytest.raises(ValueError, match="boom") as caught:
        result.raise_if_error()
    assert caught.value is result.error
    (entry,) = logged
    assert (entry["level"], entry["event"]) == ("error", "callback failed")
    line = fail.__code__.co_firstlineno
    assert entry["callback"] == f"fail ({__file__}:{line})"
    assert entry["reason"] == "ValueError: boom (1,) {'at': 2}"
    assert entry["exception"] == result.stack_trace


def callables() -> dict[str, tuple[Any, str]]:
    """Return what can be called and fails, and what the log says about it."""
    return {
        "partial": (functools.partial(fail, 1), f"fail ({__file__}:"),
        "partials": (functools.partial(functools.partial(Shy(), 1), 2), "Shy object"),
        "lambda": (lambda *_: fail(), f"<lambda> ({__file__}:"),
        "method": (Named().method, f"Named.method ({__file__}:"),
        "static": (Named.static, f"Named.static ({__file__}:"),
        "object": (Shy(), "test_callbacks.Shy object"),
        "odd method": (types.MethodType(Shy(), 1), "test_callbacks.Shy object"),
        "class": (functools.partial(int, "x"), "int"),
        "builtin": ([].pop, "list.pop"),
        "nothing": (None, "builtins.NoneType object"),
    }


@pytest.mark.parametrize("kind", callables())
def test_any_callable_is_contained_and_named(logged: list[Any], kind: str) -> None:
    cb, name = callables()[kind]
    told: list[CallbackResult[Any]] = []

    result = safe_callback(cb, on_error=told.append)

    assert not result.success
    assert told == [result]
    assert name in logged[0]["callback"]


@pytest.mark.parametrize(
    "exc",
    [
        SystemExit(3),
        GeneratorExit(),
        RecursionError("deep"),
        MemoryError(),
        StateError("not now"),
        Unprintable(),
        ExceptionGroup("two", [ValueError("a"), ValueError("b")]),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_everything_a_callback_may_raise_is_contained(
    logged: list[Any], exc: BaseException
) -> None:
    def raising() -> None:
        raise exc

    result = safe_callback(raising)

    assert result.error is exc
    assert type(exc).__name__ in result.stack_trace
    assert len(logged) == 1


def test_ctrl_c_passes_through_on_the_main_thread_only(logged: list[Any]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        safe_callback(interrupted)
    with pytest.raises(KeyboardInterrupt):
        safe_callback(fail, on_error=interrupted)

    results: list[CallbackResult[None]] = []
    thread = threading.Thread(target=lambda: results.append(safe_callback(interrupted)))
    thread.start()
    thread.join(10.0)

    assert isinstance(results[0].error, KeyboardInterrupt)


@pytest.mark.parametrize("kind", callables())
def test_an_on_error_that_fails_is_contained_and_logged_too(
    logged: list[Any], kind: str
) -> None:
    on_error = callables()[kind][0]
    if kind == "nothing":
        on_error = 17

    result = safe_callback(fail, on_error=on_error)

    assert isinstance(result.error, ValueError)
    assert [entry["event"] for entry in logged] == [
        "callback failed",
        "on_error failed",
    ]
    assert logged[1]["of"] == logged[0]["callback"]


def test_on_error_is_not_called_after_a_success() -> None:
    told: list[object] = []

    safe_callback(int, on_error=told.append)

    assert told == []


def test_a_result_can_be_had_without_a_log(logged: list[Any]) -> None:
    assert CallbackResult.of(fail).success is False
    assert logged == []
