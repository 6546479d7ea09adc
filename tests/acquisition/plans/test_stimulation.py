"""R68, R94: stimulation in plans: where it comes, what it costs, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import useq

from hal.acquisition.plans import (
    ChannelName,
    ImageEvent,
    Plan,
    Stimulation,
    StimulationEvent,
    append,
    combine,
    explicit,
    from_useq,
    load_plan,
    offset_positions,
    preflight,
    stimulation_partners,
    to_useq,
    wait,
    with_stimulation,
)
from hal.base import PlanError
from tests.acquisition.plans.microscopes import Scope

WHAT = Stimulation(
    analysis="spots", projector="dmd", channel=ChannelName("Cy5"), duration_s=0.05
)


def sequence(**fields: Any) -> Plan:
    return from_useq(useq.MDASequence(**fields))


def told(plan: Plan) -> list[str]:
    """Return `image t0 p1` or `light t0 p1` for each event."""
    return [
        " ".join(
            [
                "image" if isinstance(event, ImageEvent) else "light",
                *(f"{axis}{at}" for axis, at in event.index.items()),
            ]
        )
        for event in plan
    ]


def test_it_comes_after_the_images_of_each_place_and_timepoint() -> None:
    plan = with_stimulation(
        sequence(
            stage_positions=[(1, 2, 3), (4, 5, 6)],
            channels=["DAPI", "FITC"],
            time_plan={"interval": 10, "loops": 2},
            axis_order="tpc",
        ),
        WHAT,
    )

    assert told(plan) == [
        line
        for t in range(2)
        for p in range(2)
        for line in (f"image t{t} p{p} c0", f"image t{t} p{p} c1", f"light t{t} p{p}")
    ]
    assert (plan.n_events, plan.n_images) == (12, 8)
    first = next(e for e in plan if isinstance(e, StimulationEvent))
    assert first == StimulationEvent(
        index={"t": 0, "p": 0},
        min_start_time_s=0.0,
        x_um=1.0,
        y_um=2.0,
        channel=ChannelName("Cy5"),
        mask_from="spots",
        projector="dmd",
        duration_s=0.05,
    )
    assert not first.makes_image


def test_timepoints_without_an_image_have_none() -> None:
    plan = with_stimulation(
        sequence(
            channels=[{"config": "DAPI", "acquire_every": 2}],
            time_plan={"interval": 1, "loops": 9},
        ),
        WHAT,
    )

    assert told(plan) == [
        line for t in range(0, 9, 2) for line in (f"image t{t} c0", f"light t{t}")
    ]
    assert plan.n_events == len(list(plan)) == 10


def test_each_field_of_a_grid_is_a_place() -> None:
    plan = with_stimulation(
        sequence(
            grid_plan={"rows": 1, "columns": 2, "fov_width": 9, "fov_height": 9},
            z_plan={"range": 1, "step": 1},
        ),
        WHAT,
    )

    assert told(plan) == [
        line
        for g in range(2)
        for line in (f"image g{g} z0", f"image g{g} z1", f"light g{g}")
    ]


def test_numbers_times_and_phases_go_on_as_those_of_images() -> None:
    once = with_stimulation(
        sequence(
            stage_positions=[(0, 0), (9, 9)], time_plan={"interval": 10, "loops": 2}
        ),
        WHAT,
    )
    plan = combine(offset_positions(once, 2.0), wait(5.0), once)

    lit = [e for e in plan if isinstance(e, StimulationEvent)]

    assert [e.index for e in lit] == [
        {"t": t, "p": p} for t in range(4) for p in range(2)
    ]
    times_s = [0.0, 2.0, 10.0, 12.0, 15.0, 15.0, 25.0, 25.0]
    assert [e.min_start_time_s for e in lit] == times_s
    longer = append(once, sequence(stage_positions=[(9, 9)]))
    assert told(longer)[-1] == "image t2 p1"
    side = combine(once, once, axis="p")
    assert side.n_events == len(list(side)) == 16


def test_it_survives_the_wire() -> None:
    plan = combine(
        with_stimulation(sequence(channels=["DAPI"]), WHAT),
        explicit([next(iter(with_stimulation(sequence(channels=["F"]), WHAT)))]),
    )

    again = msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan)

    assert list(again) == list(plan)


def test_partners_are_found_in_every_kind_of_part() -> None:
    lit = with_stimulation(sequence(channels=["DAPI"]), WHAT)
    other = explicit(
        [
            ImageEvent(),
            StimulationEvent(mask_from="other", projector="slm", duration_s=1.0),
        ]
    )

    for plan in (combine(lit, wait(1.0), other), combine(lit, other, axis="p")):
        partners = stimulation_partners(plan)
        assert partners.analyses == {"spots", "other"}
        assert partners.projectors == {"dmd", "slm"}
    assert stimulation_partners(sequence(channels=["DAPI"])).analyses == frozenset()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"analysis": ""}, "stimulation.analysis='': expected the name"),
        ({"projector": ""}, "stimulation.projector='': expected the name"),
        ({"duration_s": 0.0}, "stimulation.duration_s=0.0: expected a number of sec"),
        ({"deadline_s": -1.0}, "stimulation.deadline_s=-1.0: expected a number of"),
    ],
)
def test_what_cannot_be_done_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        with_stimulation(
            sequence(channels=["DAPI"]), msgspec.structs.replace(WHAT, **fields)
        )


def test_images_of_a_place_have_to_come_together() -> None:
    plan = sequence(
        stage_positions=[(0, 0), (1, 1)], channels=["DAPI", "FITC"], axis_order="cp"
    )

    with pytest.raises(PlanError, match="axis_order='cp': expected c and z at its"):
        with_stimulation(plan, WHAT)


def test_only_sequences_that_have_none_take_one() -> None:
    lit = with_stimulation(combine(sequence(channels=["D"]), wait(1.0)), WHAT)
    assert lit.n_events == 3

    with pytest.raises(PlanError, match="there is one already"):
        with_stimulation(lit, WHAT)
    with pytest.raises(PlanError, match="expected a sequence"):
        with_stimulation(explicit([ImageEvent()]), WHAT)
    with pytest.raises(PlanError, match="useq has no words for stimulation"):
        to_useq(with_stimulation(sequence(channels=["D"]), WHAT))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"duration_s": 0.0}, "duration_s=0.0: expected"),
        ({"deadline_s": 0.0}, "deadline_s=0.0: expected"),
        ({"mask_from": ""}, "mask_from='': expected the name of a module"),
        ({"projector": ""}, "projector='': expected the name of a module"),
    ],
)
def test_an_event_with_impossible_values_is_refused(
    fields: dict[str, Any], words: str
) -> None:
    usual = {"mask_from": "spots", "projector": "dmd", "duration_s": 1.0}

    with pytest.raises(PlanError, match=f"event 0: {words}"):
        explicit([StimulationEvent(**(usual | fields))])


# -- before it runs -----------------------------------------------------------------


def test_preflight_looks_for_who_takes_part() -> None:
    plan = with_stimulation(
        sequence(channels=["DAPI"]),
        msgspec.structs.replace(WHAT, channel=ChannelName("FITC")),
    )
    scope = Scope()

    none = [p.text for p in preflight(plan, scope).problems]
    scope.analyses, scope.projectors = ("spotz",), ("dmd",)
    scope.devices |= {"spotz": True, "dmd": False}
    some = [p.text for p in preflight(plan, scope).problems]
    scope.analyses, scope.devices["spots"] = ("spots",), True
    scope.devices["dmd"] = True

    assert none == [
        "event 1: mask_from='spots': there is no module of role analysis",
        "event 1: projector='dmd': there is no module of role projector",
    ]
    assert some == [
        "event 1: mask_from='spots': expected one of spotz; did you mean 'spotz'?",
        "event 1: projector='dmd': the device does not work now",
    ]
    assert preflight(plan, scope).is_ok


def test_preflight_counts_its_time_and_its_light() -> None:
    lit = msgspec.structs.replace(WHAT, channel=ChannelName("FITC"), duration_s=2.0)
    images = sequence(
        channels=[{"config": "DAPI", "exposure": 100}],
        time_plan={"interval": 60, "loops": 4},
    )
    scope = Scope(analyses=("spots",), projectors=("dmd",))
    scope.devices |= {"spots": True, "dmd": True}

    without = preflight(images, scope)
    found = preflight(with_stimulation(images, lit), scope)

    assert without.duration_s is not None
    assert found.duration_s is not None
    # Change of the channel, the light, and back to that of the images.
    more_s = scope.change_s * 2 + 2.0 if scope.change_s else 0.0
    assert found.duration_s == pytest.approx(without.duration_s + more_s)
    assert found.n_images == 4
    lit_s = {dose.channel: dose.lit_s for dose in found.doses}
    assert lit_s == pytest.approx({"DAPI": 0.4, "FITC": 8.0})
    assert found.intervals[0].smallest_s == pytest.approx(
        without.intervals[0].smallest_s + more_s
    )


# -- files --------------------------------------------------------------------------


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_says_it_beside_the_sequence(tmp_path: Path) -> None:
    plan = load_plan(
        write(
            tmp_path,
            """\
