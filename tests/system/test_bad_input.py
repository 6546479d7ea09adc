"""What a user may get wrong: told in a line, with nothing left behind."""

from __future__ import annotations

import pytest

from tests.system.running import SIM, Ended, Hal, tree

CAMERA = '<driver class="simulation.camera" width_px="64" height_px="64"/>'


def hal_xml(*modules: str, directory: str = "data") -> str:
    return f'<hal name="t" directory="{directory}">\n{chr(10).join(modules)}\n</hal>'


def camera(driver: str = CAMERA, more: str = "", name: str = "camera1") -> str:
    return f'<module name="{name}" class="cameras.camera" {more}>{driver}</module>'


def driver(name: str, more: str = "") -> str:
    return f'<driver class="misbehaving.{name}" {more}/>'


BILLION_LAUGHS = (
    '<!DOCTYPE hal [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<hal name="&b;" directory="data"/>'
)

CONFIGS: dict[str, tuple[int, bytes | str, str]] = {
    "empty file": (2, "", "config.xml"),
    "not XML": (2, "camera1: exposure 5", "config.xml:1"),
    "unclosed element": (2, '<hal name="t" directory="data">', "config.xml:1"),
    "binary junk": (2, bytes(range(256)) * 20, "config.xml"),
    "wrong encoding": (2, '<hal name="Größe"/>'.encode("latin-1"), "config.xml"),
    "entity bomb": (2, BILLION_LAUGHS, "config.xml:1"),
    "document type": (2, "<!DOCTYPE hal>" + hal_xml(camera()), "config.xml:1"),
    "external entity": (
        2,
        '<!DOCTYPE hal [<!ENTITY x SYSTEM "file:///etc/passwd">]><hal name="&x;"/>',
        "config.xml:1",
    ),
    "unknown root": (2, "<microscope/>", "expected <hal>"),
    "no modules": (2, hal_xml(), "no modules"),
    "unknown element": (2, hal_xml("<modul/>"), "did you mean"),
    "unknown attribute of a module": (2, hal_xml(camera(more='blok_s="1"')), "blok_s"),
    "unknown attribute of a driver": (
        2,
        hal_xml(camera('<driver class="simulation.camera" exposure="1"/>')),
        "exposure_s",
    ),
    "unknown class": (
        2,
        hal_xml(camera('<driver class="simulation.camra"/>')),
        "simulation.camera",
    ),
    "dotted class in no module": (
        2,
        hal_xml(camera('<driver class="nowhere.Camera"/>')),
        "no module 'nowhere'",
    ),
    "dotted class that its module has not": (
        2,
        hal_xml(camera('<driver class="misbehaving.Camra"/>')),
        "has no 'Camra'",
    ),
    "class that is incomplete": (2, hal_xml(camera(driver("Abstract"))), "complete"),
    "missing package": (
        3,
        hal_xml(camera(driver("NeedsAbsentPackage"))),
        "'surely_missing_package', which is not installed",
    ),
    "plugin that imports a missing package": (
        3,
        hal_xml(camera('<driver class="imports_absent_package.Camera"/>')),
        "'surely_missing_package', which is not installed",
    ),
    "plugin that raises at import": (
        3,
        hal_xml(camera('<driver class="raises_at_import.Camera"/>')),
        "the vendor's library",
    ),
    "plugin that exits at import": (
        3,
        hal_xml(camera('<driver class="exits_at_import.Camera"/>')),
        "SystemExit",
    ),
    "driver that raises when made": (
        3,
        hal_xml(camera(driver("RaisesWhenMade"))),
        "no luck today",
    ),
    "driver that exits when made": (
        3,
        hal_xml(camera(driver("ExitsWhenMade"))),
        "SystemExit",
    ),
    "required parameter missing": (
        2,
        hal_xml(camera(driver("NeedsSerial"))),
        "serial",
    ),
    "wrong type": (
        2,
        hal_xml(camera('<driver class="simulation.camera" width_px="wide"/>')),
        "width_px='wide'",
    ),
    "out of range": (
        2,
        hal_xml(camera('<driver class="simulation.camera" exposure_s="-1"/>')),
        "exposure_s=-1",
    ),
    "not a number": (
        2,
        hal_xml(camera('<driver class="simulation.camera" exposure_s="nan"/>')),
        "exposure_s=",
    ),
    "region beyond the sensor": (
        2,
        hal_xml(camera('<driver class="simulation.camera" roi_width_px="9999"/>')),
        "does not fit",
    ),
    "duplicate module": (2, hal_xml(camera(), camera()), "used twice"),
    "bad module name": (2, hal_xml(camera(name="Camera 1")), "small letters"),
    "name of a module that HAL adds": (
        2,
        hal_xml(camera(name="recorder")),
        "HAL's own",
    ),
    "requires itself": (2, hal_xml(camera(more='requires="camera1"')), "itself"),
    "requires unknown": (2, hal_xml(camera(more='requires="stage"')), "requires"),
    "requires in a circle": (
        2,
        hal_xml(
            camera(more='requires="camera2"'),
            camera(more='requires="camera1"', name="camera2"),
        ),
        "camera2",
    ),
    "no driver": (2, hal_xml(camera("")), "needs a <driver>"),
    "two drivers": (2, hal_xml(camera(CAMERA + CAMERA)), "second <driver>"),
    "wrong kind of driver": (
        2,
        hal_xml(camera('<driver class="simulation.shutter"/>')),
        "not of kind Camera",
    ),
    "bad deadline": (2, hal_xml(camera(more='deadline_s="0"')), "deadline_s"),
    "bad isolation": (2, hal_xml(camera(more='isolation="total"')), "isolation"),
}

