import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.simulation._profile import Profile

lengths = st.one_of(st.just(0.0), st.floats(1e-9, 1e6))
speeds = st.floats(1e-3, 1e9)
accelerations = st.one_of(st.just(0.0), st.floats(1e-3, 1e12))


@pytest.mark.parametrize(
    ("length", "speed", "acceleration", "duration_s"),
    [
        (100.0, 50.0, 0.0, 2.0),  # at once: d / v
        (100.0, 10.0, 5.0, 12.0),  # d / v + v / a
        (20.0, 10.0, 5.0, 4.0),  # exactly d = v^2 / a: both formulas
        (5.0, 10.0, 5.0, 2.0),  # a triangle: 2 sqrt(d / a)
        (0.0, 10.0, 5.0, 0.0),
    ],
)
def test_a_move_takes_what_the_formula_says(
    length: float, speed: float, acceleration: float, duration_s: float
) -> None:
    assert Profile(length, speed, acceleration).duration_s == pytest.approx(duration_s)


def test_a_trapezoid_goes_through_its_corners() -> None:
    profile = Profile(100.0, 10.0, 5.0)

    assert profile.travelled(1.0) == pytest.approx(2.5)  # a t^2 / 2
    assert profile.travelled(2.0) == pytest.approx(10.0)
    assert profile.travelled(6.0) == pytest.approx(50.0)
    assert profile.travelled(10.0) == pytest.approx(90.0)
    assert profile.travelled(11.0) == pytest.approx(97.5)
    assert profile.travelled(12.0) == 100.0


@given(lengths, speeds, accelerations)
def test_duration_is_that_of_the_formula(d: float, v: float, a: float) -> None:
    if not a:
        expected_s = d / v
    elif d >= v**2 / a:
        expected_s = d / v + v / a
    else:
        expected_s = 2 * math.sqrt(d / a)

    assert Profile(d, v, a).duration_s == pytest.approx(expected_s)


@given(lengths, speeds, accelerations)
def test_it_goes_forward_within_its_length_and_below_its_speed(
    d: float, v: float, a: float
) -> None:
    profile = Profile(d, v, a)
    times_s = [profile.duration_s * part / 20 for part in range(-1, 22)]
    ways = [profile.travelled(time_s) for time_s in times_s]

    assert ways[0] == 0.0
    assert ways[-1] == d
    for (t0_s, t1_s), (w0, w1) in zip(
        itertools.pairwise(times_s), itertools.pairwise(ways), strict=True
    ):
        assert 0.0 <= w0 <= d
        assert w1 - w0 >= -1e-9 * d
        assert w1 - w0 <= v * (t1_s - t0_s) * (1 + 1e-6) + 1e-9 * d


@given(lengths, speeds, accelerations, st.floats(0.0, 1.0))
def test_it_brakes_as_it_sped_up(d: float, v: float, a: float, part: float) -> None:
    profile = Profile(d, v, a)
    at_s = profile.duration_s * part

    both = profile.travelled(at_s) + profile.travelled(profile.duration_s - at_s)

    assert both == pytest.approx(d, rel=1e-6, abs=1e-12)
