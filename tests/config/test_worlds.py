"""What `<world>` may say, and what drivers may say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hal.base import BadInput, StartError
from hal.config import load, resolve, resolve_worlds

WORLD = 'class="lab_parts.LabWorld"'


@pytest.fixture
def scope(
    write: Callable[[str], Path], parts: ModuleType, registered: object
) -> Callable[..., Path]:
    """Return a function that writes a configuration with worlds and one lamp."""

    def make(worlds: str = "", driver: str = "") -> Path:
        return write(
            f'<hal name="Test" directory="/data">\n{worlds}\n'
            '<module name="lamp1" class="lab_parts.LampModule">\n'
            f'<driver class="lab_parts.WorldLamp" {driver}/>\n</module>\n</hal>'
        )

    return make


def test_a_world_has_typed_values_and_a_state_beside_the_file(
    scope: Callable[..., Path], parts: ModuleType
) -> None:
    path = scope(f'<world name="sample" {WORLD} cells=" 3 " state="a/b.state"/>')

    spec = load(path)
    (world,) = resolve_worlds(spec)

    assert world.world_class is parts.LabWorld
    assert world.values == {"cells": 3}
    assert world.spec.name == "sample"
    assert world.spec.state == path.parent / "a" / "b.state"
    assert str(world.spec.place.line) == "2"


def test_a_world_keeps_no_state_unless_told_where(scope: Callable[..., Path]) -> None:
    (world,) = resolve_worlds(load(scope(f'<world name="sample" {WORLD}/>')))

    assert world.spec.state is None
    assert resolve_worlds(load(scope())) == ()


@pytest.mark.parametrize(
    ("worlds", "driver", "line", "what"),
    [
        (f"<world {WORLD}/>", "", 2, "<world> has no attribute 'name'"),
        (f'<world name="My World" {WORLD}/>', "", 2, "world name 'My World'"),
        (f'<world name="lamp1" {WORLD}/>', "", 2, "is used by a module at line 3"),
        (
            f'<world name="a" {WORLD}/><world name="a" {WORLD}/>',
            *("", 2, "world name 'a' is used by a world at line 2"),
        ),
        (f'<world name="a" {WORLD} cels="1"/>', "", 2, "did you mean 'cells'?"),
        (f'<world name="a" {WORLD} cells="few"/>', "", 2, "attribute cells='few'"),
        (
            f'<world name="a" {WORLD} cells="-1"/>',
            "",
            2,
            "attribute cells=-1: expected",
        ),
        (f'<world name="a" {WORLD} state=" "/>', "", 2, "state=' ': expected a file"),
        (f'<world name="a" {WORLD}>x</world>', "", 2, "text 'x' inside <world>"),
        (
            f'<world name="a" {WORLD}><module/></world>',
            *("", 2, "unknown element <module> inside <world>"),
        ),
        ('<world name="a" class="lab_parts.Lamp"/>', "", 2, "is no world"),
        ('<world name="a"/>', "", 2, "unknown world class 'simulation.world'"),
        ("", 'world="sample"', 4, 'no such world; expected a <world name="..."/>'),
        (
            f'<world name="sample" {WORLD}/>',
            *('world="sampel"', 4, "expected one of sample in this file; did you mean"),
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_its_line(
    scope: Callable[..., Path], worlds: str, driver: str, line: int, what: str
) -> None:
    path = scope(worlds, driver)

    with pytest.raises((BadInput, StartError)) as caught:
        resolve(load(path))

    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert what in str(caught.value)


def test_a_world_that_set_names_is_blamed_on_the_command_line(
    scope: Callable[..., Path],
) -> None:
    spec = load(scope(f'<world name="sample" {WORLD}/>', 'world="sample"'))

    with pytest.raises(BadInput, match=r"--set lamp1\.world=smaple: .*no such world"):
        resolve(spec, ["lamp1.world=smaple"])

    (built,) = resolve(spec)
    assert built.driver_values == {"world": "sample"}


def test_wrong_worlds_and_wrong_modules_are_told_at_once(
    scope: Callable[..., Path],
) -> None:
    path = scope(f'<world name="a" {WORLD} cels="1"/>', 'powr="1"')

    with pytest.raises(BadInput, match="and 1 more"):
        resolve(load(path))
