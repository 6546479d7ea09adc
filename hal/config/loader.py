"""Reading a configuration file into a `HalSpec`, and saying all that is wrong in it.

::

    <hal name="My microscope" directory="~/hal-data">
      <world name="sample" seed="1"/>
      <module name="camera1" class="cameras.camera" deadline_s="5" requires="stage">
        <driver class="simulation.camera" world="sample" exposure_s="0.05"/>
      </module>
    </hal>
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from hal.base import CLI, HAL, MODULE_NAME, BadInput, did_you_mean, one_of
from hal.config.form import check_attributes, check_no_text
from hal.config.order import check_cycles
from hal.config.problems import Problems
from hal.config.spec import DriverSpec, HalSpec, ModuleSpec, WorldSpec
from hal.config.xml import Element, read_xml
from hal.kernel import Strategy

RESERVED = (
    *("name", "class", "deadline_s", "requires", "isolation", "memory_mb", "restart"),
)
"""Attributes of `<module>` that belong to HAL; all others are the module's own."""
WORLD_CLASS = "simulation.world"
"""What a `<world>` is that names no class."""
CHAOS = "chaos"
"""The element of a configuration that says what is to go wrong on purpose."""
ISOLATIONS = ("none", "process")
"""What `isolation` may be; also `process:NAME`."""
STRATEGIES = tuple(str(strategy) for strategy in Strategy)
"""What `restart` may be."""
MAX_NAME = 64
"""Longest name of a module."""
MIN_MEMORY_MB = 100.0
"""With less, a process cannot even load the kernel and numpy."""
MAX_DEADLINE_S = 1e6
"""Longest deadline, seconds (eleven days): waits beyond it overflow on some systems."""


def load(path: str | Path) -> HalSpec:
    """Return what the configuration file at `path` says; imports and builds nothing.

    A relative `directory` is meant from the folder of the file, so that it does not
    depend on where HAL was started.

    Raises:
        ConfigError: Not readable, not XML, or not the form above, as `file:line: what`;
            `ConfigErrors` when there is more than one thing to say.
    """
    root = read_xml(path)
    if root.tag != "hal":
        raise root.place.refuse(
            f"the outermost element is <{root.tag}>: expected <hal>, as in "
            '<hal name="My microscope" directory="~/hal-data">'
        )
    problems = Problems()
    check_attributes(root, ("name", "directory"), problems)
    check_no_text(root, problems)
    name, directory = "", Path()
    with problems.noted():
        name = _required(root, "name", "a name for people")
    with problems.noted():
        directory = _path(root, "directory", "the folder for data", Path(path))
    modules = _modules(root, problems)
    worlds = _worlds(root, Path(path), modules, problems)
    chaos = _chaos(root, problems)
    problems.raise_any()
    check_cycles(modules)
    _check_memory(modules)
    return HalSpec(
        name=name,
        directory=directory,
        file=root.place.file,
        modules=tuple(modules),
        worlds=worlds,
        chaos=chaos,
    )


def _chaos(root: Element, problems: Problems) -> Element | None:
    """Return what is to go wrong; whoever causes it reads it."""
    found = [child for child in root.children if child.tag == CHAOS]
    for another in found[1:]:
        problems.add(
            another.place.refuse(
                f"a second <{CHAOS}>: expected one (the first is at line "
                f"{found[0].place.line})"
            )
        )
    return found[0] if found else None


def _worlds(
    root: Element, path: Path, modules: list[ModuleSpec], problems: Problems
) -> tuple[WorldSpec, ...]:
    worlds: list[WorldSpec] = []
    taken = {module.name: ("a module", module.line) for module in modules}
    for element in root.children:
        if element.tag != "world":
            continue
        with problems.noted():
            world = _world(element, path, problems)
            if world.name in taken:
                what, line = taken[world.name]
                raise element.place.refuse(
                    f"world name '{world.name}' is used by {what} at line {line}: "
                    "expected a name of its own"
                )
            taken[world.name] = "a world", element.place.line
            worlds.append(world)
    return tuple(worlds)


