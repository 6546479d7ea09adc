"""What a configuration file says, as records: checked for form, not yet for meaning."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hal.config.place import Place
from hal.config.xml import Element


class DriverSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One `<driver>`: which class, and its parameters as text."""

    class_name: str
    """Short name of a plugin, or the dotted path of a class."""
    file: str = ""
    line: int = 0
    attributes: dict[str, str] = {}

    @property
    def place(self) -> Place:
        """Where it is written."""
        return Place(self.file, self.line)


class ModuleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One `<module>`; HAL makes such records itself for modules no file names."""

    name: str
    class_name: str
    """Short name of a plugin, or the dotted path of a class."""
    file: str = ""
    line: int = 0
    attributes: dict[str, str] = {}
    """The module's own parameters as text."""
    driver: DriverSpec | None = None
    requires: tuple[str, ...] = ()
    """Names of modules that start before this one and stop after it."""
    deadline_s: float | None = None
    """Deadline of its handlers and jobs, seconds; None for the usual one."""
    isolation: str = ""
    """`none`: runs in HAL's own process; `process`: in one of its own, or in the one
    named after a colon, with all others that name it; empty: as its driver says."""
    memory_mb: float | None = None
    """Most memory of its process, megabytes; None for no limit."""
    restart: str = "one_for_one"
    """Who begins anew when it hangs or dies: it alone, or also all that require it."""

    @property
    def place(self) -> Place:
        """Where it is written."""
        return Place(self.file, self.line)

    @property
    def process(self) -> str:
        """Name of the process the file gives it; empty for HAL's own, or none said."""
        return process_name(self.isolation, self.name)


def process_name(isolation: str, module: str) -> str:
    """Return the process that `isolation` means for `module`; empty for HAL's own."""
    kind, _, name = isolation.partition(":")
    return "" if kind in ("", "none") else name or module


class WorldSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One `<world>`: a simulated sample that drivers share."""

    name: str
    class_name: str
    """Short name of a plugin, or the dotted path of a class."""
    file: str = ""
    line: int = 0
    attributes: dict[str, str] = {}
    """The world's parameters as text."""
    state: Path | None = None
    """Absolute path of the file that keeps its state; None for one that HAL removes."""

    @property
    def place(self) -> Place:
        """Where it is written."""
        return Place(self.file, self.line)


class HalSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One whole file."""

    name: str
    directory: Path
    """Absolute path of the folder for data; `~` is resolved."""
    file: str
    modules: tuple[ModuleSpec, ...]
    """In the order of the file."""
    worlds: tuple[WorldSpec, ...] = ()
    """Likewise."""
    chaos: Element | None = None
    """What is to go wrong on purpose, as it is written; None for nothing."""
