"""Typed parameters: what is accepted, what is refused, and nothing half done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import (
    Bool,
    Choice,
    DeviceError,
    Float,
    Int,
    ParameterError,
    Parametrized,
    Text,
    Value,
)


class Device(Parametrized):
    exposure_s = Float(0.1, unit="s", low=0.001, high=10.0, live=True, help="Exposure.")
    width = Int(64, low=8, high="sensor_width", help="Columns read out.")
    offset = Int(0, low=0, high="free_columns", help="First column.")
    temperature_c = Float(-20.0, low="coldest_c", help="Set point.")
    cooled = Bool(True, help="Whether it cools.")
    mode = Choice("free", choices=("free", "external"), help="Trigger.")
    label = Text("camera", live=True, help="What people call it.")
    sensor_width = 2048
    coldest_c = -40.0
    fails = False

    @property
    def free_columns(self) -> int:
        return self.sensor_width - self.width

    def check_together(self, values: Mapping[str, Value]) -> None:
        if values["mode"] == "external" and values["exposure_s"] == 10.0:
            raise ParameterError("external trigger does not go with 10 s")

    def apply(self, changed: Mapping[str, Value]) -> Mapping[str, Value]:
        if self.fails:
            raise DeviceError("no answer")
        if "exposure_s" in changed:
            return {"exposure_s": round(float(changed["exposure_s"]), 3)}
        return {}


class Needy(Parametrized):
    port = Text(help="Serial port.")
    axis = Int(low=1, help="Which axis.")


GOOD: list[tuple[str, Value, Value]] = [
    ("exposure_s", 0.5, 0.5),
    ("exposure_s", 1, 1.0),
    ("exposure_s", 0.001, 0.001),
    ("exposure_s", 10.0, 10.0),
    ("width", 8, 8),
    ("width", 2048, 2048),
    ("cooled", False, False),
    ("mode", "external", "external"),
    ("label", "", ""),
    ("label", "Kamera µ", "Kamera µ"),
    ("temperature_c", -40.0, -40.0),
    ("temperature_c", 1e9, 1e9),
]
BAD: list[tuple[str, Any, str]] = [
    ("exposure_s", 0.0009, "a number from 0.001 to 10 s"),
    ("exposure_s", 10.1, "a number from 0.001 to 10 s"),
    ("exposure_s", math.nan, "a number"),
    ("exposure_s", math.inf, "a number"),
    ("exposure_s", "0.5", "a number"),
    ("exposure_s", True, "a number"),
    ("exposure_s", None, "a number"),
    ("width", 7, "a whole number from 8 to 2048"),
    ("width", 2049, "a whole number from 8 to 2048"),
    ("width", 64.0, "a whole number"),
    ("width", True, "a whole number"),
    ("offset", True, "a whole number from 0 to 1984"),
    ("temperature_c", -40.1, "a number of at least -40"),
    ("cooled", 1, "true or false"),
    ("cooled", "true", "true or false"),
    ("mode", "extern", "one of free, external"),
    ("mode", 0, "one of free, external"),
    ("label", "two\nlines", "one line of text"),
    ("label", "a\0b", "one line of text"),
    ("label", 3, "one line of text"),
]


@pytest.mark.parametrize(("name", "value", "expected"), GOOD)
def test_a_value_within_its_limits_is_taken(
    name: str, value: Value, expected: Value
) -> None:
    device = Device()

    assert device.set_parameters({name: value}) == {name: expected}

    assert getattr(device, name) == expected
    assert type(getattr(device, name)) is type(expected)


@pytest.mark.parametrize(("name", "value", "expected"), BAD)
def test_another_value_is_refused_with_what_was_expected(
    name: str, value: Any, expected: str
) -> None:
    device = Device()
    before = device.values()

    with pytest.raises(ParameterError) as caught:
        device.set_parameters({name: value})

    assert str(caught.value).startswith(f"{name}=")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert device.values() == before


@pytest.mark.parametrize(("name", "value", "expected"), GOOD)
def test_the_constructor_and_assignment_take_the_same_values(
    name: str, value: Value, expected: Value
) -> None:
    assert getattr(Device(**{name: value}), name) == expected
    device = Device()
    setattr(device, name, value)
    assert getattr(device, name) == expected


@pytest.mark.parametrize(("name", "value", "_"), BAD)
def test_the_constructor_and_assignment_refuse_the_same_values(
    name: str, value: Any, _: str
) -> None:
    with pytest.raises(ParameterError):
        Device(**{name: value})
    with pytest.raises(ParameterError):
        setattr(Device(), name, value)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ParameterError, match="did you mean 'exposure_s'"):
        Device().propose({"exposure": 0.1})


def test_what_is_required_must_be_given() -> None:
    assert Needy(port="COM3", axis=1).values() == {"port": "COM3", "axis": 1}
    with pytest.raises(ParameterError, match="port is missing: expected one line"):
        Needy(axis=1)
    with pytest.raises(ParameterError, match="axis is missing"):
        Needy(port="COM3")
    assert [spec.required for spec in Needy(port="", axis=1).specs()] == [True, True]


def test_a_limit_may_be_an_attribute_of_the_owner() -> None:
    device = Device()
    device.sensor_width = 512

    with pytest.raises(ParameterError, match="from 8 to 512"):
        device.propose({"width": 513})

    assert {spec.name: spec.high for spec in device.specs()}["width"] == 512


def test_a_limit_may_depend_on_a_value_set_in_the_same_constructor() -> None:
    assert Device(width=8, offset=2040).offset == 2040
    with pytest.raises(ParameterError):
        Device(width=2048, offset=1)


def test_values_that_do_not_fit_together_are_refused_together() -> None:
    device = Device()

    with pytest.raises(ParameterError, match="does not go with"):
        device.set_parameters({"mode": "external", "exposure_s": 10.0})

    assert (device.mode, device.exposure_s) == ("free", 0.1)


def test_one_wrong_value_among_many_changes_nothing() -> None:
    device = Device()
    before = device.values()

    with pytest.raises(ParameterError):
        device.set_parameters({"exposure_s": 1.0, "label": "x", "width": 1})

    assert device.values() == before


def test_propose_touches_nothing_and_commit_applies_what_it_returned() -> None:
    device = Device()
    before = device.values()

    accepted = device.propose({"exposure_s": 1, "label": "x"})
    assert device.values() == before
    device.commit(accepted)

    assert (device.exposure_s, device.label) == (1.0, "x")


def test_what_the_hardware_rounded_is_read_back() -> None:
    device = Device()

    assert device.set_parameters({"exposure_s": 0.12345}) == {"exposure_s": 0.123}

    assert device.exposure_s == 0.123


def test_a_device_that_fails_to_take_values_keeps_the_old_ones() -> None:
    device = Device()
    device.fails = True
    before = device.values()

    with pytest.raises(DeviceError):
        device.set_parameters({"exposure_s": 1.0, "label": "x"})

    assert device.values() == before


def test_while_running_only_live_parameters_may_change() -> None:
    device = Device()

    assert device.propose({"exposure_s": 1.0}, running=True) == {"exposure_s": 1.0}
    assert device.propose({"width": 64}, running=True) == {"width": 64}  # unchanged
    with pytest.raises(ParameterError, match="width cannot change while the device"):
        device.propose({"exposure_s": 1.0, "width": 65}, running=True)


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (Device.exposure_s, " 0.5 ", 0.5),
        (Device.exposure_s, "1e-2", 0.01),
        (Device.width, "128", 128),
        (Device.cooled, "Yes", True),
        (Device.cooled, "0", False),
        (Device.mode, "external", "external"),
        (Device.label, " as it is ", " as it is "),
    ],
)
def test_text_is_parsed_as_the_parameter_means_it(
    parameter: Any, text: str, value: Value
) -> None:
    assert parameter.parse(text) == value


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (Device.exposure_s, "fast"),
        (Device.exposure_s, ""),
        (Device.width, "1.5"),
        (Device.width, "0x10"),
        (Device.cooled, "perhaps"),
    ],
)
def test_text_of_another_kind_is_refused(parameter: Any, text: str) -> None:
    with pytest.raises(ParameterError, match="expected"):
        parameter.parse(text)


def test_specs_describe_everything_an_editor_needs() -> None:
    spec = {spec.name: spec for spec in Device(exposure_s=2.0).specs()}

    assert list(spec) == [
        *("exposure_s", "width", "offset", "temperature_c"),
        *("cooled", "mode", "label"),
    ]
    exposure = spec["exposure_s"]
    assert (exposure.kind, exposure.unit, exposure.live) == ("float", "s", True)
    assert (exposure.value, exposure.default) == (2.0, 0.1)
    assert (exposure.low, exposure.high) == (0.001, 10.0)
    assert (spec["temperature_c"].low, spec["temperature_c"].high) == (-40.0, None)
    assert spec["mode"].choices == ("free", "external")


def test_a_subclass_adds_changes_and_removes_parameters() -> None:
    class Special(Device):
        exposure_s = Float(0.2, help="Another default.")
        gain = Int(1, help="New.")
        label = None  # type: ignore[assignment]

    special = Special()

    assert special.exposure_s == 0.2
    assert list(special.values())[-1] == "gain"
    assert "label" not in special.values()
    assert Device().exposure_s == 0.1


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["free", "external", 64, 0.1, True]),
    st.lists(st.integers(), max_size=2),
)


@given(
    changes=st.dictionaries(
        st.sampled_from([*Device().values(), "unknown"]), anything, max_size=4
    )
)
def test_any_change_is_taken_within_limits_or_refused_without_trace(
    changes: dict[str, Any],
) -> None:
    device = Device()
    before = device.values()
    try:
        device.set_parameters(changes)
    except ParameterError:
        assert device.values() == before
        return
    after = device.values()
    assert {name for name in after if after[name] != before[name]} <= set(changes)
    assert 0.001 <= device.exposure_s <= 10.0
    assert 8 <= device.width <= 2048
    assert math.isfinite(device.temperature_c)
    assert device.temperature_c >= -40.0
    assert device.mode in ("free", "external")
    assert isinstance(device.cooled, bool)
    assert isinstance(device.label, str)


@given(text=st.text())
def test_parsing_any_text_gives_a_value_or_a_parameter_error(text: str) -> None:
    for parameter in Device.parameters().values():
        try:
            value = parameter.parse(text)
        except ParameterError:
            continue
        assert isinstance(value, bool | int | float | str)