def _world(element: Element, path: Path, problems: Problems) -> WorldSpec:
    name = _required(element, "name", "a name like sample")
    label = f"world '{name}': "
    if not MODULE_NAME.match(name) or len(name) > MAX_NAME:
        raise element.place.refuse(
            f"world name {name!r}: expected small letters, digits and _, first a "
            f"letter, at most {MAX_NAME} of them"
        )
    check_no_text(element, problems, label)
    for child in element.children:
        problems.add(_unknown_element(child, element, (), label))
    state = None
    if "state" in element.attributes:
        state = _path(element, "state", "a file to keep the world's state in", path)
    class_name = element.attributes.get("class", WORLD_CLASS)
    reserved = ("name", "class", "state")
    return WorldSpec(
        name=name,
        class_name=class_name,
        file=element.place.file,
        line=element.place.line,
        attributes={k: v for k, v in element.attributes.items() if k not in reserved},
        state=state,
    )


def _modules(root: Element, problems: Problems) -> list[ModuleSpec]:
    modules: list[ModuleSpec] = []
    lines: dict[str, int] = {}
    elements = [e for e in root.children if e.tag == "module"]
    names = {element.attributes.get("name", "") for element in elements}
    for child in root.children:
        if child.tag in ("world", CHAOS):
            continue
        if child.tag != "module":
            problems.add(_unknown_element(child, root, ("module", "world", CHAOS)))
            continue
        with problems.noted():
            module = _module(child, problems)
            if module.name in lines:
                raise child.place.refuse(
                    f"module name '{module.name}' is used twice: first at line "
                    f"{lines[module.name]}; expected a name of its own"
                )
            lines[module.name] = child.place.line
            _check_requires(module, names)
            modules.append(module)
    if all(child.tag in ("world", CHAOS) for child in root.children):
        problems.add(
            root.place.refuse("<hal> has no modules: expected at least one <module>")
        )
    return modules


def _check_memory(modules: list[ModuleSpec]) -> None:
    """Refuse two limits for one process."""
    limits: dict[str, ModuleSpec] = {}
    for module in modules:
        first = limits.setdefault(module.process, module)
        if module.process and first.memory_mb != module.memory_mb:
            raise module.place.refuse(
                f"module '{module.name}': memory_mb is not that of '{first.name}', "
                f"which shares process '{module.process}': expected the same"
            )


def _module(element: Element, problems: Problems) -> ModuleSpec:
    name = _required(element, "name", "a name like camera1")
    if not MODULE_NAME.match(name) or len(name) > MAX_NAME or name in (CLI, HAL):
        raise element.place.refuse(
            f"module name {name!r}: expected small letters, digits and _, first a "
            f"letter, at most {MAX_NAME} of them, and not '{CLI}' or '{HAL}'"
        )
    label = f"module '{name}': "
    check_no_text(element, problems, label)
    drivers: list[DriverSpec] = []
    for child in element.children:
        with problems.noted():
            if child.tag != "driver":
                raise _unknown_element(child, element, ("driver",), label)
            if drivers:
                raise child.place.refuse(
                    f"{label}a second <driver>: expected one (the first is at line "
                    f"{drivers[0].line})"
                )
            drivers.append(_driver(child, problems, label))
    own = {k: v for k, v in element.attributes.items() if k not in RESERVED}
    return ModuleSpec(
        name=name,
        class_name=_required(element, "class", "a class like cameras.camera", label),
        file=element.place.file,
        line=element.place.line,
        attributes=own,
        driver=drivers[0] if drivers else None,
        requires=_names(element.attributes.get("requires", "")),
        deadline_s=_deadline_s(element, label),
        isolation=_isolation(element, label),
        memory_mb=_memory_mb(element, label),
        restart=_choice(element, "restart", STRATEGIES, label),
    )


