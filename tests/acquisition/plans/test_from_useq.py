from __future__ import annotations

import random
from typing import Any

import pytest
import useq
from hypothesis import assume, given, settings

from hal.acquisition.plans import (
    CameraRegion,
    DeviceProperty,
    ImageEvent,
    SetupEvent,
    from_useq,
    to_useq,
)
from hal.base import PlanError, pack, unpack
from tests.acquisition.plans import sequences as said


@pytest.mark.parametrize("name", said.EXAMPLES)
def test_order_indices_and_all_else_are_those_useq_iterates(name):
    plan = from_useq(said.sequence(name))

    expected = said.as_useq_tells_it(said.sequence(name))
    assert expected
    assert said.as_we_tell_it(plan) == expected


@pytest.mark.parametrize("name", said.EXAMPLES)
def test_counts_and_sizes_are_known_beforehand(name):
    plan = from_useq(said.sequence(name))

    events = list(plan)
    assert plan.n_events == len(events)
    assert plan.n_images == sum(event.makes_image for event in events)
    for axis in "tpgcz":
        there = [event.index[axis] + 1 for event in events if axis in event.index]
        assert plan.sizes.get(axis, 0) == max(there, default=0), axis


@pytest.mark.parametrize("name", said.EXAMPLES)
def test_a_plan_gives_the_same_events_each_time_and_after_a_journey(name):
    plan = from_useq(said.sequence(name))

    assert list(plan) == list(plan)
    arrived = unpack(type(plan), pack(plan))
    assert arrived == plan
    assert list(arrived) == list(plan)


@pytest.mark.parametrize("name", said.EXAMPLES)
def test_useq_can_have_its_sequence_back(name):
    back = to_useq(from_useq(said.sequence(name)))

    assert isinstance(back, useq.MDASequence)
    assert said.as_useq_tells_it(back) == said.as_useq_tells_it(said.sequence(name))


@settings(max_examples=300, deadline=None)
@given(said.sequences())
def test_any_sequence_runs_as_useq_iterates_it(described: dict[str, Any]):
    try:
        expected = said.as_useq_tells_it(said.made(described))
    except (ValueError, KeyError, IndexError):
        # What useq refuses, or cannot iterate, is for other tests.
        assume(False)
    assume(expected)
    plan = from_useq(said.made(described))

    told = said.as_we_tell_it(plan)
    assert told == expected
    assert plan.n_events == len(told)
    assert plan.n_images == sum(each[-1] is None for each in told)


@settings(max_examples=200, deadline=None)
@given(said.sequences())
def test_a_restart_of_the_timer_is_known_beforehand(described: dict[str, Any]):
    try:
        plan = from_useq(said.made(described))
    except (ValueError, PlanError):
        assume(False)

    first, *rest = list(plan)
    restarts = any(event.reset_timer and event.index != first.index for event in rest)
    assert plan.parts[0].restarts == restarts


def test_an_iterated_sequence_gives_the_same_plan_as_a_new_one():
    used = said.sequence("focus at the only position")
    list(used)

    assert list(from_useq(used)) == list(
        from_useq(said.sequence("focus at the only position"))
    )


def test_a_setup_comes_first():
    first, second, *_ = from_useq(said.sequence("a setup"))

    assert isinstance(first, SetupEvent)
    assert first.properties == (DeviceProperty("Camera", "Binning", "2"),)
    assert first.roi == CameraRegion(0, 0, 512, 256)
    assert isinstance(second, ImageEvent)


def test_ten_million_events_are_a_few_bytes():
    plan = from_useq(
        said.made(
            {
                "time_plan": {"interval": 1, "loops": 2_000_000},
                "channels": [*"abcde"],
                "autofocus_plan": {"axes": ["t"]},
            }
        )
    )

    assert (plan.n_events, plan.n_images) == (12_000_000, 10_000_000)
    assert len(pack(plan)) < 2000
    assert next(iter(plan)).index == {"t": 0, "c": 0}


