from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.acquisition import FilmPlan
from hal.acquisition.plans import (
    AfterFailure,
    FailurePolicy,
    ImageEvent,
    Phase,
    Plan,
    WaitEvent,
    append,
    combine,
    continuation,
    explicit,
    film,
    from_useq,
    offset_positions,
    wait,
)
from hal.base import PlanError, pack, unpack
from tests.acquisition.plans.sequences import made


def lapse(*times_s: float, p: int = 1, x_um: float = 0.0, order: str = "tp") -> Plan:
    """Return a time lapse of evenly spaced times at a few positions."""
    interval_s = times_s[1] - times_s[0] if len(times_s) > 1 else 0.0
    return from_useq(
        made(
            {
                "axis_order": order,
                "time_plan": {"interval": interval_s, "loops": len(times_s)},
                "stage_positions": [(x_um + 100 * n, 0, 0) for n in range(p)],
            }
        )
    )


def times_s(plan: Plan) -> list[float | None]:
    return [event.min_start_time_s for event in plan if isinstance(event, ImageEvent)]


def numbers(plan: Plan, axis: str) -> list[int]:
    return [event.index[axis] for event in plan if axis in event.index]


def waits(plan: Plan) -> list[tuple[float | None, float]]:
    return [
        (event.min_start_time_s, event.duration_s)
        for event in plan
        if isinstance(event, WaitEvent)
    ]


def test_phases_follow_after_the_interval_of_the_one_before():
    plan = combine(lapse(0, 10, 20), lapse(0, 5))

    assert times_s(plan) == [0, 10, 20, 30, 35]
    assert numbers(plan, "t") == [0, 1, 2, 3, 4]
    assert plan.sizes == {"t": 5, "p": 1}
    assert plan.n_images == plan.n_events == 5


def test_a_wait_leaves_out_the_interval_before_it():
    plan = combine(lapse(0, 10, 20), wait(10), lapse(0, 10, 20))

    assert times_s(plan) == [0, 10, 20, 30, 40, 50]
    assert numbers(plan, "t") == [0, 1, 2, 3, 4, 5]
    assert waits(plan) == [(20.0, 10.0)]
    assert (plan.n_events, plan.n_images) == (7, 6)


def test_a_leading_wait_delays_by_itself_alone():
    plan = combine(wait(10), lapse(0, 10))

    assert times_s(plan) == [10, 20]
    assert waits(plan) == [(0.0, 10.0)]
    assert numbers(plan, "t") == [0, 1]
    # A timer started at 10 s would make the second event due at 30 s.
    assert not any(event.reset_timer for event in plan)


def test_waits_in_a_row_add_up():
    plan = combine(lapse(0, 10), wait(10), wait(5), lapse(0, 10), wait(1))

    assert times_s(plan) == [0, 10, 25, 35]
    assert waits(plan) == [(10.0, 10.0), (20.0, 5.0), (35.0, 1.0)]


def test_a_wait_has_no_index_and_makes_no_image():
    (event,) = wait(2.5)

    assert (event.index, event.makes_image, event.duration_s) == ({}, False, 2.5)


def test_what_has_no_times_gets_those_of_its_place():
    stack = from_useq(made({"z_plan": {"range": 2, "step": 1}}))

    plan = combine(stack, wait(3), stack)

    assert times_s(plan) == [0, 0, 0, 3, 3, 3]
    assert [dict(event.index) for event in plan if event.makes_image] == [
        {"t": t, "z": z} for t in (0, 1) for z in range(3)
    ]


def test_a_timer_that_starts_again_on_the_way_is_what_the_next_part_counts_from():
    each = lapse(0, 10, p=2, order="pt")

    plan = combine(each, lapse(0, 1))

    assert times_s(plan) == [0, 10, 0, 10, 20, 21]
    assert [e.reset_timer for e in plan] == [True, False, True, False, False, False]


def test_a_later_part_whose_timer_starts_again_counts_from_there():
    plan = combine(lapse(0, 1), lapse(0, 10, p=2, order="pt"), wait(5), lapse(0))

    assert times_s(plan) == [0, 1, 2, 12, 0, 10, 15]
    assert [e.reset_timer for e in plan if e.makes_image] == [
        *(True, False, False, False),
        *(True, False, False),
    ]


def test_positions_side_by_side_share_the_time():
    plan = combine(lapse(0, 10, p=2), lapse(0, 5, 10, x_um=500), axis="p")

    assert [(e.min_start_time_s, e.index["p"], e.x_um) for e in plan] == [
        (0, 0, 0),
        (0, 1, 100),
        (0, 2, 500),
        (5, 2, 500),
        (10, 0, 0),
        (10, 1, 100),
        (10, 2, 500),
    ]
    assert plan.sizes == {"t": 3, "p": 3}


def test_merged_positions_can_be_followed_by_a_wait_and_others():
    both = combine(lapse(0, 10), lapse(0, 10, 20), axis="p")

    plan = combine(both, wait(5), both)

    assert times_s(plan) == [0, 0, 10, 10, 20, 25, 25, 35, 35, 45]
    assert numbers(plan, "t") == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5]
    assert numbers(plan, "p") == [0, 1, 0, 1, 1, 0, 1, 0, 1, 1]


