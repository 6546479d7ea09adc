"""How a device can be made safe when the process that drives it no longer can."""

from __future__ import annotations

import re

import msgspec

from hal.base.errors import InvalidMessage

_ENTRY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)


class SafeStateCall(msgspec.Struct, frozen=True):
    """A function that makes one device safe from a process of its own.

    It is called when HAL's process is frozen or dead, in a new Python, with nothing of
    HAL running there. It should open the device anew, switch off, and return; after a
    few seconds it is ended.

    Raises:
        InvalidMessage: Nothing that a new process could be given.
    """

    entry: str
    """`package.module:function`."""
    arguments: dict[str, object] = {}
    """Keyword arguments, plain data: a port's name, a serial number."""
    module: str = ""
    """Name of the module; filled in by the module itself."""

    def __post_init__(self) -> None:
        if not _ENTRY.fullmatch(self.entry):
            raise InvalidMessage(
                f"safe state: expected package.module:function, got '{self.entry}'"
            )
        try:
            msgspec.json.encode(self.arguments)
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise InvalidMessage(
                f"safe state {self.entry}: arguments are not plain data: {exc}"
            ) from exc
