"""Channels: what they are made of, and what is refused when they are configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from hal.acquisition import ChannelName
from hal.app import Application, plan
from hal.base import BadInput, Carrier, ParameterError, StartError, Value
from hal.messages import ChannelDescription, GetChannel, SetParameters
from hal.testing import Part, part, running_hal
from modules.channels.channel import ChannelModule
from modules.filter_wheels.filter_wheel import FilterWheelModule
from modules.light_sources.light_source import LightSourceModule
from modules.simulation import SimFilterWheel, SimLightSource

DEVICES = (
    part("laser", LightSourceModule, driver=SimLightSource()),
    part("wheel", FilterWheelModule, driver=SimFilterWheel(filters="empty,525/50")),
)


def channel(name: str = "fitc", **values: Value) -> Part:
    return part(name, ChannelModule, **values)


def test_a_channel_says_what_it_is_made_of(carrier: Carrier | None) -> None:
    fitc = channel(
        label="FITC",
        light="laser",
        power_mw=5.0,
        filter_wheel="wheel",
        filter="525/50",
        lit_area_cm2=0.001,
    )
    with running_hal(*DEVICES, fitc, channel("plain"), carrier=carrier) as hal:
        assert hal.problems == ()
        described = hal.ask(GetChannel(), to="fitc")
        plain = hal.ask(GetChannel(), to="plain")

    assert described == ChannelDescription(
        name=ChannelName("FITC"),
        light="laser",
        power_mw=5.0,
        filter_wheel="wheel",
        filter="525/50",
        lit_area_cm2=0.001,
    )
    assert isinstance(described, ChannelDescription)
    assert described.devices == ("laser", "wheel")
    assert plain == ChannelDescription(name=ChannelName("plain"))


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("FITC", ChannelName("FITC")),
        ("Lamp/FITC", ChannelName("FITC", "Lamp")),
        (" Lamp / 525/50 ", ChannelName("525/50", "Lamp")),
    ],
)
def test_a_label_may_say_the_group(label: str, name: ChannelName) -> None:
    assert ChannelName.read(label) == name
    assert ChannelName.read(str(name)) == name


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"light": "lasr"}, r"light='lasr': there is no such module.*mean 'laser'"),
        ({"shutter": "wheel"}, "shutter='wheel': that module has the role 'filter_w"),
        (
            {"camera": "cam"},
            "camera='cam': there is no such module: expected one of",
        ),
        (
            {"filter_wheel": "whel", "filter": "1"},
            r"filter_wheel='whel'.*did you mean 'wheel'",
        ),
    ],
)
def test_a_module_that_a_channel_names_must_be_one_of_its_kind(
    values: dict[str, Value], words: str
) -> None:
    with running_hal(*DEVICES, channel(label="FITC", **values)) as hal:
        (problem,) = hal.problems

        assert problem.kind == "ParameterError"
        with pytest.raises(ParameterError, match=f"channel FITC: {words}"):
            raise problem.to_exception()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"filter": "525/50"}, "filter='525/50': expected filter_wheel beside it"),
        ({"filter_wheel": "wheel"}, "filter_wheel='wheel': expected filter beside"),
        ({"label": "/FITC"}, "expected 'Name' or 'Group/Name'"),
        ({"label": " "}, "expected 'Name' or 'Group/Name'"),
    ],
)
def test_what_makes_no_sense_together_is_refused(
    values: dict[str, Value], words: str
) -> None:
    with (
        running_hal(*DEVICES, channel()) as hal,
        pytest.raises(ParameterError, match=words),
    ):
        hal.ask(SetParameters({"fitc": values}))


def test_two_channels_of_one_label_are_refused() -> None:
    first, second = channel("first", label="DAPI"), channel("second", label="DAPI")
    with running_hal(first, channel("DAPI", label="other"), second) as hal:
        (problem,) = hal.problems

        assert problem.source == "second"
        assert "label='DAPI': channel 'first' is called so already" in problem.text


def test_channels_change_while_hal_runs_and_keep_to_the_rules() -> None:
    with running_hal(*DEVICES, channel(light="laser")) as hal:
        hal.ask(SetParameters({"fitc": {"power_mw": 7.0, "label": "GFP"}}))
        with pytest.raises(ParameterError, match="did you mean 'laser'"):
            hal.ask(SetParameters({"fitc": {"light": "laser2"}}))

        described = hal.ask(GetChannel())

    expected = ChannelDescription(name=ChannelName("GFP"), light="laser", power_mw=7.0)
    assert described == expected


def test_a_mistake_in_a_file_ends_the_start_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "scope.xml"
    file.write_text(
        '<hal name="t" directory="data">\n'
        '<module name="laser" class="light_sources.light_source">\n'
        '<driver class="simulation.light_source"/></module>\n'
        '<module name="fitc" class="modules.channels.channel.ChannelModule"\n'
        ' light="laser1"/>\n'
        "</hal>\n"
    )
    app = Application(plan(file), log_folder=tmp_path)
    try:
        with pytest.raises(StartError, match=r"scope.xml:4: .*did you mean 'laser'"):
            app.start()
    finally:
        app.stop()


def test_what_needs_no_other_module_is_told_before_anything_starts(
    tmp_path: Path,
) -> None:
    file = tmp_path / "scope.xml"
    file.write_text(
        '<hal name="t" directory="data">\n'
        '<module name="fitc" class="modules.channels.channel.ChannelModule"\n'
        ' filter="525/50"/>\n'
        "</hal>\n"
    )

    with pytest.raises(BadInput, match=r"scope.xml:2: .*expected filter_wheel"):
        plan(file)
