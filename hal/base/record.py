"""Plain data that travels: messages, responses, status.

A record is frozen, has a stable name on the wire, and holds nothing but plain values,
so it reads the same in this process, in another one and in the trace. Live objects
(arrays, handles, drivers, exceptions) are refused by `pack`.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from hal.base.errors import InvalidMessage

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
WIRE_FIELD = "record"
_KNOWN: dict[str, type[Record]] = {}


@cache
def wire_name(class_name: str) -> str:
    """Return the name on the wire of a class: `MoveStage` is "move stage"."""
    return _WORD.sub(" ", class_name).lower()


class Record(msgspec.Struct, frozen=True, tag_field=WIRE_FIELD, tag=wire_name):
    """Base of everything that is sent: frozen, typed, named on the wire."""

    def __init_subclass__(cls) -> None:
        name = wire_name(cls.__name__)
        known = _KNOWN.get(name)
        if known is not None and known.__module__ != cls.__module__:
            # One of them would be taken for the other by whoever reads bytes.
            raise TypeError(
                f"'{name}' is a record of {known.__module__} already: choose another "
                f"name for class {cls.__name__} of {cls.__module__}"
            )
        # Of one module the newest counts: a plugin reloaded in a notebook.
        _KNOWN[name] = cls


_making = threading.Lock()
_encoder = msgspec.msgpack.Encoder()
# ValueError: text that is not UTF-8, which msgspec does not make its own error of.
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


@cache
def _decoder(cls: type[Record]) -> msgspec.msgpack.Decoder[Record]:
    # msgspec shows what it knows of a class to other threads before it is complete:
    # a second decoder made meanwhile, of a class with the same field, ends the process.
    with _making:
        return msgspec.msgpack.Decoder(cls)


def pack(value: object) -> bytes:
    """Return `value` (a record or plain data) as msgpack.

    Raises:
        InvalidMessage: It holds something that is not plain data.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise InvalidMessage(f"{_name(value)}: {_one_line(exc)}") from exc


def unpack(cls: type[Record], data: bytes) -> Record:
    """Return the record of class `cls` in `data`, checked against its annotations.

    Raises:
        InvalidMessage: A field is missing, ill-typed, out of range or not finite.
    """
    name = wire_name(cls.__name__)
    try:
        record = _decoder(cls).decode(data)
        _check_finite(name, msgspec.to_builtins(record))
    except _UNREADABLE as exc:
        raise InvalidMessage(f"{name}: {_one_line(exc)}") from exc
    return record


def unpack_any(data: bytes) -> object:
    """Return what `pack` was given: a record of any known class, or plain data.

    Raises:
        InvalidMessage: `data` is not msgpack, holds a number that is not finite, or no
            class of that name is known.
    """
    try:
        value = msgspec.msgpack.decode(data)
        if isinstance(value, dict) and isinstance(value.get(WIRE_FIELD), str):
            return unpack(record_class(value[WIRE_FIELD]), data)
        _check_finite("response", value)
    except _UNREADABLE as exc:
        raise InvalidMessage(f"response: {_one_line(exc)}") from exc
    return value


def record_class(name: str) -> type[Record]:
    """Return the record class called `name` on the wire.

    Raises:
        InvalidMessage: No class of that name has been imported here.
    """
    try:
        return _KNOWN[name]
    except KeyError:
        raise InvalidMessage(f"unknown kind of record: '{name}'") from None


def _check_finite(name: str, value: object) -> None:
    for path, number in _numbers(value, ""):
        if not math.isfinite(number):
            raise InvalidMessage(
                f"{name}:{path}: expected a finite number, got {number}"
            )


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(key, f"{path} {key}")
            yield from _numbers(item, f"{path} {key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{path}[{index}]")


def _name(value: object) -> str:
    return wire_name(type(value).__name__)


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__
