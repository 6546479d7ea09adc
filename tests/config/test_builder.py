from __future__ import annotations

import time

import pytest

from hal.base import BadInput, ConfigError, ParameterError, StartError, set_log_sink
from hal.config import ConfigErrors, ModuleSpec, StartErrors, load, resolve
from hal.storage import Sidecar, section, sidecar_xml


@pytest.fixture
def logged():
    records: list[dict[str, object]] = []
    previous = set_log_sink(lambda record: records.append(dict(record)))
    yield records
    set_log_sink(previous)


@pytest.fixture
def scope(write, parts, registered):
    """Return a function that writes a configuration of one lamp and loads it."""

    def make(
        driver: str = "",
        module: str = "",
        cls: str = "lab_parts.Lamp",
        module_cls: str = "lab_parts.LampModule",
    ):
        return load(
            write(
                '<hal name="Test" directory="/data">\n'
                f'<module name="lamp1" class="{module_cls}" {module}>\n'
                f'<driver class="{cls}" {driver}/>\n'
                "</module>\n</hal>"
            )
        )

    return make


def told(spec, **options) -> str:
    """Return the text of the error, without the path of the configuration."""
    with pytest.raises((BadInput, StartError)) as caught:
        resolve(spec, **options)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text.removeprefix(spec.file)


def test_values_have_the_types_of_their_parameters(scope, parts):
    driver = 'power_mw=" 2.5 " pulses="3" inverted="yes" colour=" red " port=" COM 3 "'
    (built,) = resolve(scope(driver, 'patience_s="2" deadline_s="9"'))

    assert built.module_class is parts.LampModule
    assert built.driver_class is parts.Lamp
    assert built.values == {"patience_s": 2.0}
    assert built.driver_values == {
        "power_mw": 2.5,
        "pulses": 3,
        "inverted": True,
        "colour": "red",
        "port": " COM 3 ",
    }
    assert built.spec.deadline_s == 9.0
    assert not built.is_simulated


def test_short_names_are_used(scope, registered, parts):
    registered["hal.drivers"]["acme.lamp"] = "lab_parts:SimLamp"
    registered["hal.modules"]["acme.lamps"] = "lab_parts:LampModule"

    (built,) = resolve(scope(cls="acme.lamp", module_cls="acme.lamps"))

    assert built.driver_class is parts.SimLamp
    assert built.is_simulated


@pytest.mark.parametrize(
    ("driver", "what"),
    [
        (
            'power="1"',
            "unknown attribute 'power': expected one of colour, floor_mw, inverted, "
            "low_mw, port, power_mw, pulses; did you mean 'power_mw'?",
        ),
        ('power_mw="lots"', "attribute power_mw='lots': expected a number"),
        ('power_mw=""', "attribute power_mw='': expected a number"),
        ('power_mw="nan"', "attribute power_mw=nan: expected a number from 0 to 50 mW"),
        ('power_mw="51"', "attribute power_mw=51.0: expected a number from 0 to 50 mW"),
        ('pulses="1e3"', "attribute pulses='1e3': expected a whole number from 1 to"),
        ('pulses="0"', "attribute pulses=0: expected a whole number from 1 to 100"),
        ('inverted="perhaps"', "attribute inverted='perhaps': expected true or false"),
        ('colour="pink"', "attribute colour='pink': expected one of blue, red"),
        ('port="a&#10;b"', r"attribute port='a\nb': expected one line of text"),
        ('low_mw="20"', "low_mw is above power_mw"),
    ],
)
def test_a_wrong_driver_attribute_is_told_at_its_line(scope, driver, what):
    text = told(scope(driver))

    assert text.startswith(f":3: module 'lamp1': driver {what}")


@pytest.mark.parametrize(
    ("module", "what"),
    [
        (
            'patience="1"',
            "unknown attribute 'patience': expected one of class, deadline",
        ),
        ('deadlin_s="1"', "did you mean 'deadline_s'?"),
        ('power_mw="1"', "it belongs to the driver: write it in <driver>"),
        ('patience_s="x"', "attribute patience_s='x': expected a number"),
        (
            'patience_s="11"',
            "attribute patience_s=11.0: expected a number from 0.1 to 1",
        ),
    ],
)
def test_a_wrong_module_attribute_is_told_at_its_line(scope, module, what):
    text = told(scope(module=module))

    assert text.startswith(":2: module 'lamp1': ")
    assert what in text


