"""Where modules live: as the file says, and where it says nothing, as drivers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hal.base import Parametrized, Value
from hal.config.loader import ISOLATIONS, is_isolation
from hal.config.spec import ModuleSpec, process_name


class Candidate(NamedTuple):
    """A module whose process is to be found."""

    spec: ModuleSpec
    module_class: type[Parametrized]
    driver_class: type[Parametrized] | None
    driver_values: Mapping[str, Value]

    @property
    def declared(self) -> str:
        """What its driver says, or else its class."""
        said = getattr(self.driver_class, "isolation", ISOLATIONS[0])
        own = getattr(self.module_class, "isolation", ISOLATIONS[0])
        return str(own if said == ISOLATIONS[0] else said)

    @property
    def handle(self) -> str:
        """What its driver shares with others."""
        ask = getattr(self.driver_class, "shared_handle", None)
        return "" if ask is None else str(ask(self.driver_values))

    @property
    def stays_because(self) -> str:
        """Why it has to stay in HAL's own process; empty if it has not."""
        return str(getattr(self.module_class, "stays_because", ""))


class Process(NamedTuple):
    """Where a module lives."""

    name: str
    """Empty for HAL's own process."""
    memory_mb: float | None


def find_processes(candidates: Sequence[Candidate]) -> list[Process]:
    """Return the process of each.

    What shares a handle lives in one process: that which the file gives to any of them,
    or the one their drivers name. If one of them has to stay, all do.

    Raises:
        ConfigError: The file separates what shares a handle, at its line.
        StartError: A class declares what cannot be.
    """
    names = {c.spec.name: c.spec.process for c in candidates if c.spec.isolation}
    groups: dict[tuple[str, str, str], list[Candidate]] = {}
    for each in candidates:
        if not is_isolation(each.declared):
            raise each.spec.place.cannot_start(
                f"module '{each.spec.name}': its class declares "
                f"isolation={each.declared!r}: expected none, process or process:NAME"
            )
        if ":" in each.declared:
            key = each.declared, each.handle, ""
        else:
            key = each.declared, "", each.spec.name
        groups.setdefault(key, []).append(each)
    taken = set(names.values())
    for (declared, handle, _), members in groups.items():
        name = _of_group(declared, handle, members, taken)
        taken.add(name)
        names |= {m.spec.name: name for m in members if not m.spec.isolation}
    limits = {c.spec.process: c.spec.memory_mb for c in candidates if c.spec.isolation}
    found = [names[each.spec.name] for each in candidates]
    return [Process(name, limits.get(name) if name else None) for name in found]


def _of_group(
    declared: str, handle: str, members: Sequence[Candidate], taken: set[str]
) -> str:
    """Return where those of a group live of which the file says nothing."""
    told = [member for member in members if member.spec.isolation]
    stays = [m for m in members if m.stays_because and not m.spec.process]
    if handle and told:
        _check_together(told, stays, members)
        return told[0].spec.process
    if stays:
        return ""
    name = process_name(declared, members[0].spec.name)
    # Another handle of the same makers: it need not go down with this one.
    number, wanted = 1, name
    while handle and name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _check_together(
    told: Sequence[Candidate],
    stays: Sequence[Candidate],
    members: Sequence[Candidate],
) -> None:
    """Refuse a file that would have two processes use one handle."""
    first = told[0].spec
    for other in told[1:]:
        if other.spec.process != first.process:
            raise other.spec.place.refuse(
                f"module '{other.spec.name}': isolation={other.spec.isolation!r}: its "
                f"driver shares its instruments with that of '{first.name}': expected "
                f"isolation={first.isolation!r} as there"
            )
    if first.process and stays:
        stay = stays[0]
        raise first.place.refuse(
            f"module '{first.name}': isolation={first.isolation!r}: its driver shares "
            f"its instruments with that of '{stay.spec.name}', which cannot be "
            f'isolated: {stay.stays_because}: expected isolation="none"'
        )