ARGUMENTS: dict[str, tuple[int, list[str], str]] = {
    "no configuration": (2, [], "CONFIG"),
    "configuration that is not there": (2, ["nowhere.xml"], "nowhere.xml"),
    "configuration that is a folder": (2, ["."], "."),
    "unknown option": (2, [str(SIM), "--flim", "3"], "--flim"),
    "two configurations": (2, [str(SIM), str(SIM)], "unrecognized"),
    "film of none": (2, [str(SIM), "--film", "0"], "'0'"),
    "film of less than none": (2, [str(SIM), "--film", "-1"], "'-1'"),
    "film of a word": (2, [str(SIM), "--film", "abc"], "'abc'"),
    "film of a fraction": (2, [str(SIM), "--film", "2.5"], "'2.5'"),
    "film without a number": (2, [str(SIM), "--film"], "--film"),
    "unknown format": (2, [str(SIM), "--film", "3", "--format", "tif"], "ome-tiff"),
    "name with a folder": (2, [str(SIM), "--film", "3", "--name", "a/b"], "'/'"),
    "empty name": (2, [str(SIM), "--film", "3", "--name", ""], "empty"),
    "name that Windows forbids": (2, [str(SIM), "--film", "3", "--name", "con"], "con"),
    "name without a film": (2, [str(SIM), "--name", "cells"], "--film"),
    "format without a film": (2, [str(SIM), "--format", "dax"], "--film"),
    "empty output": (2, [str(SIM), "--film", "3", "--output", ""], "empty"),
    "output below a file": (
        2,
        [str(SIM), "--film", "3", "--output", "a_file/films"],
        "is a file",
    ),
    "output that is a file": (
        2,
        [str(SIM), "--film", "3", "--output", "a_file"],
        "is a file",
    ),
    "output that no file system takes": (
        2,
        [str(SIM), "--film", "3", "--output", "n" * 300],
        "cannot be made",
    ),
    "settings that are not there": (2, [str(SIM), "--settings", "no.xml"], "no.xml"),
    "settings that are broken": (2, [str(SIM), "--settings", "a_file"], "a_file"),
    "settings for another microscope": (
        2,
        [str(SIM), "--settings", "other.xml"],
        "laser_999",
    ),
    "set without a value": (2, [str(SIM), "--set", "camera1.seed"], "--set"),
    "set without a module": (2, [str(SIM), "--set", "seed=1"], "--set"),
    "set of an unknown module": (2, [str(SIM), "--set", "camera2.seed=1"], "camera1"),
    "set of an unknown parameter": (2, [str(SIM), "--set", "camera1.sed=1"], "seed"),
    "set to a bad value": (2, [str(SIM), "--set", "camera1.seed=x"], "seed="),
    "set to infinity": (2, [str(SIM), "--set", "camera1.exposure_s=inf"], "exposure_s"),
    "log folder below a file": (2, [str(SIM), "--log-dir", "a_file/logs"], "a_file"),
    "argument that is no text": (
        2,
        [str(SIM), "--film", "3", "--name", "\udcff"],
        "argument",
    ),
}


def assert_refused(hal: Hal, arguments: list[str], code: int, expected: str) -> Ended:
    """Run HAL, which must say why not in one line and leave nothing behind."""
    before = tree(hal.folder)

    done = hal.run(*arguments, "--json")

    assert done.code == code, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.complaints) == 1, done.stderr
    assert done.stderr.startswith("hal: ")
    assert expected in done.stderr
    assert done.json["state"] == "error"
    assert done.json["files"] == []
    assert [f"hal: {e['message']}" for e in done.json["errors"]] == done.complaints
    after = tree(hal.folder)
    output = {k for k in after if k.startswith(("out", "err"))}
    # The trace is there if, and only if, HAL had started.
    logs = {k for k in after if k == "logs" or k.startswith("logs/")}
    assert bool(logs) == bool(done.json["trace"])
    assert len(done.stdout.splitlines()) == (2 if logs else 1)
    assert {k: v for k, v in after.items() if k not in output | logs} == before
    return done