def test_a_missing_value_that_is_required_is_told(scope, monkeypatch, parts):
    monkeypatch.setattr(parts.NeedyLamp, "needs", ())

    text = told(scope('note="x"', cls="lab_parts.NeedyLamp"))

    assert text.startswith(":3: module 'lamp1': driver serial is missing: expected a")


@pytest.mark.parametrize(
    ("options", "line", "what"),
    [
        ({"cls": "lab_parts.Lmap"}, 3, "unknown driver class 'lab_parts.Lmap'"),
        ({"module_cls": "lab_parts.Lmap"}, 2, "unknown module class 'lab_parts.Lmap'"),
        ({"module_cls": "lab_parts.Lamp"}, 2, "is a driver: expected a module class"),
        (
            {"module_cls": "lab_parts.WheelModule"},
            3,
            "driver lab_parts.Lamp is not of kind Wheel, which lab_parts.WheelModule",
        ),
        ({"module_cls": "lab_parts.PlainModule"}, 3, "takes no driver"),
    ],
)
def test_classes_that_do_not_fit_are_config_errors(scope, options, line, what):
    text = told(scope(**options))

    assert text.startswith(f":{line}: ")
    assert what in text


def test_a_module_without_the_driver_it_needs_is_refused(write, parts, registered):
    path = write(
        '<hal name="Test" directory="/data">\n'
        '<module name="lamp1" class="lab_parts.WheelModule"/></hal>'
    )

    text = told(load(path))

    assert text == (
        ":2: module 'lamp1': class lab_parts.WheelModule needs a <driver> of kind "
        "Wheel: there is none"
    )


def test_a_module_without_driver_is_built(write, parts, registered):
    path = write(
        '<hal name="Test" directory="/data">'
        '<module name="plain" class="lab_parts.PlainModule" retries="4"/></hal>'
    )

    (built,) = resolve(load(path))

    assert (built.values, built.driver_class) == ({"retries": 4}, None)
    assert (built.driver_values, built.is_simulated) == ({}, False)


@pytest.mark.parametrize(
    ("options", "line", "what"),
    [
        ({"cls": "lab_parts.NeedyLamp"}, 3, "needs the package 'no_such_sdk.core'"),
        ({"cls": "needs_vendor.Lamp"}, 3, "needs the package 'no_such_vendor_sdk'"),
        (
            {"cls": "lab_parts.BrokenLamp"},
            3,
            r"cannot be made: SystemExit: on fire\nre",
        ),
        ({"module_cls": "lab_parts.GreedyModule"}, 2, "declares a parameter 'deadline"),
    ],
)
def test_what_this_machine_lacks_is_a_start_error(scope, options, line, what):
    spec = scope(**options)

    with pytest.raises(StartError, match=f"scope.xml:{line}: "):
        resolve(spec)
    assert what in told(spec)


