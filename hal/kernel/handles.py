"""`@handles(MessageType)`: which method of a module takes which message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hal.kernel.message import Message

M = TypeVar("M", bound=Message)
Handler = Callable[[Any, Any], object]

_MARK = "_hal_handles"


def handles(
    message_type: type[M],
) -> Callable[[Callable[[Any, M], object]], Callable[[Any, M], object]]:
    """Mark a method as the handler of `message_type` and its subclasses."""

    def mark(method: Callable[[Any, M], object]) -> Callable[[Any, M], object]:
        setattr(method, _MARK, message_type)
        return method

    return mark


def handler_table(cls: type) -> dict[type[Message], Handler]:
    """Return message class -> function of a module class.

    A subclass that overrides a handler by name keeps its message, decorated or not.
    """
    table: dict[type[Message], Handler] = {}
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            message_type = getattr(member, _MARK, None)
            if message_type is not None:
                table[message_type] = getattr(cls, name)
    return table


def find_handler(
    table: dict[type[Message], Handler], message_type: type[Message]
) -> Handler | None:
    """Return the handler of the nearest base class of `message_type`."""
    for base in message_type.__mro__:
        if base in table:
            return table[base]
    return None
