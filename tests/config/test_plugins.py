from __future__ import annotations

import sys

import pytest

from hal.base import ConfigError, StartError
from hal.config import DRIVERS, MODULES, Place, find_class, list_plugins
from hal.config.plugins import is_installed

HERE = Place("scope.xml", 7)


def test_a_short_name_is_found(parts, registered):
    registered["hal.drivers"]["acme.lamp"] = "lab_parts:Lamp"

    assert find_class(DRIVERS, "acme.lamp") is parts.Lamp


def test_a_dotted_path_is_found_without_registration(parts, registered):
    assert find_class(DRIVERS, "lab_parts.Lamp") is parts.Lamp


def test_a_name_claimed_twice_is_refused(parts, registered):
    registered["hal.drivers"]["acme.lamp"] = "lab_parts:Lamp|lab_parts:Wheel"

    with pytest.raises(ConfigError, match=r"lab_parts:Lamp, lab_parts:Wheel"):
        find_class(DRIVERS, "acme.lamp", HERE)


def test_a_name_registered_twice_alike_is_fine(parts, registered):
    registered["hal.drivers"]["acme.lamp"] = "lab_parts:Lamp|lab_parts:Lamp"

    assert find_class(DRIVERS, "acme.lamp") is parts.Lamp


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("acme.lmp", "known are acme.lamp"),
        ("acme.lmp", "did you mean 'acme.lamp'?"),
        ("lamp", "unknown driver class 'lamp'"),
        ("", "unknown driver class ''"),
        ("..lab_parts.Lamp", "unknown driver class"),
        ("lab parts.Lamp", "unknown driver class"),
        ("no_such_package.Lamp", "no module 'no_such_package'"),
        ("lab_parts.inner.Lamp", "no module 'lab_parts.inner'"),
        ("lab_parts.Lmap", "module 'lab_parts' has no 'Lmap'; did you mean 'Lamp'?"),
        ("lab_parts.function", "is a function: expected a class that is a HAL driver"),
        ("lab_parts.Unrelated", "is the class Unrelated, which has no parameters"),
        ("os.system", "expected a class that is a HAL driver"),
        ("lab_parts.LampBase", "not complete: expected it to define flash"),
        ("acme.wheels", "is a module class: expected a driver class in <driver>"),
    ],
)
def test_a_class_that_is_none_is_refused_at_its_line(parts, registered, name, what):
    registered["hal.drivers"]["acme.lamp"] = "lab_parts:Lamp"
    registered["hal.modules"]["acme.wheels"] = "lab_parts:WheelModule"

    with pytest.raises(ConfigError) as caught:
        find_class(DRIVERS, name, HERE)

    assert str(caught.value).startswith("scope.xml:7: ")
    assert what in str(caught.value)


def test_without_any_registration_the_installation_is_doubted(registered):
    with pytest.raises(ConfigError, match="is HAL installed in this Python"):
        find_class(MODULES, "cameras.camera")


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("needs_vendor.Lamp", "needs the package 'no_such_vendor_sdk', which is not"),
        ("exits_at_import.Lamp", r"cannot be imported: SystemExit: go\naway"),
    ],
)
def test_a_class_that_cannot_be_imported_is_a_start_error(
    parts, registered, name, what, short
):
    if short:
        registered["hal.drivers"]["acme.lamp"] = name.replace(".", ":")
        name = "acme.lamp"

    with pytest.raises(StartError) as caught:
        find_class(DRIVERS, name, HERE)

    assert str(caught.value).startswith(f"scope.xml:7: driver class '{name}' ")
    assert what.replace(r"\n", "\\n") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_registered_class_that_is_not_there_is_a_start_error(parts, registered):
    registered["hal.drivers"]["acme.lamp"] = "lab_parts:Gone"

    with pytest.raises(StartError, match=r"'acme\.lamp' cannot be imported"):
        find_class(DRIVERS, "acme.lamp", HERE)


def test_packages_are_looked_for_without_importing_them():
    sys.modules.pop("this", None)

    assert is_installed("this")
    assert is_installed("json.no_matter_what")
    assert is_installed("__main__")
    assert not is_installed("no_such_sdk.core")
    assert not is_installed("")
    assert "this" not in sys.modules


def test_the_list_tells_what_each_plugin_is_and_needs(parts, registered):
    registered["hal.drivers"]["acme.lamp"] = "lab_parts:NeedyLamp"
    registered["hal.modules"]["acme.lamps"] = "lab_parts:OnlySimModule"

    module, driver = list_plugins()

    assert (module.name, module.group, module.kind) == (
        "acme.lamps",
        "hal.modules",
        "SimLamp",
    )
    assert driver.class_path == "lab_parts.NeedyLamp"
    assert driver.summary == "Needs packages."
    assert driver.kind == ""
    assert driver.simulated_by == "lab_parts.SimLamp"
    assert not driver.is_simulated
    assert [(n.package, n.installed) for n in driver.needs] == [
        ("json", True),
        ("no_such_sdk.core", False),
    ]
    found = {p.name: p for p in driver.parameters}
    power = found["power_mw"]
    assert (power.kind, power.default, power.unit) == ("float", 1.0, "mW")
    assert (power.low, power.high) == (0.0, 50.0)
    assert found["colour"].choices == ("blue", "red")
    assert (found["serial"].required, found["serial"].default) == (True, None)
    assert driver.error == module.error == ""


def test_a_limit_only_an_instance_knows_is_listed_by_its_name(registered, parts):
    registered["hal.drivers"]["acme.wheel"] = "lab_parts:Wheel"

    (wheel,) = list_plugins()

    assert [(p.name, p.low, p.high) for p in wheel.parameters] == [("slot", 1, "slots")]


def test_the_kind_of_a_driver_is_the_base_class_it_fills_in(registered, parts):
    registered["hal.drivers"]["acme.camera"] = "lab_parts:LabCamera"

    (camera,) = list_plugins()

    assert camera.kind == "Camera"


def test_broken_plugins_are_listed_with_the_reason(parts, registered):
    registered["hal.drivers"]["acme.lamp"] = "needs_vendor:Lamp"
    registered["hal.modules"]["acme.what"] = "lab_parts:function"

    module, driver = list_plugins()

    assert "expected a class that is a HAL module" in module.error
    assert "needs the package 'no_such_vendor_sdk'" in driver.error
    assert driver.class_path == "needs_vendor.Lamp"
