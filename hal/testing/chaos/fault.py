"""One fault as data: what, where, and when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from hal.base import (
    Choice,
    Float,
    Int,
    ParameterError,
    Parametrized,
    Text,
    Value,
    did_you_mean,
    one_of,
)
from hal.config import Place
from hal.testing.chaos.kinds import (
    DEADLY,
    ERRORS,
    FaultKind,
    calls_of,
    impossible_here,
    possible_calls,
)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is to go wrong; see `FaultKind` for what it takes.

    It happens in call number `at`, or in each call with a `probability`; a fault that
    is ordered while HAL runs needs neither.
    """

    module: str
    """Whose driver."""
    kind: str
    """A `FaultKind`."""
    call: str = ""
    """In which call; in all that are no questions, or that are meant, if empty."""
    probability: float = 0.0
    at: tuple[int, ...] = ()
    """Numbers of calls, from 1, counted on when the module begins anew."""
    times: int = 0
    """It happens no more often than this; 0 for no limit."""
    seconds: float | None = None
    error: str = "DeviceError"
    um: float = 10.0
    megabytes: float = 10.0
    code: int = 1
    file: str = ""
    line: int = 0

    @property
    def place(self) -> Place:
        """Where it is written."""
        return Place(self.file, self.line)

    def lasts_s(self, usual_s: float) -> float:
        """Return its `seconds`; `usual_s` if it names none."""
        return usual_s if self.seconds is None else self.seconds


class ChaosPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All faults that are to be caused, and the seed of what is left to chance."""

    seed: int = 1
    faults: tuple[Fault, ...] = ()
    file: str = ""


class FaultSettings(Parametrized):
    """What may stand in a `<fault>`."""

    module = Text(help="Whose driver misbehaves.")
    kind = Choice(choices=tuple(FaultKind), help="How.")
    call = Text("", help="In which call of the driver.")
    probability = Float(0.0, low=0.0, high=1.0, help="How likely in each call.")
    at = Text("", help="Numbers of calls, from 1, separated by commas.")
    times = Int(0, low=0, help="How often at the most; 0 for no limit.")
    seconds = Float(0.0, unit="s", low=0.0, high=1e6, help="How long.")
    error = Choice("DeviceError", choices=tuple(ERRORS), help="What is raised.")
    um = Float(10.0, unit="um", low=-1e6, high=1e6, help="How far beside the truth.")
    megabytes = Float(10.0, low=1e-3, high=1e5, help="How much memory is lost.")
    code = Int(1, low=0, high=255, help="How the process ends.")


def make_fault(values: Mapping[str, Value], place: Place | None = None) -> Fault:
    """Return the fault that these values describe.

    Raises:
        ParameterError: A value is unknown, missing, ill-typed or out of limits.
    """
    settings = FaultSettings(**values)
    found = settings.values()
    at = _numbers(str(found["at"]))
    if "seconds" not in values:
        found.pop("seconds")
    place = place or Place()
    return msgspec.convert(
        {**found, "at": at, "file": place.file, "line": place.line}, Fault
    )


def check_when(fault: Fault) -> None:
    """Refuse a fault that would never happen, or does not know when.

    Raises:
        ParameterError: Neither a probability nor a number of a call, or both.
    """
    if fault.at and fault.probability:
        raise ParameterError("at and probability: expected one of them")
    if not fault.at and not fault.probability:
        raise ParameterError(
            "it would never happen: expected a probability above 0, or at=NUMBER"
        )


def check_fault(
    fault: Fault, drivers: Mapping[str, type], isolated: frozenset[str]
) -> None:
    """Refuse a fault that these drivers cannot have.

    Args:
        fault: What is wanted.
        drivers: The driver of each module that has one.
        isolated: The modules in processes of their own.

    Raises:
        ParameterError: There is no such module, kind or call, or HAL itself would die.
    """
    name, kind = fault.module, fault.kind
    driver_class = drivers.get(name)
    if driver_class is None:
        raise ParameterError(
            f"module='{name}': expected a module with a driver, one of "
            f"{one_of(drivers)}{did_you_mean(name, drivers)}"
        )
    if kind not in tuple(FaultKind):
        raise ParameterError(
            f"kind='{kind}': expected one of {one_of(FaultKind)}"
            f"{did_you_mean(kind, FaultKind)}"
        )
    why = impossible_here(kind)
    if why:
        raise ParameterError(f"kind='{kind}': {why}")
    if fault.error not in ERRORS:
        raise ParameterError(
            f"error='{fault.error}': expected one of {one_of(ERRORS)}"
            f"{did_you_mean(fault.error, ERRORS)}"
        )
    possible = possible_calls(kind, calls_of(driver_class))
    if not possible:
        raise ParameterError(
            f"kind='{kind}': the driver of '{name}' is no device that can do so"
        )
    if fault.call and fault.call not in possible:
        raise ParameterError(
            f"call='{fault.call}': expected a call of '{name}' in which '{kind}' can "
            f"happen, one of {one_of(possible)}{did_you_mean(fault.call, possible)}"
        )
    if kind in DEADLY and name not in isolated:
        raise ParameterError(
            f"kind='{kind}' ends the process it happens in, and module '{name}' lives "
            f'in HAL\'s own: expected isolation="process" for it in the configuration'
        )


def _numbers(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(word.isascii() and word.isdecimal() and int(word) for word in words):
        raise ParameterError(
            f"at={text!r}: expected numbers of calls, from 1, separated by commas"
        )
    return tuple(sorted({int(word) for word in words}))


class Arrangement(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver of one module has to know; it travels as text."""

    module: str
    seed: int
    folder: str = ""
    """Where is counted and noted, by all processes; in memory if empty."""
    faults: tuple[Fault, ...] = ()

    @property
    def text(self) -> str:
        """All of it, in one line."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, text: str) -> Arrangement:
        """Return what `text` was; nothing goes wrong if it is empty."""
        if not text:
            return cls(module="", seed=0)
        return msgspec.json.decode(text, type=cls)

    def path(self, what: str) -> Path | None:
        """Return a file of this module; None in memory."""
        return Path(self.folder) / f"{self.module}.{what}" if self.folder else None

    @property
    def journal(self) -> Path | None:
        """The file in which all modules note what went wrong; None in memory."""
        return Path(self.folder) / JOURNAL if self.folder else None


JOURNAL = "journal.jsonl"
