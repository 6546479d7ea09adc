from __future__ import annotations

import itertools
import random

import msgspec
import pytest

from hal.acquisition import FilmPlan
from hal.acquisition.plans import (
    AfterFailure,
    AutofocusEvent,
    FailurePolicy,
    ImageEvent,
    Plan,
    WaitEvent,
    combine,
    explicit,
    film,
    from_useq,
    wait,
)
from hal.base import PlanError, pack, unpack
from tests.acquisition.plans.sequences import made


def test_a_film_is_the_simplest_plan():
    plan = film(FilmPlan(3, ("camera1",)))

    assert [dict(event.index) for event in plan] == [{"t": 0}, {"t": 1}, {"t": 2}]
    assert plan.film == FilmPlan(3, ("camera1",))
    assert (plan.n_events, plan.n_images, plan.sizes) == (3, 3, {"t": 3})
    assert unpack(Plan, pack(plan)) == plan
    assert from_useq(made({"channels": ["a"]})).film is None


def test_a_film_without_an_end_is_as_long_as_one_likes():
    plan = film(FilmPlan(None))

    assert (plan.n_events, plan.n_images, plan.sizes) == (None, None, {})
    assert next(itertools.islice(plan, 5000, None)).index == {"t": 5000}
    assert combine(wait(5), plan).n_events is None


def test_a_film_goes_on_from_where_it_stands():
    plan = combine(film(FilmPlan(2)), wait(3), film(FilmPlan(2)))

    images = [event for event in plan if event.makes_image]
    assert [event.index["t"] for event in images] == [0, 1, 2, 3]
    assert [event.min_start_time_s for event in images] == [None, None, 3.0, None]


def test_events_are_sorted_once_by_time_then_position():
    events = [
        ImageEvent(index={"t": t, "p": p, "c": c}, min_start_time_s=float(t))
        for t in range(3)
        for p in range(3)
        for c in range(2)
    ]
    mixed = sorted(events, key=lambda event: event.index["c"])

    assert list(explicit(mixed)) == events


def test_sorting_keeps_equal_events_as_they_came():
    rng = random.Random(2)
    events = [
        ImageEvent(
            index={"p": rng.randint(0, 2), "n": n},
            min_start_time_s=float(rng.randint(0, 2)),
        )
        for n in range(60)
    ]

    keys = [(e.min_start_time_s, e.index["p"], e.index["n"]) for e in explicit(events)]
    assert keys == sorted(keys)


def test_what_has_no_time_stays_behind_the_one_before_it():
    names = ["a", "b", "c", "d"]
    times_s = [5.0, None, 0.0, None]
    events = [
        ImageEvent(position_name=name, min_start_time_s=time_s)
        for name, time_s in zip(names, times_s, strict=True)
    ]

    told = [event.position_name for event in explicit(events)]
    assert told == ["c", "d", "a", "b"]


def test_sorting_stops_where_the_timer_starts_again():
    events = [
        ImageEvent(index={"t": 0}, min_start_time_s=9.0),
        ImageEvent(index={"t": 1}, min_start_time_s=0.0, reset_timer=True),
        ImageEvent(index={"t": 2}, min_start_time_s=1.0),
    ]

    assert list(explicit(events)) == events
    assert explicit(events).parts[0].restarts


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (ImageEvent(min_start_time_s=-1.0), "event 1: min_start_time_s=-1.0"),
        (ImageEvent(min_start_time_s=float("inf")), "min_start_time_s=inf"),
        (ImageEvent(x_um=float("nan")), "event 1: x_um=nan: expected a finite"),
        (ImageEvent(exposure_s=0.0), "exposure_s=0.0: .* above 0"),
        (ImageEvent(index={"t": -1}), "index t=-1: expected a number from 0"),
        (WaitEvent(duration_s=-5.0), "duration_s=-5.0"),
        (WaitEvent(duration_s=float("nan")), "duration_s=nan"),
        ("take one", "str is no kind of event"),
    ],
)
def test_a_listed_event_nobody_could_run_is_refused_with_its_number(event, words):
    with pytest.raises(PlanError, match=words):
        explicit([ImageEvent(), event])


def test_a_plan_of_nothing_is_refused():
    with pytest.raises(PlanError, match="empty"):
        explicit([])


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "ten", True])
def test_a_wait_of_no_time_span_is_refused(seconds):
    with pytest.raises(PlanError, match="duration_s"):
        wait(seconds)


def test_the_policy_of_an_event_comes_before_that_of_the_plan():
    skip = FailurePolicy(1, AfterFailure.SKIP)
    plan = explicit(
        [ImageEvent(), AutofocusEvent(on_failure=FailurePolicy(3))], on_failure=skip
    )

    assert [plan.policy(event) for event in plan] == [skip, FailurePolicy(3)]
    assert Plan(parts=plan.parts).policy(ImageEvent()) == FailurePolicy(
        0, AfterFailure.ABORT
    )


def test_a_deadline_is_a_time():
    plan = msgspec.structs.replace(wait(1), deadline_s=0.0)

    with pytest.raises(PlanError, match=r"deadline_s=0\.0"):
        combine(plan, msgspec.structs.replace(wait(1), deadline_s=0.0))