def test_set_wins_over_settings_which_win_over_the_file(scope, write):
    settings = write(
        "<settings>\n<acquisition><frames>3</frames></acquisition>\n<lamp1>\n"
        '<pulses type="int"> 5 </pulses><power_mw type="float">7</power_mw>\n'
        "<patience_s>3</patience_s></lamp1></settings>",
        "settings.xml",
    )
    spec = scope('pulses="2" power_mw="2" colour="red"')

    (built,) = resolve(
        spec, ["lamp1.power_mw=8", "lamp1.port=a=b", "lamp1.power_mw= 9"], settings
    )

    assert built.values == {"patience_s": 3.0}
    assert built.driver_values == {
        "pulses": 5,
        "power_mw": 9.0,
        "colour": "red",
        "port": "a=b",
    }


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("lamp1.powr_mw=1", "unknown parameter 'powr_mw' of module 'lamp1': expected"),
        ("lamp1.powr_mw=1", "did you mean 'power_mw'?"),
        ("lmp1.power_mw=1", "unknown module 'lmp1': expected one of lamp1; did you"),
        (
            "lamp1.power_mw=lots",
            "module 'lamp1': driver parameter power_mw='lots': exp",
        ),
        (
            "lamp1.power_mw=51",
            "parameter power_mw=51.0: expected a number from 0 to 50",
        ),
        ("lamp1.patience_s=0", "module 'lamp1': parameter patience_s=0.0: expected"),
        ("lamp1.low_mw=20", "module 'lamp1': driver low_mw is above power_mw"),
        ("lamp1.power_mw", "expected MODULE.PARAM=VALUE"),
        ("power_mw=1", "expected MODULE.PARAM=VALUE"),
        ("=", "expected MODULE.PARAM=VALUE"),
        ("", "expected MODULE.PARAM=VALUE"),
    ],
)
def test_a_wrong_set_is_told_as_it_was_typed(scope, override, what):
    spec = scope()

    with pytest.raises(ParameterError):
        resolve(spec, [override])
    text = told(spec, overrides=[override])

    assert text.startswith(f"--set {override}: ")
    assert what in text


def test_a_set_of_unprintable_text_is_told_in_one_line(scope):
    text = told(scope(), overrides=["lamp1.a\nb=\udcff" + "x" * 10_000])

    assert text.startswith(r"--set lamp1.a\nb=\udcffxxx")
    text.encode("utf-8")
    assert len(text) < 1_500


def test_the_value_that_makes_things_wrong_is_blamed(scope, write):
    settings = write(
        "<settings>\n<lamp1>\n<pulses>5</pulses>\n<low_mw>3</low_mw>\n</lamp1>"
        "</settings>",
        "settings.xml",
    )
    spec = scope('power_mw="4"')

    assert told(
        spec, overrides=["lamp1.power_mw=2", "lamp1.port=a"], settings=settings
    )[:26] == ("--set lamp1.power_mw=2: mo")

    spec = scope('power_mw="2"')
    text = told(spec, overrides=["lamp1.port=a"], settings=settings)
    assert text.startswith(f"{settings}:4: ")


def test_settings_of_a_film_can_be_used_again(write, scope, parts, registered):
    driver = parts.Lamp(power_mw=4.0, colour="red", low_mw=1.0)
    sidecar = Sidecar(
        run_id="r",
        state="done",
        frames=1,
        started_wall_s=0.0,
        duration_s=1.0,
        simulated=True,
        software={"hal": "1"},
        files=("a.dax", "a.inf"),
        sections=(section("lamp1", driver.specs()),),
    )
    settings = write(sidecar_xml(sidecar), "movie_0001.xml")

    (built,) = resolve(scope('colour="blue" power_mw="7"'), settings=settings)

    assert built.driver_values == {"power_mw": 4.0, "colour": "red", "low_mw": 1.0}


def test_a_default_beyond_its_limit_may_be_written_and_replaces_other_values(scope):
    (built,) = resolve(scope('floor_mw="3"'), ["lamp1.floor_mw=-1e6"])

    assert built.driver_values == {}
    assert "floor_mw=-2.0: expected" in told(scope('floor_mw="-2"'))


def test_a_later_section_acquisition_belongs_to_a_module(scope, write):
    text = "<settings><acquisition><a>1</a></acquisition>{}</settings>"
    settings = write(text.format(""), "settings.xml")
    resolve(scope(), settings=settings)

    settings = write(text.format("\n<acquisition><a>1</a></acquisition>"), "two.xml")
    assert told(scope(), settings=settings).startswith(
        f"{settings}:2: unknown module 'acquisition'"
    )


def test_of_two_wrong_values_the_first_is_told_with_its_own_place(scope):
    text = told(scope(), overrides=["lamp1.power_mw=51", "lamp1.pulses=0"])

    assert text.startswith("--set lamp1.power_mw=51: ")
    assert "power_mw=51.0: expected" in text


