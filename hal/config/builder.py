"""From a `HalSpec` to classes and typed values: everything HAL needs to start.

What is said later wins: XML, then the settings file, then `--set`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from hal.base import (
    BadInput,
    Parametrized,
    StartError,
    Value,
    did_you_mean,
    one_of,
)
from hal.config.changes import Change, parse_overrides, read_settings
from hal.config.loader import RESERVED
from hal.config.place import Place
from hal.config.plugins import DRIVERS, MODULES, find_class, first_missing
from hal.config.problems import Problems
from hal.config.processes import Candidate, find_processes
from hal.config.spec import DriverSpec, HalSpec, ModuleSpec
from hal.config.values import Values, probe_driver, probe_module
from hal.config.worlds import check_world, resolve_worlds
from hal.devices import Device


class BuiltModule(msgspec.Struct, frozen=True, kw_only=True):
    """One module, ready to be made: its classes are imported, its values checked."""

    spec: ModuleSpec
    module_class: type[Parametrized]
    values: dict[str, Value]
    """Parameters of the module that differ from their defaults."""
    driver_class: type[Parametrized] | None = None
    """The simulator, under `--simulation`."""
    driver_values: dict[str, Value] = {}
    """Parameters of the driver that differ from their defaults."""
    is_simulated: bool = False
    """Whether the driver only pretends to be an instrument."""
    process: str = ""
    """Name of the process it lives in; empty for HAL's own."""
    memory_mb: float | None = None
    """Most memory of that process, megabytes; None for no limit."""


def resolve(
    spec: HalSpec,
    overrides: Iterable[str] = (),
    settings: str | Path | None = None,
    simulation: bool = False,
) -> tuple[BuiltModule, ...]:
    """Return every module of `spec` with its classes and checked values.

    Imports the classes and makes one driver of each, which touches no hardware, so
    that limits and their fit to each other are checked as well. Modules that no file
    names take part if their `ModuleSpec` was added to `spec.modules`.

    Args:
        spec: What the file says.
        overrides: Texts of `--set`, `MODULE.PARAM=VALUE`.
        settings: Path of a settings file.
        simulation: Replace each driver by the one it names as `simulated_by`. Values
            the simulator has no parameter for are dropped with a warning.

    Raises:
        BadInput: Something the user can correct, at its `file:line` or `--set`;
            `ConfigErrors` when there is more than one thing to say.
        StartError: A package is missing, a plugin is broken, or a driver has no
            simulation.
    """
    problems = Problems()
    changes: list[Change] = []
    if settings is not None:
        changes += read_settings(settings)
    changes += parse_overrides(overrides, problems)
    by_module: dict[str, list[Change]] = {module.name: [] for module in spec.modules}
    for change in changes:
        if change.module in by_module:
            by_module[change.module].append(change)
        else:
            problems.add(
                change.place.refuse(
                    f"unknown module '{change.module}': expected one of "
                    f"{one_of(by_module)}{did_you_mean(change.module, by_module)}"
                )
            )
    resolve_worlds(spec, problems)
    worlds = [world.name for world in spec.worlds]
    resolver = _Resolver(simulation, worlds, problems)
    built: list[BuiltModule] = []
    for module in spec.modules:
        with problems.noted():
            built.append(resolver.build(module, by_module[module.name]))
    problems.raise_any()
    processes = find_processes(
        [
            Candidate(b.spec, b.module_class, b.driver_class, b.driver_values)
            for b in built
        ]
    )
    return tuple(
        msgspec.structs.replace(module, process=where.name, memory_mb=where.memory_mb)
        for module, where in zip(built, processes, strict=True)
    )