def test_random_points_without_a_seed_are_drawn_once():
    plan = from_useq(said.made({"grid_plan": {"num_points": 5, "max_width": 99}}))

    assert list(plan) == list(plan)
    with pytest.raises(PlanError, match="random_seed"):
        to_useq(plan)


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({}, "takes no image"),
        ({"metadata": {"phase_name": "Baseline"}, "channels": ["a"]}, "no phase_id"),
        ({"metadata": {"phase_id": 3}, "channels": ["a"]}, "phase_id=3: expected some"),
        ({"time_plan": {"interval": -1, "loops": 2}}, r"time_plan\.interval=-1"),
        ({"time_plan": {"interval": 1, "duration": -9}}, r"time_plan\.duration"),
        (
            {"time_plan": {"interval": 0, "duration": 9}},
            "time_plan: the interval .*interval=0",
        ),
        ({"time_plan": {"duration": 9, "loops": 1}}, "time_plan: the interval .*loops"),
        ({"time_plan": [{"duration": 9, "loops": 1}]}, r"time_plan\.phases\[0\]"),
        ({"z_plan": {"range": 4, "step": float("nan")}}, r"z_plan\.step=nan"),
        ({"z_plan": {"range": 4, "step": -1}}, r"z_plan\.step=-1"),
        ({"z_plan": {"range": 1e9, "step": 1e-3}}, "planes, expected at most"),
        ({"z_plan": {"relative": []}}, "no planes"),
        ({"z_plan": {"top": 1, "bottom": 5, "step": 1}}, "no planes"),
        ({"stage_positions": [{"x": float("inf")}]}, r"stage_positions\[0\]\.x=inf"),
        ({"grid_plan": {"rows": 9999, "columns": 9999}}, "fields, expected at most"),
        (
            {"stage_positions": [{"sequence": {"z_plan": {"range": 4, "step": -1}}}]},
            r"stage_positions\[0\]\.sequence\.z_plan\.step",
        ),
        (
            {"channels": [{"config": "a", "z_offset": float("inf")}]},
            r"channels\[0\]\.z_offset=inf",
        ),
        (
            {"stage_positions": [{"properties": [("Lamp", "Power", [1])]}]},
            r"properties\[0\]: Lamp\.Power=\[1\]",
        ),
        (
            {
                "axis_order": "tc",
                "channels": [{"config": "a", "do_stack": False}],
                "z_plan": {"range": 4, "step": 1},
            },
            r"channels\[0\]\.do_stack=False: expected 'z'",
        ),
        (
            {
                "z_plan": {"range": 2, "step": 1},
                "autofocus_plan": {"axes": ["z"]},
                "stage_positions": [{"sequence": {"z_plan": {"range": 9, "step": 1}}}],
            },
            r"stage_positions\[0\]\.sequence\.z_plan: 10 planes",
        ),
        (
            {"stage_positions": [{"sequence": {"setup": {}, "channels": ["a"]}}]},
            r"stage_positions\[0\]\.sequence\.setup",
        ),
        ({"setup": {"slm_image": [[1]]}, "channels": ["a"]}, "slm_image"),
        ({"setup": {"x_pos": float("nan")}, "channels": ["a"]}, r"setup\.x_pos=nan"),
    ],
)
def test_what_nobody_could_run_is_refused_with_its_field(described, words):
    with pytest.raises(PlanError, match=words):
        from_useq(said.made(described))


def test_more_planes_than_the_sequence_has_are_no_matter_where_nothing_focuses():
    described = {
        "z_plan": {"range": 2, "step": 1},
        "stage_positions": [
            {
                "sequence": {
                    "z_plan": {"range": 9, "step": 1},
                    "autofocus_plan": {"axes": ["t"]},
                }
            }
        ],
    }

    expected = said.as_useq_tells_it(said.made(described))
    assert said.as_we_tell_it(from_useq(said.made(described))) == expected


def test_something_else_is_no_sequence():
    with pytest.raises(PlanError, match="got dict"):
        from_useq({"channels": ["a"]})


def test_a_phase_is_on_every_event():
    plan = from_useq(
        said.made(
            {
                "metadata": {"phase_id": "base", "phase_name": "Before the drug"},
                "channels": ["a", "b"],
                "setup": {"exposure": 5},
            }
        )
    )

    assert [(phase.id, phase.name) for phase in plan.phases] == [
        ("base", "Before the drug")
    ]
    assert {event.phase for event in plan} == {"base"}


def test_stretches_add_up_to_the_plan():
    rng = random.Random(1)
    for _ in range(50):
        described = {
            "time_plan": {"interval": 1, "loops": rng.randint(1, 30)},
            "channels": [
                {"config": name, "acquire_every": rng.randint(1, 3)} for name in "ab"
            ],
            "stage_positions": [(n, 0, 0) for n in range(rng.randint(0, 3))],
            "autofocus_plan": {"axes": rng.sample("tpc", rng.randint(1, 3))},
        }
        plan = from_useq(said.made(described))
        ((part, place),) = plan.schedule()

        kinds = [
            (type(event), event.index.get("p"), event.index["c"])
            for events, repeats in part.stretches(place)
            for event in [*events] * repeats
        ]
        assert kinds == [
            (type(event), event.index.get("p"), event.index["c"]) for event in plan
        ]
