"""From `<world>` to a class and typed values, and from drivers to their world."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from hal.base import Parametrized, Value, did_you_mean, one_of
from hal.config.plugins import WORLDS, find_class
from hal.config.problems import Problems
from hal.config.spec import HalSpec, WorldSpec
from hal.config.values import Values, probe_driver
from hal.devices import InWorld, SimulatedWorld


class BuiltWorld(msgspec.Struct, frozen=True, kw_only=True):
    """One world, ready to be made."""

    spec: WorldSpec
    world_class: type[SimulatedWorld]
    values: dict[str, Value]
    """Its parameters that differ from their defaults."""


def resolve_worlds(
    spec: HalSpec, problems: Problems | None = None
) -> tuple[BuiltWorld, ...]:
    """Return every world of `spec` with its class and checked values; makes nothing.

    Args:
        spec: What the file says.
        problems: Where to note what is wrong; it is raised if None.

    Raises:
        BadInput: Something the user can correct, at its `file:line`.
        StartError: The class cannot be imported.
    """
    noted = Problems() if problems is None else problems
    built: list[BuiltWorld] = []
    for world in spec.worlds:
        with noted.noted():
            built.append(_built(world))
    if problems is None:
        noted.raise_any()
    return tuple(built)


def check_world(
    driver_class: type[Parametrized], driver: Values, worlds: Collection[str]
) -> None:
    """Refuse a driver that names a world which the file does not have.

    Raises:
        BadInput: Where the driver's `world` is written.
    """
    name = str(driver.checked().get("world", ""))
    if issubclass(driver_class, InWorld) and name and name not in worlds:
        known = f"one of {one_of(worlds)}" if worlds else 'a <world name="..."/>'
        raise driver.place_of("world").refuse(
            f"{driver.label}world='{name}': there is no such world; expected {known} "
            f"in this file{did_you_mean(name, worlds)}"
        )


def _built(world: WorldSpec) -> BuiltWorld:
    label = f"world '{world.name}': "
    cls = find_class(WORLDS, world.class_name, world.place)
    if not issubclass(cls, SimulatedWorld):
        raise world.place.refuse(
            f"{label}class {world.class_name} is no world: expected one derived from "
            f"{SimulatedWorld.__name__}"
        )
    values = Values(cls, world.place, label, probe_driver)
    for name, text in world.attributes.items():
        if name not in values.attributes:
            known = [*values.attributes, "name", "class", "state"]
            raise world.place.refuse(
                f"{label}unknown attribute '{name}': expected one of {one_of(known)}"
                f"{did_you_mean(name, known)}"
            )
        values.put(name, text, world.place)
    return BuiltWorld(spec=world, world_class=cls, values=values.checked())