def test_a_required_value_that_is_like_a_blank_is_kept(scope, monkeypatch, parts):
    monkeypatch.setattr(parts.NeedyLamp, "needs", ())

    (built,) = resolve(scope('serial="7" note=""', cls="lab_parts.NeedyLamp"))

    assert built.driver_values == {"serial": 7, "note": ""}


def test_a_value_that_could_not_be_read_is_not_told_as_missing_too(
    scope, monkeypatch, parts
):
    monkeypatch.setattr(parts.NeedyLamp, "needs", ())

    text = told(scope('serial="x" note="x"', cls="lab_parts.NeedyLamp"))

    assert "attribute serial='x'" in text
    assert "missing" not in text
    assert "more" not in text


def test_thirty_mistakes_in_one_driver_end_after_twenty(scope):
    spec = scope(" ".join(f'a{i}="1"' for i in range(30)))

    with pytest.raises(ConfigErrors) as caught:
        resolve(spec)

    assert len(caught.value.errors) == 20
    assert str(caught.value).endswith("(and 19 more)")


def test_a_wrong_file_is_blamed_although_there_are_overrides(scope):
    text = told(scope('power_mw="51"'), overrides=["lamp1.pulses=3"])

    assert text.startswith(":3: module 'lamp1': driver attribute power_mw=51.0")


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("<setings/>", 1, "outermost element is <setings>: expected <settings>"),
        ("<settings>\n<lmp1/></settings>", None, None),
        ("<settings>\n<lmp1><a>1</a></lmp1></settings>", 2, "unknown module 'lmp1'"),
        (
            "<settings>\n<lamp1>\n<a>1</a></lamp1></settings>",
            3,
            "unknown parameter 'a'",
        ),
        ("<settings>\n<lamp1>\n<pulses/></lamp1></settings>", 3, "pulses=''"),
        ("<settings>\n<lamp1>x</lamp1></settings>", 2, "text 'x' inside <lamp1>"),
        ("<settings>x</settings>", 1, "text 'x' inside <settings>"),
        ('<settings a="1"/>', 1, "unknown attribute 'a'"),
        ('<settings><lamp1 a="1"/></settings>', 1, "unknown attribute 'a'"),
        (
            '<settings><lamp1><pulses typ="int">1</pulses></lamp1></settings>',
            1,
            "unknown attribute 'typ': expected type or unit; did you mean 'type'?",
        ),
        (
            "<settings><lamp1><pulses>1</pulses>\n<pulses>1</pulses></lamp1></settings>",
            2,
            "<pulses> of <lamp1> is given twice: first at line 1",
        ),
        (
            "<settings><lamp1/>\n<lamp1/></settings>",
            2,
            "<lamp1> is given twice: first at line 1",
        ),
        (
            "<settings><lamp1><pulses>\n<a/></pulses></lamp1></settings>",
            2,
            "<a> inside <pulses>: expected a value",
        ),
    ],
)
def test_wrong_settings_are_told_at_their_line(scope, write, content, line, what):
    settings = write(content, "settings.xml")
    spec = scope()

    if line is None:
        resolve(spec, settings=settings)  # nothing is set in a module nobody has
        return
    with pytest.raises(ConfigError):
        resolve(spec, settings=settings)
    text = told(spec, settings=settings)

    assert text.startswith(f"{settings}:{line}: ")
    assert what in text


def test_a_name_of_both_module_and_driver_cannot_be_set_from_outside(scope):
    spec = scope(module_cls="lab_parts.PowerModule")

    resolve(spec)
    text = told(spec, overrides=["lamp1.power_mw=2"])

    assert "both module 'lamp1' and its driver have a parameter 'power_mw'" in text


def test_simulation_replaces_the_driver_and_keeps_shared_values(scope, parts, logged):
    spec = scope('power_mw="4" colour="red"')

    (built,) = resolve(spec, ["lamp1.speed=2", "lamp1.pulses=3"], simulation=True)

    assert built.driver_class is parts.SimLamp
    assert built.is_simulated
    assert built.driver_values == {"power_mw": 4.0, "speed": 2.0}
    dropped = [str(record["setting"]) for record in logged]
    assert dropped == [
        "module 'lamp1': driver (SimLamp) colour",
        "module 'lamp1': driver (SimLamp) pulses",
    ]
    assert {record["level"] for record in logged} == {"warning"}