def _driver(element: Element, problems: Problems, label: str) -> DriverSpec:
    check_no_text(element, problems, label)
    for child in element.children:
        problems.add(_unknown_element(child, element, (), label))
    wanted = "a class like simulation.camera"
    return DriverSpec(
        class_name=_required(element, "class", wanted, label),
        file=element.place.file,
        line=element.place.line,
        attributes={k: v for k, v in element.attributes.items() if k != "class"},
    )


def _required(element: Element, name: str, wanted: str, label: str = "") -> str:
    value = element.attributes.get(name)
    if value is None:
        raise element.place.refuse(
            f"{label}<{element.tag}> has no attribute '{name}': expected {wanted}"
        )
    if not value.strip() or not value.isprintable():
        raise element.place.refuse(
            f"{label}<{element.tag}> {name}={value!r}: expected {wanted}"
        )
    return value


def _path(element: Element, name: str, wanted: str, file: Path) -> Path:
    """Return the absolute path in an attribute; a relative one is from `file`."""
    text = _required(element, name, wanted)
    try:
        # Joining keeps `expanded` alone where it is absolute.
        expanded = Path(text).expanduser()
        return Path(os.path.abspath(file.parent / expanded))
    except (OSError, RuntimeError, ValueError) as exc:
        raise element.place.refuse(
            f"<{element.tag}> {name}={text!r}: expected {wanted} ({exc})"
        ) from exc


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"[^\s,]+", text)))


def _deadline_s(element: Element, label: str) -> float | None:
    text = element.attributes.get("deadline_s")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 0 < seconds <= MAX_DEADLINE_S:
        raise element.place.refuse(
            f"{label}deadline_s={text!r}: expected seconds, more than 0 and at most "
            f"{MAX_DEADLINE_S:g}"
        )
    return seconds


def _isolation(element: Element, label: str) -> str:
    text = element.attributes.get("isolation")
    if text is None:
        return ""
    if is_isolation(text):
        return text
    raise element.place.refuse(
        f"{label}isolation={text!r}: expected {one_of([*ISOLATIONS, 'process:NAME'])}, "
        "with the NAME of a process that several modules share"
    )


def is_isolation(text: str) -> bool:
    """Whether `text` says where a module may live."""
    kind, colon, name = text.partition(":")
    is_named = bool(MODULE_NAME.match(name)) and len(name) <= MAX_NAME
    return text in ISOLATIONS or (kind == "process" and bool(colon) and is_named)


def _memory_mb(element: Element, label: str) -> float | None:
    text = element.attributes.get("memory_mb")
    if text is None:
        return None
    if element.attributes.get("isolation", "none") == "none":
        raise element.place.refuse(
            f"{label}memory_mb={text!r}: only a process has a limit: expected "
            'isolation="process" beside it'
        )
    try:
        size_mb = float(text)
    except ValueError:
        size_mb = float("nan")
    if not MIN_MEMORY_MB <= size_mb <= 1e9:
        raise element.place.refuse(
            f"{label}memory_mb={text!r}: expected megabytes, at least {MIN_MEMORY_MB:g}"
        )
    return size_mb


def _choice(element: Element, name: str, choices: tuple[str, ...], label: str) -> str:
    """Return what the attribute says; the first choice if it is not there."""
    text = element.attributes.get(name, choices[0])
    if text not in choices:
        raise element.place.refuse(
            f"{label}{name}={text!r}: expected {one_of(choices)}"
        )
    return text


def _check_requires(module: ModuleSpec, names: Collection[str]) -> None:
    for required in module.requires:
        if required == module.name:
            raise module.place.refuse(
                f"module '{module.name}': requires itself: expected other modules"
            )
        if required not in names:
            raise module.place.refuse(
                f"module '{module.name}': requires={required!r}: expected the name of "
                f"a module in this file{did_you_mean(required, names)}"
            )


def _unknown_element(
    child: Element, parent: Element, known: tuple[str, ...], label: str = ""
) -> BadInput:
    wanted = " or ".join(f"<{name}>" for name in known) or "nothing"
    return child.place.refuse(
        f"{label}unknown element <{child.tag}> inside <{parent.tag}>: expected {wanted}"
        f"{did_you_mean(child.tag, known)}"
    )
