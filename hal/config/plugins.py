"""Finding the classes that a configuration names.

A package offers classes under short names, in its own `pyproject.toml`::

    [project.entry-points."hal.drivers"]
    "acme.camera" = "hal_acme.camera:AcmeCamera"

Any importable class can also be named by its dotted path, without registration.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from importlib import metadata

from hal.base import ErrorRecord, Parametrized, did_you_mean, one_of
from hal.config.place import Place

MODULES = "hal.modules"
"""Entry point group of what `<module class=...>` may name."""
DRIVERS = "hal.drivers"
"""Entry point group of what `<driver class=...>` may name."""

WORLDS = "hal.worlds"
"""Entry point group of what `<world class=...>` may name."""

_KINDS = {MODULES: "module", DRIVERS: "driver", WORLDS: "world"}


def entry_points(group: str) -> tuple[metadata.EntryPoint, ...]:
    """Return what installed packages register under `group`, by name."""
    found = metadata.entry_points(group=group)
    return tuple(sorted(found, key=lambda point: (point.name, point.value)))


def find_class(group: str, name: str, place: Place | None = None) -> type[Parametrized]:
    """Return the class that `name` means in `group` (`MODULES`, ...).

    Imports the file the class is in, and so runs what stands at its top level.

    Args:
        group: Where short names are looked up.
        name: A short name, or the dotted path of a class.
        place: Where the name is written, for errors.

    Raises:
        ConfigError: No such class, two packages claim the name, or it is not a class
            with parameters.
        StartError: It exists but cannot be imported, for example because a package is
            missing.
    """
    place = place or Place()
    kind = _KINDS[group]
    points = [point for point in entry_points(group) if point.name == name]
    targets = {point.value for point in points}
    if len(targets) > 1:
        raise place.refuse(
            f"{kind} class '{name}' is registered twice, as {one_of(targets)}: "
            "expected one; write the dotted path of the one you mean"
        )
    if points:
        found = _imported(points[0].load, f"{kind} class '{name}'", place)
    else:
        found = _by_path(group, name, place)
    if not inspect.isclass(found) or not issubclass(found, Parametrized):
        raise place.refuse(
            f"{kind} class '{name}' is {_described(found)}: expected a class that is a "
            f"HAL {kind}"
        )
    if inspect.isabstract(found):
        lacking = one_of(getattr(found, "__abstractmethods__", ()))
        raise place.refuse(
            f"{kind} class '{name}' is not complete: expected it to define {lacking}"
        )
    return found


def is_installed(package: str) -> bool:
    """Return whether `package` could be imported; does not import it."""
    # Only the first part: looking for a part inside would import what is around it.
    top = package.partition(".")[0]
    if sys.modules.get(top) is not None:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def first_missing(needs: tuple[str, ...]) -> str | None:
    """Return the first of `needs` that is not installed."""
    return next((package for package in needs if not is_installed(package)), None)


def _by_path(group: str, name: str, place: Place) -> object:
    module_name, _, class_name = name.rpartition(".")
    if not module_name or not all(part.isidentifier() for part in name.split(".")):
        raise place.refuse(_unknown(group, name, ""))
    label = f"{_KINDS[group]} class '{name}'"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name and f"{module_name}.".startswith(f"{exc.name}."):
            why = f"; as a dotted path: no module '{exc.name}'"
            raise place.refuse(_unknown(group, name, why)) from exc
        raise _not_imported(exc, label, place) from exc
    except (Exception, SystemExit) as exc:  # foreign code: anything
        raise _not_imported(exc, label, place) from exc
    if not hasattr(module, class_name):
        near = did_you_mean(class_name, vars(module))
        why = f"; as a dotted path: module '{module_name}' has no '{class_name}'{near}"
        raise place.refuse(_unknown(group, name, why))
    return getattr(module, class_name)


def _imported(load: Callable[[], object], label: str, place: Place) -> object:
    try:
        return load()
    except (Exception, SystemExit) as exc:  # foreign code: anything
        raise _not_imported(exc, label, place) from exc


def _not_imported(exc: BaseException, label: str, place: Place) -> Exception:
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        return place.cannot_start(
            f"{label} needs the package '{exc.name}', which is not installed"
        )
    # The record's text survives an exception whose own text is broken.
    return place.cannot_start(
        f"{label} cannot be imported: {ErrorRecord.from_exception(exc, '').text}"
    )


def _unknown(group: str, name: str, why: str) -> str:
    kind = _KINDS[group]
    for other in _KINDS.keys() - {group}:
        if any(point.name == name for point in entry_points(other)):
            return (
                f"'{name}' is a {_KINDS[other]} class: expected a {kind} class in "
                f"<{kind}>"
            )
    known = [point.name for point in entry_points(group)]
    if not known:
        known_text = "no name is registered (is HAL installed in this Python?)"
    else:
        known_text = f"known are {one_of(known)}"
    return (
        f"unknown {kind} class '{name}': expected a registered name or the dotted path "
        f"of a class; {known_text}{why}{did_you_mean(name, known)}"
    )


def _described(found: object) -> str:
    if inspect.isclass(found):
        return f"the class {found.__name__}, which has no parameters"
    return f"a {type(found).__name__}"
