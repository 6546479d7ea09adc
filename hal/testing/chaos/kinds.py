"""What can be made to go wrong, and in which calls of a driver."""

from __future__ import annotations

import enum
import os
from typing import Final

from hal.base import (
    DeviceError,
    DeviceTimeout,
    LinkError,
    StateError,
)


class FaultKind(enum.StrEnum):
    """One way in which a driver can misbehave."""

    HANG = "hang"
    """The call does nothing for `seconds`; neither `halt` nor `abandon` ends it."""
    SLOW = "slow"
    """The call takes `seconds` longer, and is done then."""
    RAISE = "raise"
    """The call raises `error`, and nothing is done."""
    DISCONNECT = "disconnect"
    """A `LinkError` in this call and all others, until the driver is opened again;
    for `seconds` that fails as well."""
    SEGV = "segv"
    """The process dies of a read at address 0."""
    KILL = "kill"
    """The process is killed (SIGKILL)."""
    EXIT = "exit"
    """The process ends at once, with `code`."""
    STOP = "stop"
    """The process is stopped by a signal (SIGSTOP), and says nothing more."""
    LEAK = "leak"
    """So many `megabytes` more are kept for ever."""
    DROP = "drop"
    """A frame is lost on its way; the camera's counter goes on."""
    REPEAT = "repeat"
    """The frame before is given once more."""
    COUNTER = "counter"
    """A frame has a counter that cannot be."""
    SHAPE = "shape"
    """A frame has another shape than it should."""
    PIXELS = "pixels"
    """A row of a frame has other values; nobody but the report can tell."""
    NO_TRIGGER = "no_trigger"
    """The camera begins, but no frame comes until it is stopped."""
    LIE = "lie"
    """The stage says that it is `um` beside where it is."""


DEADLY: Final = frozenset(
    {FaultKind.SEGV, FaultKind.KILL, FaultKind.EXIT, FaultKind.STOP}
)
"""What ends the process in which it happens."""
OF_FRAMES: Final = frozenset(
    {
        *(FaultKind.DROP, FaultKind.REPEAT, FaultKind.COUNTER),
        *(FaultKind.SHAPE, FaultKind.PIXELS),
    }
)
"""What happens to a frame that has come."""
ERRORS: Final[dict[str, type[Exception]]] = {
    error.__name__: error
    for error in (
        *(DeviceError, DeviceTimeout, LinkError, StateError),
        *(RuntimeError, ValueError, OSError, MemoryError),
    )
}
"""What `raise` may raise."""

READ: Final = "read_into"
REQUEST: Final = "request"
BEGINS: Final = ("start", REQUEST)
ENDS: Final = ("stop", "end_request", "end_requests")
POSITION: Final = "position"

_CAMERA: Final = ("arm", "begin_requests", *BEGINS, READ, *ENDS)
_QUESTIONS: Final = frozenset(
    {
        *("is_moving", "power_mw", "is_on", "is_shutter_open", "slot", "temperature"),
        *("target", POSITION),
    }
)
"""Asked again and again while something is waited for: how often depends on the time,
and so on no seed."""
_NOT_MEANT: Final = _QUESTIONS | {"open", "close", "apply", "halt"}


def calls_of(driver_class: type) -> dict[str, str]:
    """Return the calls of a driver that can go wrong, each with its method's name.

    A call is called as the hook that a driver fills in, without `_do_` and `start_`:
    `move` is `_do_start_move`.
    """
    found = {name: name for name in _CAMERA if hasattr(driver_class, name)}
    for method in dir(driver_class):
        if method.startswith("_do_") and callable(getattr(driver_class, method)):
            call = method.removeprefix("_do_").removeprefix("start_")
            found[call] = method
    # Where nothing else helps any more, it has to work.
    found.pop("abandon", None)
    return found


def usual_calls(kind: str, calls: dict[str, str]) -> frozenset[str]:
    """Return in which of these calls `kind` happens if nobody says in which."""
    if kind in OF_FRAMES:
        wanted = {READ}
    elif kind == FaultKind.NO_TRIGGER:
        wanted = set(BEGINS)
    elif kind == FaultKind.LIE:
        wanted = {POSITION}
    else:
        wanted = set(calls) - _NOT_MEANT
    return frozenset(wanted & set(calls))


def possible_calls(kind: str, calls: dict[str, str]) -> frozenset[str]:
    """Return in which of these calls `kind` can happen."""
    special = kind in OF_FRAMES or kind in (FaultKind.NO_TRIGGER, FaultKind.LIE)
    return usual_calls(kind, calls) if special else frozenset(calls)


def impossible_here(kind: str) -> str:
    """Return why this machine has no such fault; empty if it has."""
    if kind == FaultKind.STOP and os.name == "nt":
        return "Windows has no signal that stops a process"
    return ""