channels: [DAPI]
time_plan: {interval: 1, loops: 2}
stimulation:
  analysis: spots
  projector: dmd
  channel: Lasers/stim
  duration_ms: 100
  deadline_s: 3
  after: t
""",
        )
    )

    assert told(plan) == ["image t0 c0", "light t0", "image t1 c0", "light t1"]
    event = list(plan)[1]
    assert isinstance(event, StimulationEvent)
    assert event.channel == ChannelName("stim", "Lasers")
    assert (event.duration_s, event.deadline_s) == (0.1, 3)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stimulation: spots", ":2: stimulation: expected fields with names: after"),
        (
            "stimulation: {analysis: spots}",
            ":2: stimulation: projector=None: expected a name",
        ),
        (
            "stimulation:\n  analysis: spots\n  projektor: dmd",
            ":4: stimulation.projektor: unknown field: expected one of after, anal",
        ),
        (
            "stimulation:\n  analysis: spots\n  projector: 3",
            ":4: stimulation.projector: projector=3: expected a name",
        ),
        (
            "stimulation:\n  analysis: a\n  projector: b\n  channel: [x]",
            r":5: stimulation.channel: channel=\['x'\]: expected a name",
        ),
        (
            "stimulation:\n  analysis: a\n  projector: b\n  duration_ms: 0",
            ":5: stimulation.duration_ms: duration_ms=0: expected a number of sec",
        ),
        (
            "stimulation:\n  analysis: a\n  projector: b\n  deadline_s: soon",
            ":5: stimulation.deadline_s: deadline_s='soon': expected a number",
        ),
        (
            "stimulation:\n  analysis: a\n  projector: b\n  after: p",
            ":5: stimulation.after: 'p': expected t",
        ),
        (
            "axis_order: cp\nstage_positions: [[0, 0], [1, 1]]\n"
            "stimulation: {analysis: a, projector: b}",
            "stimulation: axis_order='cp': expected c and z at its end",
        ),
    ],
)
def test_mistakes_in_a_file_are_named_with_their_line(
    tmp_path: Path, line: str, words: str
) -> None:
    with pytest.raises(PlanError, match=words) as caught:
        load_plan(write(tmp_path, f"channels: [DAPI, FITC]\n{line}\n"))

    assert str(caught.value).count("plan.yaml") == 1
