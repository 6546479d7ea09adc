"""The axes of a film agree with the order in which its images are taken."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.acquisition import FilmPlan
from hal.acquisition.plans import (
    ChannelName,
    ImageEvent,
    Plan,
    combine,
    explicit,
    film,
    from_useq,
    layout_of,
    wait,
)
from hal.base import PlanError
from hal.frames import FilmLayout
from tests.acquisition.plans import sequences

LAPSE: dict[str, Any] = {
    "time_plan": {"interval": 2, "loops": 3},
    "channels": ["DAPI", "FITC"],
    "z_plan": {"range": 1, "step": 0.5},
    "axis_order": "tcz",
}


def sequence(**changes: Any) -> Plan:
    return from_useq(sequences.made(LAPSE | changes))


def places(plan: Plan) -> list[dict[str, int]]:
    """Where each image is, counted from the first timepoint."""
    return [
        {axis: at - (plan.first_t or 0) * (axis == "t") for axis, at in index.items()}
        for index in (event.index for event in plan if event.makes_image)
    ]


def is_product(found: list[dict[str, int]]) -> bool:
    """Whether any order of the axes gives these places, tried one by one."""
    sizes = {axis: 1 + max(at[axis] for at in found) for axis in found[0]}
    return any(
        found
        == [
            dict(zip(order, crossing, strict=True))
            for crossing in itertools.product(*(range(sizes[axis]) for axis in order))
        ]
        for order in itertools.permutations(sizes)
    )


def agrees(plan: Plan, layout: FilmLayout) -> None:
    found = places(plan)
    assert [layout.index(frame) for frame in range(layout.frames)] == found
    images = [event for event in plan if isinstance(event, ImageEvent)]
    for image, at in zip(images, found, strict=True):
        if "c" in at:
            assert layout.channels[at["c"]] == str(image.channel)
        if "p" in at:
            assert layout.position_names[at["p"]] == image.position_name


def leaves_out(said: dict[str, Any]) -> bool:
    """Whether a sequence says that something is not taken everywhere."""
    own = (spot.get("sequence") for spot in said["stage_positions"])
    return any(each is not None for each in own) or any(
        channel.get("acquire_every", 1) > 1 or not channel.get("do_stack", True)
        for channel in said["channels"]
    )


@settings(max_examples=40, deadline=None)
@given(sequences.sequences(), st.integers(1, 2), st.integers(0, 1))
def test_frame_k_is_where_the_axes_say(
    said: dict[str, Any], often: int, waits: int
) -> None:
    try:
        one = from_useq(sequences.made(said))
        plan = combine(*[one, *[wait(1.0)] * waits] * often)
    except (PlanError, ValueError):  # the latter from useq itself
        return

    layout = layout_of(plan, "camera1")

    if layout is not None:
        agrees(plan, layout)
    elif not leaves_out(said):
        assert not plan.n_images or not is_product(places(plan))


@pytest.mark.parametrize("name", sequences.EXAMPLES)
def test_every_example_agrees_with_its_layout(name: str) -> None:
    plan = from_useq(sequences.sequence(name))

    layout = layout_of(plan, "camera1")

    if layout is not None:
        agrees(plan, layout)


def test_what_lies_along_the_axes_is_named() -> None:
    layout = layout_of(sequence(), "camera1")

    assert layout is not None
    assert layout.text == "t=3, c=2, z=3"
    assert layout.image_axes == (("t", 3), ("c", 2), ("z", 3))
    assert (layout.channels, layout.z_step_um) == (("DAPI", "FITC"), 0.5)
    assert (layout.interval_s, layout.frames) == (2.0, 18)


@pytest.mark.parametrize(
    ("spots", "image_axes"),
    [
        ([(0, 0)], (("t", 3), ("c", 2), ("z", 3))),
        ([(0, 0), (5, 0)], ()),
    ],
)
def test_only_one_position_is_one_image(spots: Any, image_axes: Any) -> None:
    layout = layout_of(sequence(stage_positions=spots, axis_order="ptcz"), "camera1")

    assert layout is not None
    assert len(layout.axes) == 4
    assert layout.image_axes == image_axes


def test_a_long_sequence_is_not_gone_through() -> None:
    plan = sequence(time_plan={"interval": 0.1, "loops": 1_000_000})
    before = time.perf_counter()

    layout = layout_of(combine(plan, wait(1.0), plan), "camera1")

    assert time.perf_counter() - before < 5.0
    assert layout is not None
    assert layout.axes[0] == ("t", 2_000_000)


def test_sequences_that_follow_each_other_are_one_film_if_they_are_alike() -> None:
    agreeing = layout_of(combine(sequence(), wait(9.0), sequence()), "camera1")
    other = layout_of(combine(sequence(), sequence(channels=["DAPI"])), "camera1")

    assert agreeing is not None
    assert agreeing.axes == (("t", 6), ("c", 2), ("z", 3))
    assert agreeing.interval_s is None
    assert other is None


@pytest.mark.parametrize("plan", [film(FilmPlan(5)), film(FilmPlan(None)), wait(1.0)])
def test_films_and_waits_have_no_layout(plan: Plan) -> None:
    assert layout_of(plan, "camera1") is None
    assert layout_of(combine(sequence(), film(FilmPlan(None))), "camera1") is None


@pytest.mark.parametrize(
    ("cameras", "expected"),
    [
        (("", ""), True),
        (("camera1", "camera1"), True),
        (("camera1", ""), False),
        (("camera1", "camera2"), False),
        (("camera2", "camera2"), False),
    ],
)
def test_frames_of_several_cameras_have_no_layout(
    cameras: tuple[str, str], expected: bool
) -> None:
    events = [
        ImageEvent(index={"c": c}, camera=camera) for c, camera in enumerate(cameras)
    ]

    assert (layout_of(explicit(events), "camera1") is not None) == expected


def listed(**changes: Any) -> list[ImageEvent]:
    """Two timepoints of two channels at two heights."""
    return [
        ImageEvent(
            **{
                "index": {"t": t, "z": z, "c": c},
                "min_start_time_s": 5.0 * t,
                "z_um": 3.0 - 0.5 * z,
                "channel": ChannelName(f"channel {c}"),
            }
            | changes
        )
        for t in range(2)
        for z in range(2)
        for c in range(2)
    ]


def test_a_list_of_events_that_is_regular_has_a_layout() -> None:
    layout = layout_of(explicit(listed()), "camera1")

    assert layout == FilmLayout(
        axes=(("t", 2), ("z", 2), ("c", 2)),
        channels=("channel 0", "channel 1"),
        z_step_um=0.5,
        interval_s=5.0,
    )


def test_a_list_with_an_event_too_few_or_elsewhere_has_none() -> None:
    events = listed()
    swapped = [*events[:2], events[3], events[2], *events[4:]]

    assert layout_of(explicit(events[:-1]), "camera1") is None
    assert layout_of(explicit(swapped), "camera1") is None
    one_name = [*listed()[:1], *listed(channel=ChannelName("other"))[1:]]
    assert layout_of(explicit(one_name), "camera1") is None
    too_many = [ImageEvent(index={"t": t}) for t in range(10_001)]
    assert layout_of(explicit(too_many), "camera1") is None
