"""Who starts before whom."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from hal.config.spec import HalSpec, ModuleSpec


def start_order(spec: HalSpec) -> tuple[tuple[str, ...], ...]:
    """Return module names in layers: each needs only modules of earlier layers.

    Within a layer names have the order of the file. Stopping goes the other way.

    Raises:
        ConfigError: Modules require each other in a circle; names the circle.
    """
    check_cycles(spec.modules)
    position = {module.name: at for at, module in enumerate(spec.modules)}
    sorter = _sorter(spec.modules)
    sorter.prepare()
    layers: list[tuple[str, ...]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=position.__getitem__)
        layers.append(tuple(ready))
        sorter.done(*ready)
    return tuple(layers)


def check_cycles(modules: Sequence[ModuleSpec]) -> None:
    """Do nothing if an order exists in which the modules can start.

    Raises:
        ConfigError: At the first module of a circle, which it names.
    """
    try:
        _sorter(modules).prepare()
    except CycleError as exc:
        # graphlib tells it from the required to the requiring, first name repeated.
        circle: list[str] = list(reversed(exc.args[1]))[1:]
    else:
        return
    first = next(module for module in modules if module.name in circle)
    at = circle.index(first.name)
    path = [*circle[at:], *circle[:at], first.name]
    raise first.place.refuse(
        f"modules cannot require each other in a circle: {' requires '.join(path)}"
    )


def _sorter(modules: Sequence[ModuleSpec]) -> TopologicalSorter[str]:
    return TopologicalSorter({module.name: module.requires for module in modules})
