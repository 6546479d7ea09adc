"""A microscope on which things go wrong on purpose."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from hal.base import DeviceError, ParameterError, new_ulid
from hal.config import BuiltModule, HalSpec, ModuleSpec
from hal.config.problems import Problems
from hal.devices import Device
from hal.testing.chaos.chaos_file import refused
from hal.testing.chaos.fault import (
    JOURNAL,
    Arrangement,
    ChaosPlan,
    Fault,
    check_fault,
)
from hal.testing.chaos.faulty import ARRANGEMENT, faulty_class
from hal.testing.chaos.journal import Caused, Journal
from hal.testing.chaos.module import ChaosModule, Orders

CHAOS: Final = "chaos"
"""Name of the module that takes orders."""


def check_chaos(chaos: ChaosPlan, modules: Iterable[BuiltModule]) -> None:
    """Refuse faults that these modules cannot have.

    Raises:
        ConfigError: At the line of the fault; `ConfigErrors` for several.
    """
    built = tuple(modules)
    drivers, isolated = _drivers(built), _isolated(built)
    problems = Problems()
    for module in built:
        if module.spec.name == CHAOS:
            text = f"module '{CHAOS}': this name is taken while faults are caused"
            problems.add(module.spec.place.refuse(f"{text}; choose another"))
    for fault in chaos.faults:
        try:
            check_fault(fault, drivers, isolated)
        except ParameterError as exc:
            problems.add(refused(fault.place, exc))
    problems.raise_any()


class Rehearsal(Orders):
    """The modules of a HAL with drivers that misbehave, and what they have done.

    All drivers can be told to misbehave while HAL runs; those that the plan names do so
    by themselves.

    Runs on: any; `begin` before the modules are made.
    """

    def __init__(
        self, chaos: ChaosPlan, modules: Iterable[BuiltModule], log_folder: Path
    ) -> None:
        """Arrange it; nothing is made.

        Args:
            chaos: What is to go wrong; checked with `check_chaos`.
            modules: Those of HAL.
            log_folder: Where a folder is made for all that is noted.
        """
        self.chaos = chaos
        self.folder = log_folder / f"chaos_{new_ulid().lower()[-8:]}"
        built = tuple(modules)
        self._drivers, self._isolated = _drivers(built), _isolated(built)
        self._journal = Journal(self.folder / JOURNAL)
        spec = ModuleSpec(name=CHAOS, class_name=CHAOS)
        taker = BuiltModule(spec=spec, module_class=ChaosModule, values={})
        self.modules = (*map(self._arranged, built), taker)
        """The same modules, with what takes orders."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """The modules that own a camera."""
        return tuple(
            name for name, cls in self._drivers.items() if hasattr(cls, "read_into")
        )

    def with_module(self, spec: HalSpec) -> HalSpec:
        """Return a configuration that has the module which takes orders."""
        taker = self.modules[-1].spec
        return msgspec.structs.replace(spec, modules=(*spec.modules, taker))

    def begin(self) -> None:
        """Make the folder.

        Raises:
            OSError: It cannot be made.
        """
        self.folder.mkdir(parents=True)

    def caused(self) -> list[Caused]:
        """Return what went wrong so far, and the first good frames afterwards."""
        return self._journal.read()

    def order(self, fault: Fault) -> None:
        """Have something go wrong in the next call that it is meant for.

        Raises:
            ParameterError: That cannot be.
            DeviceError: It cannot be passed on.
        """
        check_fault(fault, self._drivers, self._isolated)
        line = msgspec.json.encode(fault) + b"\n"
        path = self.folder / f"{fault.module}.orders"
        try:
            with path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as exc:
            raise DeviceError(f"chaos: {path} cannot be written: {exc}") from exc

    def _arranged(self, module: BuiltModule) -> BuiltModule:
        name = module.spec.name
        driver_class = self._drivers.get(name)
        if driver_class is None:
            return module
        arrangement = Arrangement(
            module=name,
            seed=self.chaos.seed,
            folder=str(self.folder),
            faults=tuple(f for f in self.chaos.faults if f.module == name),
        )
        values = {**module.driver_values, ARRANGEMENT: arrangement.text}
        return msgspec.structs.replace(
            module, driver_class=faulty_class(driver_class), driver_values=values
        )


def _drivers(modules: Iterable[BuiltModule]) -> dict[str, type]:
    return {
        module.spec.name: module.driver_class
        for module in modules
        if module.driver_class is not None and issubclass(module.driver_class, Device)
    }


def _isolated(modules: Iterable[BuiltModule]) -> frozenset[str]:
    return frozenset(module.spec.name for module in modules if module.process)
