"""Every error HAL raises itself, by what the caller can do next.

::

    HalError
    ├── BadInput            the user wrote something wrong: correct it        (exit 2)
    │   ├── ConfigError         at a line of an XML file
    │   ├── ParameterError      a value is unknown, ill-typed or out of limits
    │   ├── PlanError           a plan that cannot be run as written
    │   └── OutputExists        a file is there and may not be replaced
    ├── StartError          HAL cannot start: a package or device is missing  (exit 3)
    ├── DeviceError         the instrument: check it, retry, or go on without
    │   ├── LimitError          target outside travel; nothing has moved
    │   ├── DeviceTimeout       no answer, or not settled, in time
    │   ├── LinkError           the connection failed
    │   ├── Halted              ended by `halt()`
    │   ├── UnsupportedError    this model cannot
    │   └── StateError          not now (closed, busy, hung)
    │       └── Leased              a run holds it: wait, or ask its holder
    ├── StorageError        data could not be written or read back
    │   └── DiskFull            no space: free some, what is stored is readable
    ├── RunError            an acquisition cannot go on
    └── MessageError        what became of a message
        ├── InvalidMessage      its fields break its own schema
        ├── Unhandled           nobody handles it
        ├── Ambiguous           several modules could; name one with `to=`
        ├── WorkerTimeout       its receiver did not end it in time
        ├── ModuleDead          its receiver is gone
        ├── Cancelled           given up on purpose before it ran
        ├── Superseded          a newer one of its kind took its place
        ├── MailboxFull         its receiver cannot keep up
        ├── DeadlockError       its sender and receiver wait for each other
        └── HandlerFailed       the receiver raised something that is not a HalError
"""

from __future__ import annotations

from typing import ClassVar


class HalError(Exception):
    """Base of all errors of HAL: one line of text, and data for programs.

    Its `str` is what a person reads: the text, after the module it comes from.
    """

    severity: ClassVar[str] = "error"
    tells_source: ClassVar[bool] = True
    """Whether a person needs to know the module, besides the text."""
    source: str = ""
    """The module where it happened; empty in that module itself."""
    origin: object = None
    """The `ErrorRecord` it was made from, where it came from elsewhere."""

    def __init__(self, text: str, **data: object) -> None:
        super().__init__(text)
        self.text = text
        self.data = data

    def __str__(self) -> str:
        return with_source(self.source, self.text) if self.tells_source else self.text


def with_source(source: str, text: str) -> str:
    """Return `source: text`; just the text if it begins with that name anyway."""
    rest = text.removeprefix(source)
    begins_with_it = rest != text and not (rest[:1].isalnum() or rest[:1] == "_")
    return f"{source}: {text}" if source and not begins_with_it else text


class _Placed(HalError):
    """An error with a place in a file; its text says what to correct there."""

    tells_source = False
    file: str | None = None
    line: int | None = None

    def __init__(
        self, text: str, *, file: str | None = None, line: int | None = None
    ) -> None:
        place = "" if file is None else f"{file}:{line}: " if line else f"{file}: "
        super().__init__(place + text)
        self.file = file
        self.line = line


class BadInput(_Placed):
    """What the user gave is wrong; `file` and `line` say where, if it has a place."""


class ConfigError(BadInput):
    """An XML file says something that cannot be built."""


class ParameterError(BadInput):
    """A parameter is unknown, ill-typed, outside its limits, or not changeable now."""

    tells_source = True  # several modules have parameters of the same name


class PlanError(BadInput):
    """A plan cannot be run as it is written."""


class OutputExists(BadInput):
    """A file of that name exists, and replacing it was not asked for."""


class StartError(_Placed):
    """HAL cannot start with this configuration on this machine."""


class DeviceError(HalError):
    """An instrument did not do what it was asked."""


class LimitError(DeviceError):
    """The target is outside the travel of the axis; nothing has moved."""


class DeviceTimeout(DeviceError):
    """The instrument did not answer or arrive in time."""


class LinkError(DeviceError):
    """The connection to the instrument failed."""


class Halted(DeviceError):
    """The operation was ended by `halt()`."""


class UnsupportedError(DeviceError):
    """Not something a model of this kind can do."""


class StateError(DeviceError):
    """Not possible now: closed, busy, or hung."""


class Leased(StateError):
    """A run holds the device; `data` names holder and run."""


class StorageError(HalError):
    """Data could not be written, or read back as it was written."""


class DiskFull(StorageError):
    """No space left; what was acknowledged as stored is readable."""


class RunError(HalError):
    """An acquisition cannot go on."""


class MessageError(HalError):
    """What became of a message, where no handler could say it."""


class InvalidMessage(MessageError):
    """A field breaks the message's own schema; nobody received it."""


class Unhandled(MessageError):
    """No module handles this request."""


class Ambiguous(MessageError):
    """Several modules handle this request; name one with `to=`."""


class WorkerTimeout(MessageError):
    """The receiver did not end the message within its deadline."""


class ModuleDead(MessageError):
    """The receiver is gone."""


class Cancelled(MessageError):
    """Given up on purpose before it ran."""

    severity = "warning"


class Superseded(MessageError):
    """A newer message of its kind took its place on the display lane."""

    severity = "warning"


class MailboxFull(MessageError):
    """The receiver has too much to do already; the message was not queued."""


class DeadlockError(MessageError):
    """Modules wait for each other in a circle; `data["path"]` names them."""


class HandlerFailed(MessageError):
    """The receiver raised something that is not a `HalError`: a defect in it."""


class RemoteError(MessageError):
    """An error record of a kind this process does not know."""


def error_class(kind: str) -> type[HalError]:
    """Return the class named `kind` in the tree, or `RemoteError`."""
    pending: list[type[HalError]] = [HalError]
    while pending:
        candidate = pending.pop()
        if candidate.__name__ == kind:
            return candidate
        pending.extend(candidate.__subclasses__())
    return RemoteError