class _Resolver:
    """Builds module after module; imports each class once."""

    def __init__(self, simulation: bool, worlds: list[str], problems: Problems) -> None:
        self._simulation = simulation
        self._worlds = worlds
        self._problems = problems
        self._classes: dict[tuple[str, str], type[Parametrized]] = {}

    def build(self, module: ModuleSpec, changes: list[Change]) -> BuiltModule:
        before = len(self._problems)
        label = f"module '{module.name}': "
        module_class = self._module_class(module)
        own = Values(module_class, module.place, label, probe_module)
        driver_class: type[Parametrized] | None = None
        driver: Values | None = None
        if module.driver is not None:
            kind = _driver_kind(module, module.driver, module_class)
            named = self._named_driver(module, module.driver, kind)
            driver_class = self._used_driver(module, module.driver, named, kind)
            note = "" if driver_class is named else f"({driver_class.__name__}) "
            driver = Values(
                driver_class,
                module.driver.place,
                f"{label}driver {note}",
                probe_driver,
                named,
            )
            self._take_attributes(driver, module.driver.attributes, module.driver.place)
        self._take_attributes(own, module.attributes, module.place, driver)
        for change in changes:
            with self._problems.noted():
                _values_for(change, own, driver).put(
                    change.parameter, change.text, change.place
                )
        values: dict[str, Value] = {}
        driver_values: dict[str, Value] = {}
        # A value that could not be read would show up again, as missing.
        if len(self._problems) == before:
            with self._problems.noted():
                values = own.checked()
            if driver is not None and driver_class is not None:
                driver_values = driver.checked()
                check_world(driver_class, driver, self._worlds)
        return BuiltModule(
            spec=module,
            module_class=module_class,
            values=values,
            driver_class=driver_class,
            driver_values=driver_values,
            is_simulated=bool(getattr(driver_class, "is_simulated", False)),
        )

    def _module_class(self, module: ModuleSpec) -> type[Parametrized]:
        cls = self._find(MODULES, module.class_name, module.place)
        label = f"module '{module.name}': class {module.class_name}"
        if issubclass(cls, Device):
            raise module.place.refuse(
                f"{label} is a driver: expected a module class here, and the driver in "
                f'<driver class="{module.class_name}"/>'
            )
        for name in RESERVED:
            if name in cls.parameters():
                raise module.place.cannot_start(
                    f"{label} declares a parameter '{name}': expected another name, "
                    "because that attribute belongs to HAL"
                )
        _check_needs(cls, label, module.place)
        stays_because = getattr(cls, "stays_because", "")
        if module.process and stays_because:
            raise module.place.refuse(
                f"{label} cannot be isolated: {stays_because}: expected "
                'isolation="none"'
            )
        kind = getattr(cls, "driver_kind", None)
        if kind is not None and module.driver is None:
            raise module.place.refuse(
                f"{label} needs a <driver> of kind {kind.__name__}: there is none"
            )
        return cls

    def _named_driver(
        self, module: ModuleSpec, driver: DriverSpec, kind: type
    ) -> type[Parametrized]:
        cls = self._find(DRIVERS, driver.class_name, driver.place)
        if not issubclass(cls, kind):
            raise driver.place.refuse(
                f"module '{module.name}': driver {driver.class_name} is not of kind "
                f"{kind.__name__}, which {module.class_name} expects"
            )
        return cls

    def _used_driver(
        self,
        module: ModuleSpec,
        driver: DriverSpec,
        named: type[Parametrized],
        kind: type,
    ) -> type[Parametrized]:
        label = f"module '{module.name}': driver {driver.class_name}"
        if not self._simulation or getattr(named, "is_simulated", False):
            _check_needs(named, label, driver.place)
            return named
        substitute = getattr(named, "simulated_by", "")
        if not substitute:
            raise driver.place.cannot_start(
                f"{label} has no simulation: it declares no simulated_by"
            )
        try:
            cls = self._find(DRIVERS, substitute, Place())
        except (BadInput, StartError) as exc:
            raise driver.place.cannot_start(f"{label}: its simulation: {exc}") from exc
        if not getattr(cls, "is_simulated", False) or not issubclass(cls, kind):
            raise driver.place.cannot_start(
                f"{label}: its simulation {substitute} is not a simulated "
                f"{kind.__name__}"
            )
        return cls

    def _find(self, group: str, name: str, place: Place) -> type[Parametrized]:
        key = (group, name)
        if key not in self._classes:
            self._classes[key] = find_class(group, name, place)
        return self._classes[key]

    def _take_attributes(
        self,
        values: Values,
        attributes: Mapping[str, str],
        place: Place,
        driver: Values | None = None,
    ) -> None:
        known = values.attributes if driver is None else [*values.attributes, *RESERVED]
        for name, text in attributes.items():
            with self._problems.noted():
                if name in values.attributes:
                    values.put(name, text, place)
                    continue
                if driver is not None and name in driver.attributes:
                    hint = "; it belongs to the driver: write it in <driver>"
                else:
                    hint = did_you_mean(name, known)
                raise place.refuse(
                    f"{values.label}unknown attribute '{name}': expected one of "
                    f"{one_of(known)}{hint}"
                )


def _driver_kind(
    module: ModuleSpec, driver: DriverSpec, module_class: type[Parametrized]
) -> type:
    kind: type | None = getattr(module_class, "driver_kind", None)
    if kind is None:
        raise driver.place.refuse(
            f"module '{module.name}': class {module.class_name} takes no driver: "
            "expected no <driver>"
        )
    return kind


def _values_for(change: Change, own: Values, driver: Values | None) -> Values:
    """Return whose parameter `change` means."""
    in_driver = driver is not None and change.parameter in driver.all
    if change.parameter in own.all:
        if in_driver:
            raise change.place.refuse(
                f"both module '{change.module}' and its driver have a parameter "
                f"'{change.parameter}': set it in the configuration file"
            )
        return own
    if driver is not None and in_driver:
        return driver
    known = [*own.all, *(driver.all if driver is not None else ())]
    raise change.place.refuse(
        f"unknown parameter '{change.parameter}' of module '{change.module}': expected "
        f"one of {one_of(known)}{did_you_mean(change.parameter, known)}"
    )


def _check_needs(cls: type[Parametrized], label: str, place: Place) -> None:
    missing = first_missing(getattr(cls, "needs", ()))
    if missing is not None:
        raise place.cannot_start(
            f"{label} needs the package '{missing}', which is not installed"
        )
