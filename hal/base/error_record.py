"""Errors as data: what travels with a message, is logged and shown."""

from __future__ import annotations

import traceback

import msgspec

from hal.base.errors import BadInput, HalError, StartError, error_class


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One error, as plain data that any process can read.

    A live exception exists only inside the process that raised it; this is what is
    attached to messages, kept in the trace and shown to people.
    """

    kind: str
    """Class name in the tree of `hal.base.errors`, or of a foreign exception."""
    text: str
    """One line for a person."""
    source: str
    """Name of the module (or principal) where it happened."""
    severity: str = "error"
    """`warning` or `error`."""
    traceback: str = ""
    """Formatted stack of the exception; empty where none was raised."""
    dump: str = ""
    """All threads by name, where a hang was detected."""
    data: dict[str, str | int | float | bool | None] = {}

    @classmethod
    def from_exception(cls, exc: BaseException, source: str) -> ErrorRecord:
        """Describe `exc` completely; never raises, whatever `exc` does when printed."""
        try:
            text = str(exc) or type(exc).__name__
        except Exception as broken:  # noqa: BLE001 - foreign __str__ may do anything
            text = f"{type(exc).__name__} (its text is broken: {type(broken).__name__})"
        data: dict[str, str | int | float | bool | None] = {}
        if isinstance(exc, HalError):
            kind = type(exc).__name__
            data = {key: _plain(value) for key, value in exc.data.items()}
        else:
            kind = "HandlerFailed"
            text = f"{type(exc).__name__}: {text}"
            data = {"exception": type(exc).__name__}
        return cls(
            kind=kind,
            text=text,
            source=source,
            severity=getattr(type(exc), "severity", "error"),
            traceback=_format(exc),
            data=data,
        )

    def to_exception(self) -> HalError:
        """Return an exception of this record's class, to be raised by the caller."""
        cls = error_class(self.kind)
        where = f"{self.source}: {self.text}" if self.source else self.text
        if issubclass(cls, BadInput | StartError):
            return cls(self.text)
        return cls(where, **self.data)


def _plain(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def _format(exc: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exc))
    except Exception as broken:  # noqa: BLE001 - foreign __str__ may do anything
        return f"(traceback cannot be formatted: {type(broken).__name__})"
