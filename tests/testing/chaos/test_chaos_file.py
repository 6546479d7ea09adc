"""A chaos file says what it means, or is refused at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hal.app import plan
from hal.base import BadInput, ConfigError
from hal.cli_chaos import chaos_lines
from hal.config import ConfigErrors
from hal.testing import chaos
from tests.system.running import ROOT

SCOPE = """<hal name="t" directory="data">
<module name="camera1" class="cameras.camera" isolation="process">
<driver class="simulation.camera"/></module>
<module name="stage" class="stages.xy_stage"><driver class="simulation.xy_stage"/>
</module>{}
</hal>"""


def written(folder: Path, text: str) -> Path:
    path = folder / "chaos.xml"
    path.write_text(text, "utf-8")
    return path


def test_all_attributes_are_read(tmp_path):
    path = written(
        tmp_path,
        '<chaos seed="42">\n'
        '<fault module="camera1" kind="drop" probability="0.25" times="3"/>\n'
        '<fault module="stage" call="move" kind="hang" at="5, 9,5" seconds="30"/>\n'
        '<fault module="stage" kind="raise" error="OSError" at="1"/>\n'
        '<fault module="stage" kind="lie" um="-2.5" at="1"/>\n'
        '<fault module="stage" kind="leak" megabytes="5" probability="1"/>\n'
        '<fault module="camera1" kind="exit" code="7" at="1"/>\n'
        "</chaos>",
    )

    read = chaos.read_chaos(path)

    assert (read.seed, read.file, len(read.faults)) == (42, str(path), 6)
    drop, hang, error, lie, leak, end = read.faults
    assert (drop.module, drop.probability, drop.times) == ("camera1", 0.25, 3)
    assert (hang.call, hang.at, hang.lasts_s(1.0)) == ("move", (5, 9), 30.0)
    assert (drop.seconds, drop.lasts_s(1.0), drop.line) == (None, 1.0, 2)
    assert (error.error, lie.um, leak.megabytes) == ("OSError", -2.5, 5.0)
    assert (end.code, end.line) == (7, 7)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('<chaos seed="x"><fault/></chaos>', 1, "seed='x': expected a whole number"),
        ('<chaos sed="1"><fault/></chaos>', 1, "did you mean 'seed'"),
        ("<chaos/>", 1, "has no <fault>"),
        ("<chaos>\n<falt/></chaos>", 2, "did you mean 'fault'"),
        ("<chaos>hello</chaos>", 1, "text 'hello' inside <chaos>"),
        ("<faults/>", 1, "the outermost element is <faults>: expected <chaos"),
        ('<hal name="x" directory="d"/>', 1, "has no <chaos>"),
        ('<chaos>\n\n<fault kind="slow" at="1"/></chaos>', 3, "module is missing"),
        ('<chaos><fault module="z" at="1"/></chaos>', 1, "kind is missing"),
        (
            '<chaos>\n<fault module="z" kind="hagn" at="1"/></chaos>',
            2,
            "did you mean 'hang'",
        ),
        (
            '<chaos><fault module="z" kind="hang" secnds="1"/></chaos>',
            1,
            "did you mean 'seconds'",
        ),
        (
            '<chaos><fault module="z" kind="hang" at="0"/></chaos>',
            1,
            "at='0': expected numbers of calls, from 1",
        ),
        (
            '<chaos><fault module="z" kind="hang" probability="2"/></chaos>',
            1,
            "probability=2.0: expected a number from 0 to 1",
        ),
        (
            '<chaos><fault module="z" kind="slow" at="1" seconds="soon"/></chaos>',
            1,
            "seconds='soon': expected a number",
        ),
        ('<chaos><fault module="z" kind="slow"/></chaos>', 1, "it would never happen"),
        (
            '<chaos><fault module="z" kind="slow" at="1" probability="0.5"/></chaos>',
            1,
            "at and probability: expected one of them",
        ),
        (
            '<chaos><fault module="z" kind="raise" at="1" error="DevceError"/></chaos>',
            1,
            "did you mean 'DeviceError'",
        ),
        (
            '<chaos><fault module="z" kind="slow" at="1"><x/></fault></chaos>',
            1,
            "unknown element <x> inside <fault>",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, line, words):
    path = written(tmp_path, text)

    with pytest.raises(BadInput) as refused:
        chaos.read_chaos(path)

    error = refused.value
    if isinstance(error, ConfigErrors):
        error = error.errors[0]
    assert words in str(error)
    assert str(error).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ('module="stge" kind="slow"', "did you mean 'stage'"),
        ('module="recorder" kind="slow"', "expected a module with a driver, one of"),
        ('module="stage" call="moove" kind="slow"', "did you mean 'move'"),
        ('module="stage" kind="drop"', "is no device that can do so"),
        ('module="camera1" call="start" kind="drop"', "one of read_into"),
        ('module="camera1" kind="lie"', "is no device that can do so"),
        ('module="stage" kind="segv"', 'expected isolation="process" for it'),
        ('module="stage" kind="kill"', "lives in HAL's own"),
        ('module="stage" kind="exit"', "lives in HAL's own"),
    ],
)
def test_what_the_microscope_cannot_do_is_refused_before_it_starts(
    tmp_path, fault, words
):
    scope = tmp_path / "scope.xml"
    scope.write_text(SCOPE.format(""))
    path = written(tmp_path, f'<chaos>\n<fault {fault} at="1"/></chaos>')

    with pytest.raises(ConfigError, match=words) as refused:
        plan(scope, chaos=path)

    assert str(refused.value).startswith(f"{path}:2: <fault> ")


def test_a_configuration_may_have_its_faults_with_it(tmp_path):
    inside = '<chaos seed="3"><fault module="camera1" kind="kill" at="1"/></chaos>'
    scope = tmp_path / "scope.xml"
    scope.write_text(SCOPE.format(inside))

    configured = plan(scope)
    assert configured.chaos == chaos.read_chaos(scope)
    assert list(chaos_lines(configured)) == [
        f"{scope}: ok: faults 1, seed 3",
        "  camera1: kill, at 1",
    ]

    # What is said later wins.
    other = written(
        tmp_path,
        '<chaos seed="4"><fault module="stage" call="move" kind="slow" '
        'probability="0.5"/></chaos>',
    )
    assert list(chaos_lines(plan(scope, chaos=other)))[1:] == [
        "  stage: slow in move, probability 0.5"
    ]
    scope.write_text(SCOPE.format(2 * inside))
    with pytest.raises(ConfigError, match="a second <chaos>"):
        plan(scope)


def test_the_name_of_its_module_is_taken(tmp_path):
    scope = tmp_path / "scope.xml"
    text = SCOPE.format('<chaos><fault module="chaos" kind="slow" at="1"/></chaos>')
    scope.write_text(text.replace('"stage"', '"chaos"'))

    with pytest.raises(ConfigError, match="choose another"):
        plan(scope)


def test_the_example_is_a_microscope_on_which_its_faults_can_happen():
    configured = plan(ROOT / "xml_configs" / "sim_chaos.xml")

    assert configured.chaos is not None
    assert len({fault.kind for fault in configured.chaos.faults}) >= 5
