"""Records: what travels arrives as it was, or is refused with the place and reason."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import (
    InvalidMessage,
    Record,
    pack,
    record_class,
    unpack,
    unpack_any,
    wire_name,
)


class RecordPoint(Record, frozen=True):
    x_um: float
    y_um: float = 0.0


class RecordOfAll(Record, frozen=True):
    flag: bool
    count: int
    size: float
    name: str
    data: bytes
    maybe: int | None
    points: tuple[RecordPoint, ...]
    table: dict[str, list[float]]
    limited: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
    anything: Any


numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(exclude_categories=["Cs"]))
points = st.builds(RecordPoint, x_um=numbers, y_um=numbers)
records = st.builds(
    RecordOfAll,
    flag=st.booleans(),
    count=st.integers(-(2**63), 2**63 - 1),
    size=numbers,
    name=words,
    data=st.binary(),
    maybe=st.none() | st.integers(0, 100),
    points=st.lists(points, max_size=3).map(tuple),
    table=st.dictionaries(words, st.lists(numbers, max_size=3), max_size=3),
    limited=st.floats(0.0, 1.0),
    anything=st.recursive(
        st.none() | st.booleans() | st.integers(-100, 100) | numbers | words,
        lambda inner: st.lists(inner) | st.dictionaries(words, inner),
        max_leaves=8,
    ),
)


@given(record=records)
def test_a_record_arrives_as_it_was(record: RecordOfAll) -> None:
    assert unpack(RecordOfAll, pack(record)) == record
    assert unpack_any(pack(record)) == record


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "place", ["size", "points[1] y_um", "table a[1]", "anything b[0] c"]
)
def test_a_number_that_is_not_finite_is_refused_wherever_it_hides(
    place: str, number: float
) -> None:
    fields: dict[str, Any] = {
        "size": 1.0,
        "points": (RecordPoint(1.0), RecordPoint(1.0, 2.0)),
        "table": {"a": [1.0, 2.0]},
        "anything": {"b": [{"c": 1.0}]},
    }
    wrong: dict[str, Any] = {
        "size": number,
        "points": (RecordPoint(1.0), RecordPoint(1.0, number)),
        "table": {"a": [1.0, number]},
        "anything": {"b": [{"c": number}]},
    }
    fields[place.split("[")[0].split(" ")[0]] = wrong[place.split("[")[0].split()[0]]
    record = RecordOfAll(
        flag=True, count=1, name="", data=b"", maybe=None, limited=0.5, **fields
    )

    with pytest.raises(InvalidMessage) as caught:
        unpack(RecordOfAll, pack(record))

    assert place in str(caught.value)
    assert "finite" in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        print,
        np.zeros(3),
        np.float64(1.0),
        1 << 70,
        "\udcff",
        ValueError("live"),
        {"deep": [object()]},
    ],
)
def test_what_is_not_plain_data_does_not_leave(value: object) -> None:
    with pytest.raises(InvalidMessage) as caught:
        pack(value)
    assert "\n" not in str(caught.value)


def test_data_nested_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidMessage):
        pack(endless)
    deep: list[Any] = []
    for _ in range(700):
        deep = [deep]
    packed = pack(RecordOfAll(True, 1, 1.0, "", b"", None, (), {}, 0.5, deep))
    # How deep is too deep is Python's to say, but it says so as InvalidMessage.
    with contextlib.suppress(InvalidMessage):
        unpack(RecordOfAll, packed)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xff",
        pack({"y_um": 1.0}),
        pack([1]),
        pack(RecordPoint(1.0))[:-3],
    ],
)
def test_bytes_that_are_no_such_record_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidMessage, match="record point"):
        unpack(RecordPoint, data)


@given(data=st.binary(max_size=40))
def test_any_bytes_are_a_record_or_an_invalid_message(data: bytes) -> None:
    for read in (lambda: unpack(RecordPoint, data), lambda: unpack_any(data)):
        try:
            read()
        except InvalidMessage:
            continue


def test_an_unknown_record_is_refused_by_name() -> None:
    with pytest.raises(InvalidMessage, match="unknown kind of record: 'no such'"):
        unpack_any(pack({"record": "no such"}))
    with pytest.raises(InvalidMessage, match="'no such'"):
        record_class("no such")


@pytest.mark.parametrize("value", [None, 1, "text", [1, 2], {"a": 1}, {"record": [1]}])
def test_plain_data_stays_plain_data(value: object) -> None:
    assert unpack_any(pack(value)) == value


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("value", "place"),
    [
        (lambda x: x, "response:"),
        (lambda x: [1.0, x], "response:[1]"),
        (lambda x: {"a": {"b": (0, x)}}, "response: a b[1]"),
        (lambda x: {x: 1}, "response: "),
    ],
)
def test_plain_data_with_a_number_that_is_not_finite_is_refused(
    value: Callable[[float], object], place: str, number: float
) -> None:
    with pytest.raises(InvalidMessage, match="finite") as caught:
        unpack_any(pack(value(number)))

    assert str(caught.value).startswith(place)


def test_records_are_known_by_the_name_on_the_wire() -> None:
    assert record_class("record point") is RecordPoint


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("MoveStage", "move stage"),
        ("XYStage", "xy stage"),
        ("Run", "run"),
        ("SetZ2Focus", "set z2 focus"),
    ],
)
def test_names_on_the_wire_are_words(name: str, wire: str) -> None:
    assert wire_name(name) == wire


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RecordPoint(1.0).x_um = 2.0  # type: ignore[misc]


def test_a_name_on_the_wire_belongs_to_one_class() -> None:
    class NameTaken(Record, frozen=True):
        x: int

    class NameTakenElsewhere(Record, frozen=True):
        __module__ = "some.plugin"

    taken = r"'name taken elsewhere' is a record of some\.plugin already"
    with pytest.raises(TypeError, match=taken):
        type(Record)("NameTakenElsewhere", (Record,), {"__module__": "other"})

    class NameTaken(Record, frozen=True):  # type: ignore[no-redef]  # noqa: F811
        y: int

    assert record_class("name taken") is NameTaken


def test_two_threads_may_read_records_of_new_kinds_at_once():
    """Msgspec ends the process otherwise; so it is another one here."""
    script = Path(__file__).with_name("race_of_decoders.py")

    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=script.parents[2],
        env={**os.environ, "PYTHONPATH": str(script.parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
