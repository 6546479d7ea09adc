"""Errors as data: everything about an exception, whatever it does when printed."""

from __future__ import annotations

import enum
import math
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import (
    Cancelled,
    ConfigError,
    DeviceError,
    ErrorRecord,
    HalError,
    HandlerFailed,
    LimitError,
    OutputExists,
    ParameterError,
    RemoteError,
    StartError,
)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class WithArguments(DeviceError):
    """A plugin's error with a constructor of its own."""

    def __init__(self, axis: str, code: int) -> None:
        super().__init__(f"axis {axis}: code {code}", axis=axis, code=code)


class Colour(enum.IntEnum):
    RED = 1


def recorded(exc: BaseException) -> ErrorRecord:
    """Return the record of `exc` as raised, and prove that it can travel."""
    try:
        raise exc
    except BaseException as caught:  # noqa: BLE001 - it is what is tested
        record = ErrorRecord.from_exception(caught, "stage")
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=ErrorRecord)
    orjson.dumps(msgspec.to_builtins(record))
    assert decoded == record
    return record


def test_hals_own_error_keeps_class_text_data_and_stack() -> None:
    record = recorded(LimitError("too far", x_um=3.0, axis="x"))

    assert (record.kind, record.text, record.source) == (
        "LimitError",
        "too far",
        "stage",
    )
    assert record.data == {"x_um": 3.0, "axis": "x"}
    assert record.severity == "error"
    assert "test_error_record.py" in record.traceback
    assert recorded(Cancelled("given up")).severity == "warning"


def test_a_foreign_error_is_a_failure_of_the_handler() -> None:
    record = recorded(ZeroDivisionError("division by zero"))

    assert record.kind == "HandlerFailed"
    assert record.text == "ZeroDivisionError: division by zero"
    assert record.data == {"exception": "ZeroDivisionError"}
    assert isinstance(record.to_exception(), HandlerFailed)


@pytest.mark.parametrize("exc", [SystemExit(), KeyboardInterrupt(), ValueError()])
def test_an_error_without_text_still_has_one(exc: BaseException) -> None:
    assert type(exc).__name__ in recorded(exc).text


def test_an_error_that_cannot_be_printed_says_so() -> None:
    record = recorded(Unprintable())

    assert "its text is broken: ValueError" in record.text
    assert record.traceback


def test_text_that_is_not_utf8_is_escaped() -> None:
    record = recorded(OSError("cannot open b\udcff.dax"))

    assert record.text == r"OSError: cannot open b\udcff.dax"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2.5, 2.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (np.float64(math.inf), "inf"),
        ("text", "text"),
        (1 << 70, str(1 << 70)),
        (np.float64(1.5), 1.5),
        (np.int64(3), "3"),
        (Colour.RED, 1),
        ([1, 2], "[1, 2]"),
        ("\udcff", r"\udcff"),
        (Unprintable(), "Unprintable (its text is broken: ValueError)"),
    ],
)
def test_data_becomes_plain(value: Any, plain: object) -> None:
    found = recorded(DeviceError("odd", value=value)).data["value"]

    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize(
    "exc",
    [
        LimitError("too far", x_um=3.0),
        DeviceError("no answer"),
        Cancelled("given up"),
        WithArguments("x", 7),
    ],
)
def test_the_exception_comes_back_in_its_own_class(exc: HalError) -> None:
    again = recorded(exc).to_exception()

    assert type(again) is type(exc)
    assert str(again) == f"stage: {exc.text}"
    assert again.data == exc.data


@pytest.mark.parametrize("cls", [ConfigError, OutputExists, StartError])
def test_errors_with_a_place_keep_it_in_their_text(cls: type[Any]) -> None:
    again = recorded(cls("no such class", file="sim.xml", line=3)).to_exception()

    assert type(again) is cls
    assert str(again) == "sim.xml:3: no such class"
    assert again.source == "stage"


def test_whose_parameter_it_is_is_told() -> None:
    again = recorded(ParameterError("unknown parameter 'x'")).to_exception()

    assert str(again) == "stage: unknown parameter 'x'"


def test_an_error_passed_on_remains_the_error_of_where_it_happened() -> None:
    first = msgspec.structs.replace(
        recorded(LimitError("too far", x_um=3.0)), dump="all threads"
    )

    second = pass_on(first, "planner")
    third = pass_on(second, "acquisition")

    for record in (second, third):
        assert str(record) == "stage: too far"
        assert msgspec.structs.replace(record, traceback=first.traceback) == first
    assert first.traceback in second.traceback
    assert second.traceback in third.traceback
    assert "in pass_on" in second.traceback


def test_a_kind_that_is_not_known_here_is_passed_on_as_it_is() -> None:
    odd = ErrorRecord(
        kind="PluginElsewhere", text="odd", source="remote", severity="warning"
    )

    again = pass_on(odd, "acquisition")

    assert (again.kind, again.source, again.severity) == (
        "PluginElsewhere",
        "remote",
        "warning",
    )


def test_an_error_with_another_one_as_its_cause_is_an_error_of_its_own() -> None:
    origin = recorded(DeviceError("no answer"))
    try:
        try:
            raise origin.to_exception()
        except DeviceError as exc:
            raise LimitError("cannot move") from exc
    except LimitError as caught:
        record = ErrorRecord.from_exception(caught, "planner")

    assert (record.kind, str(record)) == ("LimitError", "planner: cannot move")
    assert origin.traceback in record.traceback


def pass_on(record: ErrorRecord, source: str) -> ErrorRecord:
    """Raise the error of a record, and record it again in another module."""
    try:
        raise record.to_exception()
    except HalError as caught:
        return ErrorRecord.from_exception(caught, source)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("no answer", "camera1: no answer"),
        ("camera1 is degraded", "camera1 is degraded"),
        ("camera1: no answer", "camera1: no answer"),
        ("camera1", "camera1"),
        ("camera10 is degraded", "camera1: camera10 is degraded"),
        ("camera1_left is degraded", "camera1: camera1_left is degraded"),
    ],
)
def test_a_person_reads_the_source_once(text: str, line: str) -> None:
    record = ErrorRecord(kind="DeviceError", text=text, source="camera1")

    assert str(record) == line
    assert str(record.to_exception()) == line
    without = ErrorRecord(kind="DeviceError", text=text, source="")
    assert str(without) == str(without.to_exception()) == text


def test_data_may_have_any_name() -> None:
    exc = DeviceError("odd")
    exc.data = {"text": 1, "self": 2, "\udcff": 3}

    record = recorded(exc)

    assert record.to_exception().data == {"text": 1, "self": 2, r"\udcff": 3}


def test_a_kind_from_elsewhere_comes_back_as_a_remote_error() -> None:
    record = ErrorRecord(kind="PluginElsewhere", text="odd", source="remote")

    assert type(record.to_exception()) is RemoteError


@given(text=st.text(), data=st.dictionaries(st.text(min_size=1), st.integers()))
def test_any_text_and_data_can_travel(text: str, data: dict[str, int]) -> None:
    class Odd(HalError):
        pass

    exc = Odd(text)
    exc.data = dict(data)

    assert recorded(exc).kind == "Odd"
