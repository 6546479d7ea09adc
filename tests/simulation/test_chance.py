import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.simulation._chance import SEED_MAX, spread

seeds = st.integers(0, SEED_MAX)


@given(seeds, st.text(max_size=20), seeds, st.integers(1, 5))
def test_a_throw_depends_on_its_arguments_alone(
    seed: int, purpose: str, number: int, count: int
) -> None:
    one = spread(seed, purpose, number, count)
    spread(seed, purpose, number // 2, 3)

    assert spread(seed, purpose, number, count) == one
    assert len(one) == count
    assert all(-6.0 <= throw <= 6.0 for throw in one)


def test_throws_are_the_same_on_every_machine() -> None:
    # Written down once; a change moves every film taken with such a device.
    assert spread(1, "xy_stage", 1, 2) == (0.2405984468484661, -0.5051355161164608)


def test_seed_purpose_and_number_all_count() -> None:
    throws = {
        spread(seed, purpose, number, 1)
        for seed in (1, 2)
        for purpose in ("x", "y")
        for number in (1, 2, 2**40)
    }

    assert len(throws) == 12


def test_throws_spread_by_one_around_nothing() -> None:
    throws = [throw for n in range(2000) for throw in spread(3, "x", n, 2)]

    assert statistics.fmean(throws) == pytest.approx(0.0, abs=0.06)
    assert statistics.stdev(throws) == pytest.approx(1.0, abs=0.05)
    assert statistics.correlation(throws[::2], throws[1::2]) == pytest.approx(
        0.0, abs=0.08
    )
