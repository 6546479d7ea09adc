"""Which frames of a source make up which frame of a feed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import BadInput, ParameterError, Value
from modules.feeds.feed import FeedModule
from modules.feeds.kinds import (
    KINDS,
    AverageKind,
    FeedKind,
    IntervalKind,
    SliceKind,
    make_kind,
    region_of,
)
from modules.feeds.mean import Mean

DEFAULTS: dict[str, Value] = {
    name: parameter.default for name, parameter in FeedModule.parameters().items()
}


def kind_of(kind: str, **values: Value) -> FeedKind:
    return make_kind(DEFAULTS | {"kind": kind} | values)


KINDS_OF_ALL_SORTS = st.one_of(
    st.builds(AverageKind, st.integers(1, 20)),
    st.integers(1, 20).flatmap(
        lambda cycle: st.sets(st.integers(0, cycle - 1), min_size=1).map(
            lambda positions: IntervalKind(cycle, tuple(sorted(positions)))
        )
    ),
    st.just(SliceKind()),
)


@given(KINDS_OF_ALL_SORTS, st.integers(0, 200))
def test_the_planned_count_is_what_so_many_frames_really_make(
    kind: FeedKind, frames: int
) -> None:
    places = [p for p in map(kind.place_of, range(frames)) if p is not None]
    whole = {p for p in places if places.count(p) == kind.members}

    assert kind.whole_of(frames) == len(whole)
    assert sorted(whole) == list(range(len(whole)))
    assert places == sorted(places)


def test_an_average_is_made_of_so_many_frames_in_a_row() -> None:
    kind = kind_of("average", frames_to_average=3)

    assert [kind.place_of(n) for n in range(7)] == [0, 0, 0, 1, 1, 1, 2]
    assert [kind.whole_of(n) for n in (0, 2, 3, 20)] == [0, 0, 1, 6]


def test_an_interval_takes_certain_positions_of_each_cycle() -> None:
    kind = kind_of("interval", cycle_length=4, capture_frames=" 3,0")

    assert [kind.place_of(n) for n in range(9)] == [
        0,
        None,
        None,
        1,
        2,
        None,
        None,
        3,
        4,
    ]
    assert [kind.whole_of(n) for n in (0, 1, 3, 4, 9)] == [0, 1, 1, 2, 5]


@pytest.mark.parametrize("text", ["", "0,", "a", "0,0", "-1", "0,10", "1.5", "0 5"])
def test_positions_that_are_none_in_the_cycle_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=r"capture_frames=.*from 0 to 9"):
        kind_of("interval", cycle_length=10, capture_frames=text)


def test_a_region_is_a_part_of_a_frame_and_zero_means_the_rest() -> None:
    part = DEFAULTS | {"x_px": 2, "y_px": 3, "width_px": 4}

    assert region_of(part, 10, 8) == (2, 3, 4, 5)
    assert region_of(DEFAULTS, 10, 8) == (0, 0, 10, 8)


def test_a_slice_is_made_of_every_frame() -> None:
    kind = kind_of("slice")

    assert kind.place_of(7) == 7
    assert kind.whole_of(7) == 7


@pytest.mark.parametrize(
    "part",
    [
        {"x_px": 10},
        {"y_px": 8},
        {"x_px": 7, "width_px": 4},
        {"y_px": 8, "height_px": 1},
        {"width_px": 11},
    ],
)
def test_a_region_beyond_the_frame_is_refused_with_both_sizes(
    part: dict[str, Value],
) -> None:
    with pytest.raises(BadInput, match=r"region of .* within the frames of 10x8 px"):
        region_of(DEFAULTS | part, 10, 8)


def test_every_parameter_of_a_kind_is_one_of_the_feed() -> None:
    named = {name for kind in KINDS.values() for name in kind.parameters}

    assert named < set(FeedModule.parameters())


@given(
    st.lists(
        st.lists(st.integers(0, 65_535), min_size=4, max_size=4),
        min_size=1,
        max_size=9,
    ),
)
def test_the_mean_of_16_bit_frames_is_exact_and_halves_are_rounded_up(
    frames: list[list[int]],
) -> None:
    mean = Mean((2, 2), np.dtype(np.uint16))
    for frame in frames:
        mean.add(np.array(frame, np.uint16).reshape(2, 2))
    out = np.empty((2, 2), np.uint16)
    mean.into(out)

    sums = np.array(frames, dtype=object).sum(axis=0)
    expected = [(2 * s + len(frames)) // (2 * len(frames)) for s in sums]
    assert out.ravel().tolist() == expected


def test_the_mean_of_very_many_bright_frames_does_not_overflow() -> None:
    mean = Mean((1, 1), np.dtype(np.uint16))
    for _ in range(10_000):
        mean.add(np.full((1, 1), 65_535, np.uint16))
    out = np.empty((1, 1), np.uint16)
    mean.into(out)

    assert out[0, 0] == 65_535


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.uint8, (1, 2), 2),
        (np.uint32, (2**32 - 1, 2**32 - 1), 2**32 - 1),
        (np.int16, (-3, -4), -4),
        (np.float32, (0.5, 1.0), 0.75),
    ],
)
def test_the_mean_has_the_type_of_its_source(
    dtype: Any, values: tuple[float, ...], expected: float
) -> None:
    mean = Mean((1, 1), np.dtype(dtype))
    for value in values:
        mean.add(np.full((1, 1), value, dtype))
    out = np.empty((1, 1), dtype)
    mean.into(out)

    assert out[0, 0] == expected


def test_a_mean_can_be_begun_anew() -> None:
    mean = Mean((1, 1), np.dtype(np.uint16))
    mean.add(np.full((1, 1), 7, np.uint16))
    mean.begin()
    mean.add(np.full((1, 1), 3, np.uint16))
    out = np.empty((1, 1), np.uint16)
    mean.into(out)

    assert out[0, 0] == 3