def test_simulation_leaves_simulators_alone(scope, parts):
    (built,) = resolve(scope('speed="3"', cls="lab_parts.SimLamp"), simulation=True)

    assert built.driver_class is parts.SimLamp
    assert built.driver_values == {"speed": 3.0}


def test_simulation_needs_no_vendor_package(scope, parts):
    (built,) = resolve(scope(cls="lab_parts.NeedyLamp"), simulation=True)

    assert built.driver_class is parts.SimLamp


def test_simulation_accepts_no_more_than_the_real_driver_does(scope, logged):
    assert "unknown attribute 'speed'" in told(scope('speed="3"'), simulation=True)
    assert "attribute pulses='x'" in told(scope('pulses="x"'), simulation=True)


def test_a_value_the_simulator_cannot_take_is_told_with_its_name(scope, parts):
    spec = scope('power_mw="2000"', cls="lab_parts.NeedyLamp")

    assert told(spec, simulation=True).startswith(
        ":3: module 'lamp1': driver (SimLamp) attribute power_mw=2000.0: expected"
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (
            {"cls": "lab_parts.LonelyLamp"},
            "has no simulation: it declares no simulated",
        ),
        (
            {"cls": "lab_parts.MisledLamp"},
            "its simulation: unknown driver class 'lab_p",
        ),
        ({"cls": "lab_parts.WronglyLedLamp"}, "LonelyLamp is not a simulated Device"),
    ],
)
def test_a_driver_that_cannot_be_simulated_is_a_start_error(scope, options, what):
    spec = scope(**options)

    with pytest.raises(StartError):
        resolve(spec, simulation=True)
    text = told(spec, simulation=True)

    assert text.startswith(f":3: module 'lamp1': driver {options['cls']}")
    assert what in text


def test_all_that_is_wrong_is_told_at_once(scope):
    spec = scope('pulses="x" colour="red" powr="1"', 'patience_s="y"')

    with pytest.raises(ConfigErrors) as caught:
        resolve(spec, ["lamp1.port=ok", "lamp2.port=no", "lamp1.prt=no"])

    places = [str(error).removeprefix(spec.file)[:20] for error in caught.value.errors]
    assert places == [
        "--set lamp2.port=no:",
        ":3: module 'lamp1': ",
        ":3: module 'lamp1': ",
        ":2: module 'lamp1': ",
        "--set lamp1.prt=no: ",
    ]


def test_several_missing_packages_are_one_start_error(write, parts, registered):
    lamp = (
        '<module name="{}" class="lab_parts.LampModule">\n'
        '<driver class="lab_parts.NeedyLamp"/></module>'
    )
    body = lamp.format("a") + lamp.format("b")
    spec = load(write(f'<hal name="a" directory="/d">{body}</hal>'))

    with pytest.raises(StartErrors) as caught:
        resolve(spec)

    assert len(caught.value.errors) == 2
    assert str(caught.value).endswith("(and 1 more)")


def test_a_module_no_file_names_can_be_set(scope):
    spec = scope()
    implicit = ModuleSpec(name="extra", class_name="lab_parts.PlainModule")
    spec = type(spec)(
        name=spec.name,
        directory=spec.directory,
        file=spec.file,
        modules=(*spec.modules, implicit),
    )

    assert resolve(spec, ["extra.retries=5"])[1].values == {"retries": 5}
    assert told(spec, overrides=["extra.retries=50"]).startswith(
        "--set extra.retries=50"
    )


def test_ten_thousand_modules_are_resolved_quickly(write, parts, registered):
    body = "\n".join(
        f'<module name="m{i}" class="lab_parts.LampModule" patience_s="2">'
        f'<driver class="lab_parts.Lamp" power_mw="2"/></module>'
        for i in range(10_000)
    )
    spec = load(write(f'<hal name="a" directory="/d">{body}</hal>'))

    began = time.process_time()
    built = resolve(spec)

    assert len(built) == 10_000
    assert time.process_time() - began < 3.0
