from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import given

from hal.acquisition.plans import from_useq
from hal.acquisition.plans._useq_axes import times_of
from hal.acquisition.plans.sequence import TimeRun, Times
from tests.acquisition.plans.sequences import made, time_plans


@given(time_plans.filter(bool))
def test_times_are_those_of_useq(described):
    plan = made({"time_plan": described}).time_plan
    times = times_of(plan, "time_plan")

    expected = list(plan)
    assert [times.at_s(n) for n in range(len(times))] == expected
    assert times.last_s == expected[-1]
    steps = {round(b - a, 6) for a, b in itertools.pairwise(expected)}
    assert {round(step, 6) for step in times.intervals_s()} == steps
    if len(expected) > 1:
        assert times.interval_s == pytest.approx(expected[-1] - expected[-2])


def test_there_is_no_time_behind_the_last():
    times = Times((TimeRun(0, 5, 3),))

    with pytest.raises(IndexError):
        times.at_s(3)


def test_a_long_plan_takes_no_memory_wherever_its_time_axis_stands():
    for order in ("tpc", "pct", "ptc"):
        plan = from_useq(
            made(
                {
                    "axis_order": order,
                    "time_plan": {"interval": 1, "loops": 10**9},
                    "channels": [*"abcde"],
                    "stage_positions": [{"x": 1}, {"x": 2}],
                }
            )
        )
        tracemalloc.start()
        first = list(itertools.islice(plan, 20))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert len(first) == 20
        assert plan.n_images == 10**10
        assert most < 10**6, order