@pytest.mark.parametrize("case", CONFIGS)
def test_a_wrong_configuration_is_one_line_with_its_place(hal, case):
    code, text, expected = CONFIGS[case]
    config = hal.folder / "config.xml"
    config.write_bytes(text if isinstance(text, bytes) else text.encode())

    done = assert_refused(hal, [str(config), "--film", "3"], code, expected)

    assert str(config) in done.stderr
    assert done.json["trace"] == ""


@pytest.mark.parametrize("case", ARGUMENTS)
def test_a_wrong_argument_is_one_line(hal, case):
    code, arguments, expected = ARGUMENTS[case]
    (hal.folder / "a_file").write_text("text")
    (hal.folder / "other.xml").write_text(
        "<settings><laser_999><power_mw>1</power_mw></laser_999></settings>"
    )

    done = assert_refused(hal, arguments, code, expected)

    assert done.json["trace"] == ""


def test_several_mistakes_are_a_line_each(hal):
    config = hal.folder / "config.xml"
    config.write_text(
        hal_xml(
            camera('<driver class="simulation.camera" width_px="wide"/>'),
            camera('<driver class="simulation.camra"/>', name="camera2"),
        )
    )

    done = hal.run(config, "--film", "3", "--json", "--set", "camera1.seed=x")

    assert done.code == 2
    assert len(done.complaints) == 3
    assert sorted(line.split(":")[1].strip() for line in done.complaints) == [
        "--set camera1.seed=x",
        str(config),
        str(config),
    ]
    assert len(done.json["errors"]) == 3


@pytest.mark.parametrize("there", ["old.xml", "old.dax", "old.inf", "old.ome.tiff"])
def test_a_film_of_that_name_is_not_touched_whatever_is_left_of_it(hal, films, there):
    films.mkdir()
    (films / there).write_bytes(b"precious")
    formats = ["--format", "dax", "--format", "ome-tiff"]

    assert_refused(
        hal,
        [str(SIM), "--film", "3", "--output", str(films), "--name", "old", *formats],
        2,
        f"{films / there} exists",
    )


def test_more_than_the_disk_holds_is_refused_before_it_starts(hal, films):
    done = assert_refused(
        hal,
        [str(SIM), "--film", "1000000000", "--output", str(films)],
        2,
        "MB free, but the run needs",
    )

    assert done.json["errors"][0]["kind"] == "BadInput"


def test_a_film_without_a_camera_is_refused(hal, films):
    config = hal.folder / "config.xml"
    config.write_text(
        hal_xml(
            '<module name="stage" class="stages.xy_stage">'
            '<driver class="simulation.xy_stage"/></module>'
        )
    )

    assert_refused(
        hal, [str(config), "--film", "3", "--output", str(films)], 2, "no camera"
    )


def test_the_parts_of_a_configuration_that_are_right_are_not_complained_about(hal):
    """The cases above fail for the reason they name, and for no other."""
    config = hal.folder / "config.xml"
    config.write_text(hal_xml(camera()))

    done = hal.run(config, "--film", "3", "--json")

    assert done.code == 0, done.stderr
    assert done.json["files"][0] == str(hal.folder / "data" / "movie_0001.ome.tiff")


@pytest.mark.parametrize("name", ["RaisesWhenMade", "ExitsWhenMade"])
def test_a_module_that_cannot_be_made_is_one_line_with_its_place(hal, name):
    config = hal.folder / "config.xml"
    config.write_text(
        hal_xml(f'<module name="broken" class="misbehaving.Module{name}"/>')
    )

    done = hal.run(config, "--json")

    assert done.code == 3, done.stderr
    (line,) = done.complaints
    assert line.startswith(f"hal: {config}:2: module 'broken': ")
    assert "no luck today" in line
    assert done.json["state"] == "error"


def test_the_name_of_the_client_is_taken_even_if_all_others_are_replaced(hal):
    own = "".join(
        f'<module name="my_{role}" class="{role}.{role}"/>'
        for role in ("settings", "recorder", "acquisition")
    )
    config = hal.folder / "config.xml"
    config.write_text(hal_xml(own, camera(name="client")))

    assert_refused(hal, [str(config)], 2, "module 'client': this name belongs to")
