"""Errors as data: what travels with a message, is logged and shown."""

from __future__ import annotations

import math
import traceback

import msgspec

from hal.base.errors import HalError, error_class, with_source


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One error, as plain data that any process can read.

    A live exception exists only inside the process that raised it; this is what is
    attached to messages, kept in the trace and shown to people. Raised again and
    recorded again, as often as it is passed on, it remains the error of the module
    where it happened; only its traceback grows.

    Its `str` is the line a person reads: the text, after the name of that module.
    """

    kind: str
    """Class name in the tree of `hal.base.errors`, or of a foreign exception."""
    text: str
    """One line for a person."""
    source: str
    """Name of the module (or principal) where it happened; not part of the text."""
    severity: str = "error"
    """`warning` or `error`."""
    traceback: str = ""
    """Formatted stack of the exception; empty where none was raised."""
    dump: str = ""
    """All threads by name, where a hang was detected."""
    data: dict[str, str | int | float | bool | None] = {}

    @classmethod
    def from_exception(cls, exc: BaseException, source: str) -> ErrorRecord:
        """Describe `exc` completely; never raises, whatever `exc` does when printed.

        Args:
            exc: What was raised.
            source: Where it happened, unless `exc` knows better.
        """
        if isinstance(exc, HalError) and isinstance(exc.origin, ErrorRecord):
            return msgspec.structs.replace(exc.origin, traceback=_format(exc))
        data: dict[str, str | int | float | bool | None] = {}
        if isinstance(exc, HalError):
            kind = type(exc).__name__
            text = _text(exc.text) or kind
            source = exc.source or source
            data = {_text(key): _plain(value) for key, value in exc.data.items()}
        else:
            text = _text(exc) or type(exc).__name__
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
        # Past the constructor of its own class: a plugin's may want other arguments.
        exc = cls.__new__(cls, self.text)
        HalError.__init__(exc, self.text)
        exc.data = dict(self.data)
        exc.source = self.source
        exc.origin = self
        if self.traceback:
            exc.add_note(f"It happened in {self.source}:\n{self.traceback}")
        return exc

    def __str__(self) -> str:
        tells_source = error_class(self.kind).tells_source
        return with_source(self.source, self.text) if tells_source else self.text


def _plain(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        # numpy's is a float too, but nothing encodes it; no message takes nan or inf.
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    return _text(value)


def _text(value: object) -> str:
    """Return `str(value)`, made encodable, whatever `value` does when printed."""
    try:
        return _encodable(str(value))
    except Exception as broken:  # noqa: BLE001 - foreign __str__ may do anything
        name, why = type(value).__name__, type(broken).__name__
        return f"{name} (its text is broken: {why})"


def _encodable(text: str) -> str:
    # A file name that is not UTF-8 arrives as lone surrogates, which no wire takes.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _format(exc: BaseException) -> str:
    try:
        return _encodable("".join(traceback.format_exception(exc)))
    except Exception as broken:  # noqa: BLE001 - foreign __str__ may do anything
        return f"(traceback cannot be formatted: {type(broken).__name__})"