def test_plans_without_positions_are_one_position_each():
    colour = from_useq(made({"channels": ["a", "b"]}))

    plan = combine(colour, colour, axis="p")

    assert numbers(plan, "p") == [0, 0, 1, 1]


leaves = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 9)).map(lambda said: wait(said[1])),
    st.builds(
        lambda count, step, p: lapse(*(step * n for n in range(count)), p=p),
        st.integers(1, 3),
        st.integers(0, 4),
        st.integers(1, 3),
    ),
    st.just(from_useq(made({"channels": ["a", "b"]}))),
    st.lists(
        st.builds(
            ImageEvent,
            index=st.builds(lambda p: {"p": p}, st.integers(0, 2)),
            min_start_time_s=st.one_of(st.none(), st.integers(0, 9).map(float)),
        ),
        min_size=1,
        max_size=4,
    ).map(explicit),
)


@settings(max_examples=150, deadline=None)
@given(leaves, leaves, leaves)
def test_combining_along_t_does_not_depend_on_where_one_begins(a, b, c):
    left = combine(combine(a, b), c)
    right = combine(a, combine(b, c))

    assert left == right == combine(a, b, c)
    assert list(left) == list(right)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        leaves.filter(lambda plan: plan.n_images).filter(lambda p: p.n_images),
        min_size=3,
        max_size=3,
    )
)
def test_combining_along_p_does_not_depend_on_where_one_begins(plans):
    a, b, c = plans
    left = combine(combine(a, b, axis="p"), c, axis="p")

    assert left == combine(a, combine(b, c, axis="p"), axis="p")
    assert left == combine(a, b, c, axis="p")


@settings(max_examples=150, deadline=None)
@given(st.lists(leaves, min_size=1, max_size=5))
def test_times_never_run_backwards_and_nothing_is_lost(plans):
    plan = combine(*plans)

    events = list(plan)
    due = [e.min_start_time_s for e in events if e.min_start_time_s is not None]
    assert due == sorted(due)
    assert len(events) == plan.n_events == sum(each.n_events or 0 for each in plans)
    assert sum(event.makes_image for event in events) == plan.n_images
    assert list(unpack(Plan, pack(plan))) == events
    ended_s = 0.0
    for event in events:
        due_s = event.min_start_time_s
        assert due_s is None or due_s >= ended_s
        if isinstance(event, WaitEvent):
            ended_s = event.min_start_time_s + event.duration_s


@settings(max_examples=100, deadline=None)
@given(st.lists(leaves.filter(lambda p: p.n_images), min_size=2, max_size=4))
def test_side_by_side_is_ordered_by_time_then_plan(plans):
    plan = combine(*plans, axis="p")

    ends = list(itertools.accumulate(each.sizes.get("p", 1) for each in plans))
    due_s, keys = 0.0, []
    for event in plan:
        due_s = due_s if event.min_start_time_s is None else event.min_start_time_s
        keys.append((due_s, sum(event.index["p"] >= end for end in ends)))
    timed = [key for key, e in zip(keys, plan, strict=True) if e.min_start_time_s]
    assert timed == sorted(timed)
    assert len(keys) == plan.n_events


@pytest.mark.parametrize(
    ("plans", "axis", "words"),
    [
        ((), "t", "at least one plan"),
        ((wait(1), wait(2)), "z", "axis='z'"),
        ((lapse(0), combine(lapse(0), wait(1))), "p", "plan 1 has a wait"),
        ((film(FilmPlan(3)), lapse(0)), "p", "plan 0 has a film"),
        (
            (lapse(0), lapse(0, 1, p=2, order="pt")),
            "p",
            "plan 1 starts its timer again",
        ),
        ((film(FilmPlan(None)), lapse(0)), "t", "without an end"),
        (
            (lapse(0), combine(lapse(0), combine(lapse(0), lapse(1), axis="p"))),
            "p",
            "merged positions",
        ),
    ],
)
def test_what_cannot_be_combined_is_refused_with_its_number(plans, axis, words):
    with pytest.raises(PlanError, match=words):
        combine(*plans, axis=axis)


def test_plans_with_different_policies_are_not_silently_made_one():
    skipping = explicit([ImageEvent()], on_failure=FailurePolicy(2, AfterFailure.SKIP))

    with pytest.raises(PlanError, match="on_failure of plan 1"):
        combine(lapse(0), skipping)
    assert combine(skipping, skipping).on_failure.retries == 2


def test_deadlines_add_up_along_t_and_the_longest_counts_along_p():
    short = msgspec.structs.replace(lapse(0), deadline_s=5.0)
    long = msgspec.structs.replace(lapse(0), deadline_s=20.0)

    assert combine(short, long).deadline_s == 25
    assert combine(short, long, axis="p").deadline_s == 20
    assert combine(short, lapse(0)).deadline_s is None


