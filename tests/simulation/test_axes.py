import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modules.simulation._axes import on_grid


@given(
    ends=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    part=st.floats(0.0, 1.0),
    step=st.floats(0.0, 1.0),
)
@example(ends=(-1.0, 1.0), part=1.0, step=5e-324 * 1e9)
@example(ends=(0.0, 0.3), part=1.0, step=1 / 3)
@example(ends=(0.0, 824.988627529071), part=1.0, step=1 / 5609)
def test_a_place_on_the_grid_is_within_the_limits(
    ends: tuple[float, float], part: float, step: float
) -> None:
    low, high = sorted(ends)
    target = min(max(low + (high - low) * part, low), high)
    step_um = step * (high - low)

    found = on_grid(target, step_um, low, high)

    assert low <= found <= high
    assert abs(found - target) <= step_um * (1 + 1e-6)
    # What the encoder then says, must be allowed as the next target as well.
    assert on_grid(found, step_um, low, high) == found
    if step <= 0.5:
        assert on_grid(found, step_um, -1e7, 1e7) == found


@pytest.mark.parametrize(
    ("target", "low", "high", "found"),
    [
        (1.3, -10.0, 10.0, 1.5),
        (-1.3, -10.0, 10.0, -1.5),
        (1.2, -10.0, 10.0, 1.0),
        (1.3, -10.0, 1.4, 1.0),  # the nearest step is beyond
        (-1.3, -1.4, 10.0, -1.0),
    ],
)
def test_it_is_the_nearest_step_allowed(
    target: float, low: float, high: float, found: float
) -> None:
    assert on_grid(target, 0.5, low, high) == found


def test_no_step_is_any_place() -> None:
    assert on_grid(math.pi, 0.0, -10.0, 10.0) == math.pi


def test_without_a_step_between_the_limits_it_stays_within_them() -> None:
    assert 0.2 <= on_grid(0.5, 1.0, 0.2, 0.8) <= 0.8


def test_steps_near_the_end_of_numbers_are_none() -> None:
    assert on_grid(2.0, 1e-308, -2.0, 2.0) == 2.0
