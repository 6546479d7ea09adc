from __future__ import annotations

import time
from pathlib import Path

import pytest

from hal.base import ConfigError
from hal.config import ConfigErrors, each, load, start_order

CONFIGS = Path(__file__).parents[2] / "xml_configs"


def hal(*modules: str) -> str:
    body = "\n".join(modules)
    return f'<hal name="Test" directory="/data">\n{body}\n</hal>\n'


def refusal(path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.file == str(path)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.startswith(str(path))
    return text[len(str(path)) :]


def test_a_file_becomes_a_record(write):
    path = write(
        '<hal name="Scope" directory="~/films">\n'
        '  <module name="camera1" class="cameras.camera" deadline_s="2.5"\n'
        '          requires="stage, z" isolation="none" retries="3">\n'
        '    <driver class="acme.camera" gain="2"/>\n'
        "  </module>\n"
        '  <module name="stage" class="stages.xy" requires=""/>\n'
        '  <module name="z" class="stages.z"/>\n'
        "</hal>"
    )

    spec = load(path)

    assert (spec.name, spec.file) == ("Scope", str(path))
    assert spec.directory == Path.home() / "films"
    camera, stage, z = spec.modules
    assert (camera.name, camera.class_name, camera.line) == (
        "camera1",
        "cameras.camera",
        2,
    )
    assert camera.attributes == {"retries": "3"}
    assert camera.requires == ("stage", "z")
    assert camera.deadline_s == 2.5
    assert camera.isolation == "none"
    assert camera.driver is not None
    assert camera.driver.class_name == "acme.camera"
    assert camera.driver.attributes == {"gain": "2"}
    assert camera.driver.line == 4
    assert (stage.requires, stage.driver, stage.deadline_s) == ((), None, None)
    assert z.place.line == 7


def test_a_relative_directory_starts_at_the_folder_of_the_file(write, tmp_path):
    path = write('<hal name="a" directory="films"><module name="m" class="c.d"/></hal>')

    assert load(path).directory == tmp_path / "films"


M = '<module name="a" class="x.y"/>'


def with_inside(text: str) -> str:
    return hal(M.replace("/>", f">{text}</module>"))


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("<config/>", 1, "outermost element is <config>: expected <hal>"),
        (f'<hal directory="/d">{M}</hal>', 1, "<hal> has no attribute 'name'"),
        (f'<hal name="a">{M}</hal>', 1, "no attribute 'directory'"),
        (f'<hal name=" " directory="/d">{M}</hal>', 1, "name=' '"),
        (f'<hal name="a" directory="">{M}</hal>', 1, "directory=''"),
        (
            f'<hal name="a" directory="/d" directry="/d">{M}</hal>',
            1,
            "unknown attribute 'directry': expected name or directory; "
            "did you mean 'directory'?",
        ),
        (hal(), 1, "has no modules"),
        (hal("hello", M), 2, "text 'hello' inside <hal>"),
        (
            hal('<modul name="a"/>'),
            2,
            "<modul> inside <hal>: expected <module> or <world> or <chaos>; did",
        ),
        (hal('<wrld name="a"/>'), 2, "did you mean 'world'?"),
        (hal('<world name="a"/>'), 1, "has no modules"),
        (hal('<module class="x.y"/>'), 2, "<module> has no attribute 'name'"),
        (hal('<module name="" class="x.y"/>'), 2, "name=''"),
        (hal('<module name="Camera" class="x.y"/>'), 2, "module name 'Camera'"),
        (hal('<module name="kamera_ü" class="x.y"/>'), 2, "'kamera_ü'"),
        (hal('<module name="a&#10;" class="x.y"/>'), 2, r"name='a\n'"),
        (hal(f'<module name="{"a" * 65}" class="x.y"/>'), 2, "at most 64"),
        (hal('<module name="hal" class="x.y"/>'), 2, "module name 'hal'"),
        (hal('<module name="cli" class="x.y"/>'), 2, "module name 'cli'"),
        (hal('<module name="a"/>'), 2, "module 'a': <module> has no attribute 'class'"),
        (hal('<module name="a" class=""/>'), 2, "module 'a': <module> class=''"),
        (
            hal(M, '<module name="b" class="x.y"/>', M),
            4,
            "module name 'a' is used twice: first at line 2",
        ),
        (hal('<module name="a" class="x.y" deadline_s=""/>'), 2, "deadline_s=''"),
        (hal('<module name="a" class="x.y" deadline_s="nan"/>'), 2, "deadline_s='nan'"),
        (hal('<module name="a" class="x.y" deadline_s="inf"/>'), 2, "deadline_s='inf'"),
        (hal('<module name="a" class="x.y" deadline_s="0"/>'), 2, "more than 0"),
        (hal('<module name="a" class="x.y" deadline_s="-1"/>'), 2, "more than 0"),
        (
            hal('<module name="a" class="x.y" isolation="thread"/>'),
            2,
            "module 'a': isolation='thread': expected none",
        ),
        (hal('<module name="a" class="x.y">b</module>'), 2, "text 'b' inside <module>"),
        (
            hal('<module name="a" class="x.y">\n<drivr/></module>'),
            3,
            "module 'a': unknown element <drivr> inside <module>: expected <driver>",
        ),
        (
            hal('<module name="a" class="x.y">\n<driver/></module>'),
            3,
            "module 'a': <driver> has no attribute 'class'",
        ),
        (
            with_inside('\n<driver class="b.c"><d/></driver>'),
            3,
            "unknown element <d> inside <driver>: expected nothing",
        ),
        (
            hal(
                '<module name="a" class="x.y">\n<driver class="b.c">d</driver></module>'
            ),
            3,
            "text 'd' inside <driver>",
        ),
        (
            with_inside('<driver class="b.c"/>\n<driver class="b.c"/>'),
            3,
            "a second <driver>: expected one (the first is at line 2)",
        ),
        (
            hal(
                M.replace("/>", ' requires="stge"/>'),
                '<module name="stage" class="x.y"/>',
            ),
            2,
            "requires='stge': expected the name of a module in this file; "
            "did you mean 'stage'?",
        ),
        (hal(M.replace("/>", ' requires="a"/>')), 2, "requires itself"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_line(write, content, line, what):
    text = refusal(write(content))

    assert text.startswith(f":{line}: ")
    assert what in text


def test_a_home_folder_that_cannot_be_found_is_told(write, monkeypatch):
    def nobody(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)

    text = refusal(write(hal(M).replace("/data", "~/data")))

    assert text.startswith(":1: <hal> directory='~/data': expected the folder for data")


def test_modules_that_require_each_other_in_a_circle_are_named(write):
    path = write(
        hal(
            '<module name="x" class="a.b" requires="c"/>',
            '<module name="a" class="a.b" requires="b"/>',
            '<module name="b" class="a.b" requires="c"/>',
            '<module name="c" class="a.b" requires="a"/>',
        )
    )

    text = refusal(path)

    assert text.startswith(":3: ")
    assert text.endswith("in a circle: a requires b requires c requires a")


def test_start_order_is_in_layers_in_the_order_of_the_file(write):
    path = write(
        hal(
            '<module name="c" class="a.b" requires="b"/>',
            '<module name="z" class="a.b"/>',
            '<module name="b" class="a.b" requires="a z"/>',
            '<module name="a" class="a.b"/>',
        )
    )

    assert start_order(load(path)) == (("z", "a"), ("b",), ("c",))


def test_all_that_is_wrong_is_told_at_once(write):
    path = write(
        hal(
            '<module name="a" class="x.y" deadline_s="soon"/>',
            '<module name="b" class="x.y" requires="a"/>',
            '<module name="c" class="x.y" requires="d"/>',
            "<modul/>",
        )
    )

    with pytest.raises(ConfigErrors) as caught:
        load(path)

    errors = each(caught.value)
    assert [e.line for e in errors] == [2, 4, 5]
    assert str(caught.value) == f"{errors[0]} (and 2 more)"
    assert (caught.value.file, caught.value.line) == (str(path), 2)


def test_one_error_stands_for_itself(write):
    with pytest.raises(ConfigError) as caught:
        load(write("<hal/>x"))

    assert each(caught.value) == (caught.value,)


def test_ten_thousand_modules_are_read_within_a_second(write):
    path = write(
        hal(
            '<module name="m0" class="x.y"/>',
            *(
                f'<module name="m{i}" class="x.y" requires="m{i - 1}">'
                f'<driver class="x.z" a="{i}" b="2"/></module>'
                for i in range(1, 10_000)
            ),
        )
    )

    began = time.process_time()
    spec = load(path)
    took_s = time.process_time() - began

    assert took_s < 1.0
    assert len(start_order(spec)) == 10_000


def test_ten_thousand_mistakes_end_after_twenty(write):
    path = write(
        hal(
            *(
                f'<module name="m{i}" class="x.y" requires="n{i}"/>'
                for i in range(10_000)
            )
        )
    )

    began = time.process_time()
    with pytest.raises(ConfigErrors) as caught:
        load(path)

    assert len(caught.value.errors) == 20
    assert time.process_time() - began < 10.0


@pytest.mark.parametrize("name", ["sim.xml", "sim_headless.xml"])
def test_shipped_configurations_have_the_right_form(name):
    spec = load(CONFIGS / name)

    assert spec.directory == Path.home() / "hal-data"
    assert {"camera1", "stage"} <= {module.name for module in spec.modules}
    without = [module for module in spec.modules if module.driver is None]
    assert {module.class_name for module in without} <= {
        "channels.channel",
        "focus.autofocus",
    }