def test_one_phase_may_not_have_two_names():
    with pytest.raises(PlanError, match="'a' has two names: 'One' and 'Two'"):
        combine(wait(1, Phase("a", "One")), wait(1, Phase("a", "Two")))
    plan = combine(wait(1, Phase("a", "One")), wait(1, Phase("a", "One")))
    assert plan.phases == (Phase("a", "One"),)


def test_each_position_is_due_later_than_the_one_before():
    plan = offset_positions(lapse(0, 10, p=3), 2.5)

    assert times_s(plan) == [0, 2.5, 5, 10, 12.5, 15]
    merged = combine(offset_positions(lapse(0, 10, p=2), 2), lapse(0, 10), axis="p")
    assert times_s(merged) == [0, 0, 2, 10, 10, 12]


def test_positions_of_a_list_are_offset_too():
    events = [
        ImageEvent(index={"t": t, "p": p}, min_start_time_s=10.0 * t)
        for t in range(2)
        for p in range(2)
    ]

    assert times_s(offset_positions(explicit(events), 1)) == [0, 1, 10, 11]
    with pytest.raises(PlanError, match="less than the interval of 10 s"):
        offset_positions(explicit(events), 10)


@pytest.mark.parametrize(
    ("plan", "seconds", "words"),
    [
        (lapse(0, 10, p=3), -1, "time_per_position_s=-1"),
        (lapse(0, 10, p=3), float("nan"), "time_per_position_s=nan"),
        (lapse(0, 10, p=3), 5, "due 10 s late, expected less than .* 10 s"),
        (lapse(0, 10, p=3, order="pt"), 1, "begins with t"),
        (film(FilmPlan(3)), 1, "before plans are merged"),
        (
            from_useq(
                made(
                    {
                        "axis_order": "tcp",
                        "channels": ["a"],
                        "time_plan": {"interval": 9, "loops": 2},
                        "stage_positions": [(0, 0), (1, 1)],
                    }
                )
            ),
            1,
            "axis_order='tcp': expected p right behind t",
        ),
    ],
)
def test_an_offset_that_would_mix_timepoints_is_refused(plan, seconds, words):
    with pytest.raises(PlanError, match=words):
        offset_positions(plan, seconds)


def test_appended_events_go_on_in_t_and_know_the_places():
    plan = lapse(0, 10, p=2)
    more = from_useq(made({"stage_positions": [(100.2, 0, 0), (700, 0, 0), (0, 0, 0)]}))

    whole = append(plan, more)

    assert list(whole)[:4] == list(plan)
    assert [(e.index["t"], e.index["p"], e.x_um) for e in list(whole)[4:]] == [
        (2, 1, 100.2),
        (2, 2, 700),
        (2, 0, 0),
    ]
    assert times_s(whole)[4:] == [20, 20, 20]
    assert whole.sizes == {"t": 3, "p": 3}
    again = append(whole, from_useq(made({"stage_positions": [(700, 0, 0)]})))
    assert next(reversed(list(again))).index == {"t": 3, "p": 2}


def test_how_near_is_the_same_place_can_be_said():
    whole = append(lapse(0, p=2), lapse(0, x_um=3), tolerance_um=5)

    assert numbers(whole, "p") == [0, 1, 0]
    assert numbers(append(lapse(0, p=2), lapse(0, x_um=3)), "p") == [0, 1, 2]


def test_height_counts_where_both_say_one():
    def at(z_um: float | None) -> Plan:
        return from_useq(made({"stage_positions": [{"x": 1, "y": 1, "z": z_um}]}))

    assert numbers(append(at(1), at(9)), "p") == [0, 1]
    assert numbers(append(at(1), at(None)), "p") == [0, 0]


def test_listed_events_are_appended_by_place_too():
    more = explicit([ImageEvent(index={"p": 5}, x_um=100.0, y_um=0.0)])

    assert numbers(append(lapse(0, p=2), more), "p")[2:] == [1]


def test_a_continuation_is_only_what_is_new_with_times_of_its_own():
    plan = combine(lapse(0, 10, p=2), wait(5))

    rest = continuation(plan, lapse(0, 10, x_um=100))

    assert [(dict(e.index), e.min_start_time_s) for e in rest] == [
        ({"t": 2, "p": 1}, 0),
        ({"t": 3, "p": 1}, 10),
    ]
    assert next(iter(rest)).reset_timer
    third = continuation(append(plan, lapse(0, 10, x_um=100)), lapse(0))
    assert numbers(third, "t") == [4]
    fourth = continuation(rest, lapse(0))
    assert numbers(fourth, "t") == [4]


def test_merged_plans_cannot_be_appended():
    both = combine(lapse(0), lapse(0), axis="p")

    with pytest.raises(PlanError, match="before they are merged"):
        append(lapse(0), both)
    assert numbers(append(both, lapse(0, x_um=900)), "p") == [0, 1, 2]


def test_a_continuation_is_no_beginning():
    rest = continuation(lapse(0), lapse(0))

    with pytest.raises(PlanError, match="plan 1 goes on with an earlier one"):
        combine(lapse(0), rest)
