"""What is installed: the answer to `hal devices`."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from hal.base import BadInput, Parametrized, StartError, Value
from hal.config.plugins import (
    DRIVERS,
    MODULES,
    WORLDS,
    entry_points,
    find_class,
    is_installed,
)
from hal.devices import Device


class Need(msgspec.Struct, frozen=True):
    """A Python package that a class cannot work without."""

    package: str
    installed: bool


class ParameterInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One declared parameter, told without an instance."""

    name: str
    kind: str
    required: bool
    default: Value | None
    """None where it is required."""
    unit: str = ""
    low: float | str | None = None
    """A number, or the name of the hardware limit that only an instance knows."""
    high: float | str | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    help: str = ""


class PluginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One registered module, driver or world class."""

    name: str
    """Short name, as in XML."""
    group: str
    """`hal.modules`, `hal.drivers` or `hal.worlds`."""
    class_path: str
    summary: str = ""
    """First line of its docstring."""
    kind: str = ""
    """What a driver is (`Camera`), or what kind of driver a module takes."""
    needs: tuple[Need, ...] = ()
    simulated_by: str = ""
    is_simulated: bool = False
    parameters: tuple[ParameterInfo, ...] = ()
    error: str = ""
    """Why it cannot be used; empty if it can be imported."""


def list_plugins() -> tuple[PluginInfo, ...]:
    """Return every registered module, driver and world, broken ones with the reason.

    Imports each class, but touches no hardware and no package it only `needs`.
    """
    return tuple(
        _describe(group, point.name, point.value.replace(":", "."))
        for group in (MODULES, DRIVERS, WORLDS)
        for point in entry_points(group)
    )


def _describe(group: str, name: str, class_path: str) -> PluginInfo:
    try:
        cls = find_class(group, name)
    except (BadInput, StartError) as exc:
        return PluginInfo(name=name, group=group, class_path=class_path, error=str(exc))
    needs: tuple[str, ...] = getattr(cls, "needs", ())
    return PluginInfo(
        name=name,
        group=group,
        class_path=class_path,
        summary=(inspect.getdoc(cls) or "").partition("\n")[0],
        kind=_kind(cls),
        needs=tuple(Need(package, is_installed(package)) for package in needs),
        simulated_by=getattr(cls, "simulated_by", ""),
        is_simulated=getattr(cls, "is_simulated", False),
        parameters=tuple(
            _parameter(cls, parameter) for parameter in cls.parameters().values()
        ),
    )


def _kind(cls: type[Parametrized]) -> str:
    taken = getattr(cls, "driver_kind", None)
    if taken is not None:
        return str(taken.__name__)
    home = Device.__module__.rpartition(".")[0]
    for base in cls.__mro__:
        # A kind leaves something to its drivers; `InWorld` and the like do not.
        if inspect.isabstract(base) and base.__module__.startswith(f"{home}."):
            return base.__name__
    return ""


# Any: parameters of every type are described alike.
def _parameter(cls: type[Parametrized], parameter: Any) -> ParameterInfo:
    return ParameterInfo(
        name=parameter.name,
        kind=parameter.kind,
        required=parameter.required,
        default=None if parameter.required else parameter.default,
        unit=parameter.unit,
        low=_limit(cls, getattr(parameter, "low", None)),
        high=_limit(cls, getattr(parameter, "high", None)),
        choices=getattr(parameter, "choices", ()),
        live=parameter.live,
        help=parameter.help,
    )


def _limit(cls: type[Parametrized], limit: float | str | None) -> float | str | None:
    if isinstance(limit, str):
        of_class = getattr(cls, limit, None)
        return of_class if isinstance(of_class, int | float) else limit
    return limit
