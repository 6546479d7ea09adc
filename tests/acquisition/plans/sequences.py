"""Sequences of every kind useq's documentation describes, and how to compare them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import useq
from hypothesis import strategies as st

from hal.acquisition.plans import AutofocusEvent, ImageEvent, Plan, SetupEvent

SPOTS = [(10, 20, 5), (30, 40, 6), {"x": 50, "y": 60, "name": "third"}]
COLOURS = ["DAPI", {"config": "FITC", "exposure": 50, "group": "Lamp"}]

EXAMPLES: dict[str, dict[str, Any]] = {
    "positions, channels, times, a stack": {
        "stage_positions": [(100, 100, 30), (200, 150, 35)],
        "channels": ["DAPI", "FITC"],
        "time_plan": {"interval": 1, "loops": 20},
        "z_plan": {"range": 4, "step": 0.5},
        "axis_order": "tpcz",
    },
    "all five axes": {
        "axis_order": "tpgcz",
        "time_plan": {"interval": 0.1, "loops": 2},
        "stage_positions": [(1, 1, 1)],
        "grid_plan": {"rows": 2, "columns": 2},
        "z_plan": {"range": 3, "step": 1},
        "channels": [{"config": "DAPI", "exposure": 1}],
    },
    "a setup": {
        "setup": {"properties": [("Camera", "Binning", "2")], "roi": (0, 0, 512, 256)},
        "channels": ["GFP"],
        "time_plan": {"interval": 1, "loops": 5},
    },
    "z top and bottom": {"z_plan": {"top": 10, "bottom": 4, "step": 2}},
    "z around": {"z_plan": {"range": 8, "step": 2}, "stage_positions": SPOTS},
    "z above and below": {"z_plan": {"above": 8, "below": 4, "step": 2}},
    "z downwards": {"z_plan": {"above": 8, "below": 4, "step": 3, "go_up": False}},
    "z list": {"z_plan": {"relative": [0, 0.5, 5]}, "stage_positions": SPOTS},
    "z absolute list": {"z_plan": {"absolute": [0, 0.5, 5]}, "channels": COLOURS},
    "z of one plane": {"z_plan": {"range": 0, "step": 0}, "channels": COLOURS},
    "interval and loops": {"time_plan": {"interval": 0.2, "loops": 5}},
    "interval and duration": {"time_plan": {"interval": 0.25, "duration": 1}},
    "duration and loops": {"time_plan": {"duration": 1, "loops": 4}},
    "a time as text": {"time_plan": {"interval": "0:00:01.500000", "loops": 3}},
    "several phases of time": {
        "time_plan": [
            {"interval": {"seconds": 2}, "loops": 3},
            {"interval": 0.5, "duration": 2},
            {"interval": 3, "loops": 1},
            {"interval": 0, "loops": 3},
        ],
        "channels": COLOURS,
    },
    "channels that wait, skip, and are not stacked": {
        "time_plan": {"interval": 1, "loops": 7},
        "stage_positions": SPOTS,
        "channels": [
            {"config": "DAPI", "z_offset": 1.5},
            {"config": "FITC", "acquire_every": 2, "do_stack": False},
            {"config": "Cy5", "acquire_every": 3, "exposure": 5},
        ],
        "z_plan": {"range": 4, "step": 1},
    },
    "a time lapse at each position": {
        "axis_order": "ptcz",
        "stage_positions": SPOTS,
        "time_plan": {"interval": 1, "loops": 3},
        "channels": COLOURS,
    },
    "times innermost": {
        "axis_order": "pzct",
        "stage_positions": SPOTS,
        "z_plan": {"range": 2, "step": 1},
        "time_plan": {"interval": 1, "loops": 3},
        "channels": COLOURS,
    },
    "a grid from edges": {
        "grid_plan": {
            "top": 10,
            "left": 0,
            "bottom": -8,
            "right": 12,
            "fov_width": 4,
            "fov_height": 3,
            "overlap": (10, 5),
        }
    },
    "a grid of rows": {
        "grid_plan": {
            "rows": 2,
            "columns": 3,
            "fov_width": 2,
            "fov_height": 2,
            "mode": "spiral",
            "relative_to": "top_left",
        },
        "stage_positions": SPOTS,
    },
    "a grid of a width": {
        "grid_plan": {"width": 5, "height": 3, "fov_width": 2, "fov_height": 2},
        "stage_positions": SPOTS[:1],
    },
    "a grid in a polygon": {
        "grid_plan": {
            "vertices": [(0, 0), (6, 0), (3, 6)],
            "fov_width": 2,
            "fov_height": 2,
        }
    },
    "random points": {
        "grid_plan": {
            "num_points": 6,
            "max_width": 100,
            "max_height": 50,
            "random_seed": 3,
            "order": "nearest_neighbor",
        },
        "stage_positions": SPOTS,
        "channels": COLOURS,
    },
    "random points apart, in a rectangle": {
        "grid_plan": {
            "num_points": 5,
            "max_width": 100,
            "max_height": 100,
            "shape": "rectangle",
            "random_seed": 0,
            "allow_overlap": False,
            "fov_width": 5,
            "fov_height": 5,
            "order": None,
        }
    },
    "a well plate": {
        "stage_positions": {
            "plate": 96,
            "a1_center_xy": (500, 200),
            "rotation": 5,
            "selected_wells": ((0, 0, 1), (0, 2, 3)),
            "well_points_plan": {"rows": 2, "columns": 2},
        },
        "channels": COLOURS,
    },
    "focus at each position": {
        "autofocus_plan": {"axes": ("p",), "autofocus_motor_offset": 25},
        "stage_positions": SPOTS,
        "channels": COLOURS,
        "z_plan": {"range": 2, "step": 1},
        "time_plan": {"interval": 1, "loops": 3},
    },
    "focus at the only position": {
        "autofocus_plan": {"axes": ("p", "c"), "autofocus_device_name": "PFS"},
        "stage_positions": SPOTS[:1],
        "channels": [*COLOURS, {"config": "Cy5", "acquire_every": 3}],
        "time_plan": {"interval": 1, "loops": 8},
    },
    "focus at some positions": {
        "stage_positions": [
            SPOTS[0],
            {"x": 1, "z": 9, "sequence": {"autofocus_plan": {"axes": ("t", "p")}}},
            {
                "z": 7,
                "sequence": {
                    "autofocus_plan": {"axes": ("z",), "autofocus_motor_offset": 3},
                    "z_plan": {"range": 2, "step": 1},
                },
            },
        ],
        "channels": COLOURS,
        "z_plan": {"range": 4, "step": 1},
        "time_plan": {"interval": 1, "loops": 2},
    },
    "sequences of positions": {
        "axis_order": "tpgcz",
        "time_plan": {"interval": 2, "loops": 3},
        "channels": COLOURS,
        "z_plan": {"range": 2, "step": 1},
        "stage_positions": [
            (1, 2, 3),
            {
                "x": 10,
                "y": 10,
                "z": 4,
                "name": "tiled",
                "properties": [("Stage", "Speed", 3.5)],
                "sequence": {"grid_plan": {"rows": 1, "columns": 2}},
            },
            {
                "x": 5,
                "y": 5,
                "z": 9,
                "sequence": {
                    "z_plan": {"above": 1, "below": 2, "step": 1},
                    "channels": [{"config": "Cy5", "exposure": 7}, "DAPI"],
                },
            },
            {"x": 6, "sequence": {"channels": ["Cy7"]}},
            {"x": 7, "sequence": {"metadata": {"nothing": "to iterate"}}},
            {
                "z": 3,
                "sequence": {
                    "grid_plan": {"top": 1, "left": 0, "bottom": -1, "right": 0}
                },
            },
        ],
    },
    "a position's own stack beside a channel that is not stacked": {
        "stage_positions": [
            {"x": 1, "sequence": {"z_plan": {"range": 2, "step": 1}}},
            {"x": 2},
        ],
        "channels": [{"config": "DAPI", "do_stack": False}, "FITC"],
        "z_plan": {"range": 4, "step": 1},
    },
    "a time lapse of a position's own": {
        "stage_positions": [
            (0, 0, 0),
            {"x": 9, "sequence": {"time_plan": {"interval": 0.5, "loops": 4}}},
        ],
        "channels": COLOURS,
        "time_plan": {"interval": 10, "loops": 2},
    },
    "the shutter stays open": {
        "keep_shutter_open_across": ("z", "c"),
        "stage_positions": SPOTS,
        "channels": COLOURS,
        "z_plan": {"range": 2, "step": 1},
        "autofocus_plan": {"axes": ("p",)},
        "time_plan": {"interval": 1, "loops": 2},
    },
    "properties of positions": {
        "stage_positions": [
            {"x": 1, "properties": [("Lamp", "Power", 5), ("Lamp", "Mode", "cw")]},
            {"x": 2, "properties": [("Lamp", "On", True)]},
        ],
        "channels": COLOURS,
        "z_plan": {"range": 2, "step": 1},
    },
}


def sequence(name: str) -> useq.MDASequence:
    return made(EXAMPLES[name])


def made(said: dict[str, Any]) -> useq.MDASequence:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return useq.MDASequence.model_validate(said)


def as_useq_tells_it(events: Iterable[useq.MDAEvent]) -> list[tuple[object, ...]]:
    """Return all that useq says of each event, in our units."""
    return [
        (
            dict(event.index),
            event.min_start_time,
            event.x_pos,
            event.y_pos,
            event.z_pos,
            event.pos_name or "",
            event.channel and (event.channel.config, event.channel.group),
            None if event.exposure is None else event.exposure / 1000,
            tuple(tuple(each) for each in event.properties or ()),
            event.keep_shutter_open,
            event.reset_event_timer,
            (
                event.action.autofocus_device_name or "",
                event.action.autofocus_motor_offset,
                event.action.max_retries,
            )
            if isinstance(event.action, useq.HardwareAutofocus)
            else None,
        )
        for event in events
    ]


def as_we_tell_it(plan: Plan) -> list[tuple[object, ...]]:
    return [
        (
            dict(event.index),
            event.min_start_time_s,
            event.x_um,
            event.y_um,
            event.z_um,
            event.position_name,
            event.channel and (event.channel.name, event.channel.group),
            event.exposure_s,
            tuple((each.device, each.name, each.value) for each in event.properties),
            event.keep_shutter_open,
            event.reset_timer,
            (event.device, event.motor_offset_um, event.max_retries)
            if isinstance(event, AutofocusEvent)
            else None,
        )
        for event in plan
        if isinstance(event, ImageEvent | AutofocusEvent)
        and not isinstance(event, SetupEvent)
    ]


numbers = st.integers(-5, 5).map(float)
channel_lists = st.lists(
    st.sampled_from(["a", "b", "c"]), unique=True, max_size=3
).flatmap(
    lambda names: st.tuples(
        *(
            st.fixed_dictionaries(
                {"config": st.just(name)},
                optional={
                    "exposure": st.integers(1, 50),
                    "acquire_every": st.integers(1, 3),
                    "do_stack": st.booleans(),
                    "z_offset": numbers,
                },
            )
            for name in names
        )
    ).map(list)
)
time_plans = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"interval": st.integers(0, 3), "loops": st.integers(1, 4)},
    ),
    st.lists(
        st.fixed_dictionaries(
            {"interval": st.integers(1, 3), "loops": st.integers(1, 3)}
        ),
        min_size=1,
        max_size=2,
    ),
)
z_plans = st.one_of(
    st.none(),
    st.sampled_from(
        [
            {"range": 4, "step": 2},
            {"above": 1, "below": 2, "step": 1, "go_up": False},
            {"relative": [0.5, 3.0]},
        ]
    ),
)
grids = st.one_of(
    st.none(), st.sampled_from([{"rows": 1, "columns": 2}, {"rows": 2, "columns": 2}])
)
focuses = st.one_of(
    st.none(),
    st.sets(st.sampled_from("tpgcz"), min_size=1).map(lambda axes: {"axes": [*axes]}),
)


@st.composite
def sequences(draw: st.DrawFn) -> dict[str, Any]:
    """What a sequence may say, without absolute stacks."""
    sub = st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {},
            optional={
                "z_plan": z_plans,
                "grid_plan": grids,
                "channels": channel_lists,
                "time_plan": time_plans,
                "autofocus_plan": focuses,
            },
        ),
    )
    spots = draw(
        st.lists(
            st.fixed_dictionaries(
                {"x": numbers, "y": numbers, "z": numbers},
                optional={
                    "sequence": sub,
                    "name": st.sampled_from(["left", "right"]),
                    "properties": st.just([("Lamp", "Power", 3)]),
                },
            ),
            max_size=3,
        )
    )
    order = draw(st.permutations("tpgcz"))
    return {
        "axis_order": order,
        "stage_positions": spots,
        "channels": draw(channel_lists),
        "time_plan": draw(time_plans),
        "z_plan": draw(z_plans),
        "grid_plan": draw(grids),
        "autofocus_plan": draw(focuses),
        "keep_shutter_open_across": draw(st.sets(st.sampled_from("tpgcz"))),
    }
