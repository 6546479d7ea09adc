from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import assume, given, settings

from hal.acquisition import FilmPlan
from hal.acquisition.plans import AutofocusEvent as Focusing
from hal.acquisition.plans import (
    ChannelName,
    DeviceProperty,
    ImageEvent,
    Plan,
    PlannedEvent,
    Preflight,
    SetupEvent,
    combine,
    explicit,
    film,
    from_useq,
    offset_positions,
    preflight,
    wait,
)
from hal.base import PlanError, pack, unpack
from tests.acquisition.plans import sequences
from tests.acquisition.plans.microscopes import DAPI, FITC, Scope
from tests.acquisition.plans.sequences import made


def found(plan: Plan, scope: Scope | None = None) -> Preflight:
    return preflight(plan, scope or Scope())


def one(**fields: object) -> Plan:
    return explicit([ImageEvent(index={"t": 0}, **fields)])


def test_a_plan_that_can_be_run_has_no_problems():
    plan = from_useq(
        made(
            {
                "stage_positions": [(100, 100, 10), (200, 100, 20)],
                "channels": [{"config": "DAPI", "exposure": 50}, "FITC"],
                "time_plan": {"interval": 10, "loops": 3},
            }
        )
    )

    told = found(plan)

    assert told.problems == ()
    assert told.is_ok
    told.require()
    assert (told.n_events, told.n_images, told.n_bytes) == (12, 12, 12_000)
    assert unpack(Preflight, pack(told)) == told


@pytest.mark.parametrize(
    ("fields", "field", "limit", "words"),
    [
        ({"x_um": 1000.5}, "x_um", 1000.0, "expected -1000 to 1000 um"),
        ({"x_um": -1e9}, "x_um", -1000.0, "x_um=-1e"),
        ({"y_um": 501.0}, "y_um", 500.0, "expected -500 to 500 um"),
        ({"z_um": -101.0}, "z_um", -100.0, "expected -100 to 100 um"),
        ({"exposure_s": 6.0}, "exposure_s", 5.0, "0.001 to 5 s of camera camera1"),
        ({"exposure_s": 1e-6}, "exposure_s", 0.001, "exposure_s=1e-06"),
        ({"channel": ChannelName("FITCH")}, "channel", None, "did you mean 'FITC'"),
        ({"channel": ChannelName("DAPI", "Lamp")}, "channel", None, "'Lamp/DAPI'"),
        ({"camera": "camera3"}, "camera", None, "expected one of camera1, camera2"),
        (
            {"properties": (DeviceProperty("lamp", "power", 101.0),)},
            "lamp.power",
            100.0,
            "expected at most 100",
        ),
        (
            {"properties": (DeviceProperty("lamp", "pulses", 0),)},
            "lamp.pulses",
            1.0,
            "expected at least 1",
        ),
        (
            {"properties": (DeviceProperty("lamp", "pulses", 1.5),)},
            "lamp.pulses",
            None,
            "expected a value of kind int",
        ),
        (
            {"properties": (DeviceProperty("lamp", "power", True),)},
            "lamp.power",
            None,
            "kind float",
        ),
        (
            {"properties": (DeviceProperty("lamp", "on", 1),)},
            "lamp.on",
            None,
            "kind bool",
        ),
        (
            {"properties": (DeviceProperty("lamp", "mode", "pulse"),)},
            "lamp.mode",
            None,
            "did you mean 'pulsed'",
        ),
        (
            {"properties": (DeviceProperty("lamp", "label", 5),)},
            "lamp.label",
            None,
            "kind text",
        ),
        (
            {"properties": (DeviceProperty("lamp", "powr", 1),)},
            "lamp.powr",
            None,
            "did you mean 'power'",
        ),
        (
            {"properties": (DeviceProperty("lmp", "power", 1),)},
            "lmp.power",
            None,
            "no device 'lmp'; did you mean 'lamp'",
        ),
    ],
)
def test_what_the_microscope_cannot_do_is_named(fields, field, limit, words):
    plan = explicit([ImageEvent(), ImageEvent(index={"t": 1}, **fields)])

    (problem,) = found(plan).problems

    assert words in problem.text
    assert problem.text.startswith("event 1 (t=1): ")
    assert (problem.event, dict(problem.index)) == (1, {"t": 1})
    assert (problem.field, problem.limit) == (field, limit)


def test_each_mistake_is_told_once():
    events = [ImageEvent(x_um=5000.0) for _ in range(50)]

    assert len(found(explicit(events)).problems) == 1


def test_a_thousand_different_mistakes_are_counted():
    events = [ImageEvent(x_um=5000.0 + n) for n in range(1000)]

    problems = found(explicit(events)).problems
    assert len(problems) == 101
    assert problems[-1].text == "900 more problems"


def test_a_plan_with_problems_is_refused_with_the_first():
    events = [ImageEvent(x_um=5000.0), ImageEvent(y_um=5000.0)]

    with pytest.raises(PlanError, match=r"^mine\.json: event 0: x_um.*\(and 1 more\)$"):
        found(explicit(events)).require("mine.json")


def test_a_microscope_without_a_stage_goes_nowhere():
    told = found(one(x_um=1.0, z_um=2.0), Scope(has_stage=False))

    assert [problem.field for problem in told.problems] == ["x_um", "z_um"]
    assert "there is no stage" in told.problems[0].text
    assert "there is no focus drive" in told.problems[1].text


def test_without_a_camera_there_is_no_image():
    (problem,) = found(one(), Scope(cameras={}, camera="")).problems

    assert "there is no camera" in problem.text


def test_a_device_that_does_not_work_is_named():
    scope = Scope()
    scope.devices["wheel"] = False
    (problem,) = found(one(channel=DAPI), scope).problems

    assert "wheel" in problem.text
    assert "does not work now" in problem.text
    del scope.devices["wheel"]
    (problem,) = found(one(channel=DAPI), scope).problems
    assert "no such device" in problem.text


@pytest.mark.parametrize(
    ("device", "field"), [("stage", "x_um"), ("stage", "y_um"), ("focus", "z_um")]
)
def test_a_stage_that_does_not_work_is_named_once_for_all_places(device, field):
    scope = Scope()
    scope.devices[device] = False
    events = [ImageEvent(**{field: float(n)}) for n in range(50)]

    (problem,) = found(explicit(events), scope).problems

    assert problem.text == (
        f"event 0: {field}='{device}': the device does not work now"
    )
    assert not found(one(), scope).problems


def test_a_stage_that_does_not_say_how_far_it_goes_may_go_anywhere(monkeypatch):
    monkeypatch.setattr(Scope, "xy_limits_um", lambda _self: None)

    assert not found(one(x_um=1e9), Scope()).problems


def test_a_channel_that_is_configured_wrongly_is_refused_with_the_reason():
    scope = Scope()
    scope.channels[FITC] = msgspec.structs.replace(
        scope.channels[FITC], problem="its filter is not there"
    )

    (problem,) = found(one(channel=FITC), scope).problems
    assert problem.text.endswith(": channel='FITC': its filter is not there")
    assert not found(one(channel=DAPI), scope).problems


def test_a_channel_with_a_camera_of_its_own_uses_that():
    scope = Scope()
    scope.channels[FITC] = msgspec.structs.replace(
        scope.channels[FITC], camera="camera2"
    )

    assert found(one(channel=FITC, exposure_s=50.0), scope).n_bytes == 500
    (problem,) = found(one(channel=FITC, camera="camera1"), scope).problems
    assert "expected camera2, which channel FITC needs" in problem.text


def test_who_focuses_has_to_be_there():
    scope = Scope(focus_devices=())
    assert (
        "nothing here focuses" in found(explicit([Focusing()]), scope).problems[0].text
    )
    two = Scope(focus_devices=("lock", "search"))
    assert (
        "name one of lock, search"
        in found(explicit([Focusing()]), two).problems[0].text
    )
    wrong = found(explicit([Focusing(device="lok")]))
    assert "did you mean 'lock'" in wrong.problems[0].text
    assert found(explicit([Focusing()])).is_ok
    assert found(explicit([Focusing(device="lock")])).is_ok


def test_each_thing_an_event_does_takes_its_time():
    # exposure 0.1 and readout 0.05 of the camera; nothing else is asked for
    assert found(one()).duration_s == pytest.approx(0.15)
    assert found(one(exposure_s=1.0)).duration_s == pytest.approx(1.05)
    assert found(one(x_um=5.0)).duration_s == pytest.approx(1.15)
    assert found(one(z_um=5.0)).duration_s == pytest.approx(0.4)
    assert found(one(channel=DAPI)).duration_s == pytest.approx(0.65)
    everything = one(x_um=5.0, z_um=5.0, channel=DAPI)
    assert found(everything).duration_s == pytest.approx(1.9)
    assert found(one(), Scope(light_s=0.2)).duration_s == pytest.approx(0.55)
    assert found(explicit([Focusing()])).duration_s == pytest.approx(2.0)


def test_what_is_there_already_takes_no_time():
    twice = explicit([ImageEvent(x_um=0.0, y_um=0.0, z_um=0.0, channel=DAPI)] * 2)

    assert found(twice).duration_s == pytest.approx(0.8)


def test_an_exposure_that_was_set_stays_set():
    plan = explicit([SetupEvent(exposure_s=1.0), ImageEvent(), ImageEvent()])

    assert found(plan).duration_s == pytest.approx(2.1)


def test_waiting_counts_from_when_it_can_begin():
    late = explicit([ImageEvent(exposure_s=5.0, min_start_time_s=0.0)])

    assert found(combine(wait(3), one())).duration_s == pytest.approx(3.15)
    # The wait is due at 0 s, but the image before it is only done at 5.05 s.
    after = combine(late, wait(3), one(exposure_s=0.1))
    assert found(after).duration_s == pytest.approx(8.2)


def test_a_plan_takes_as_long_as_its_times_say():
    plan = from_useq(made({"time_plan": {"interval": 2, "loops": 100}}))

    assert found(plan).duration_s == pytest.approx(198.15)


def test_a_timer_that_starts_again_counts_from_there():
    plan = from_useq(
        made(
            {
                "axis_order": "pt",
                "time_plan": {"interval": 2, "loops": 3},
                "stage_positions": [{"x": 0, "y": 0}, {"x": 10, "y": 10}],
            }
        )
    )

    # Its time waits first, then the move of 1 s, then exposure and readout.
    assert found(plan).duration_s == pytest.approx(4.15 + 4.15)


def test_an_impossible_interval_is_refused_with_the_smallest_one():
    plan = from_useq(
        made(
            {
                "time_plan": {"interval": 2, "loops": 50},
                "stage_positions": [{"x": 10 * n} for n in range(3)],
            }
        )
    )

    told = found(plan)

    (problem,) = told.problems
    assert "interval_s=2: a timepoint takes 3.45 s: expected at least" in problem.text
    assert problem.field == "interval_s"
    assert problem.limit == pytest.approx(3.45)
    assert problem.part == 0
    # Without any pause, and the first position reached already.
    assert told.duration_s == pytest.approx(50 * 3.45 - 1)
    (each,) = told.intervals
    assert not each.is_possible
    slower = made(
        {
            "time_plan": {"interval": 3.4500001, "loops": 50},
            "stage_positions": [{"x": 10 * n} for n in range(3)],
        }
    )
    assert found(from_useq(slower)).is_ok


def test_each_phase_of_time_has_a_smallest_interval():
    plan = from_useq(
        made(
            {
                "metadata": {"phase_id": "base"},
                "channels": ["DAPI"],
                "time_plan": [
                    {"interval": 1, "loops": 10},
                    {"interval": 0.1, "loops": 10},
                    {"interval": 0, "loops": 10},
                ],
            }
        )
    )

    told = found(plan)

    assert [(each.interval_s, each.is_possible) for each in told.intervals] == [
        (0.1, False),
        (1.0, True),
    ]
    assert {each.phase for each in told.intervals} == {"base"}
    assert [problem.value for problem in told.problems] == [0.1]


def test_intervals_of_lists_and_merged_positions_are_measured_too():
    times = {"time_plan": {"interval": 1.2, "loops": 4}}
    here = from_useq(made({**times, "stage_positions": [{"x": 0.0}]}))
    there = from_useq(made({**times, "stage_positions": [{"x": 99.0}]}))

    told = found(combine(here, there, axis="p"))

    (problem,) = told.problems
    assert problem.limit == pytest.approx(2.3)
    quick = explicit(
        [ImageEvent(index={"t": t}, min_start_time_s=0.1 * t) for t in range(5)]
    )
    assert found(quick).problems[0].limit == pytest.approx(0.15)


def test_positions_due_faster_than_they_can_be_reached_are_refused():
    plan = from_useq(
        made(
            {
                "time_plan": {"interval": 60, "loops": 20},
                "stage_positions": [{"x": 10 * n} for n in range(3)],
            }
        )
    )

    assert found(offset_positions(plan, 2)).is_ok
    (problem,) = found(offset_positions(plan, 1)).problems
    assert problem.limit == pytest.approx(1.15)


def test_a_wait_between_parts_is_no_interval():
    plan = combine(one(min_start_time_s=0.0), wait(0.01), one(min_start_time_s=0.0))

    assert found(plan).intervals == ()


def test_a_repeating_plan_is_known_as_if_all_of_it_had_been_looked_at():
    said = {
        "channels": [
            {"config": "DAPI", "exposure": 20},
            {"config": "FITC", "acquire_every": 3},
        ],
        "time_plan": {"interval": 0.3, "loops": 100},
        "stage_positions": [{"x": 10, "z": 1}, {"x": 20}],
        "autofocus_plan": {"axes": ("p",)},
    }
    plan = from_useq(made(said))
    listed = explicit(list(plan))
    quick, slow = found(plan), found(listed)

    assert quick.duration_s == pytest.approx(slow.duration_s)
    assert quick.n_bytes == slow.n_bytes
    assert quick.n_images == slow.n_images == plan.n_images
    for one_dose, other in zip(quick.doses, slow.doses, strict=True):
        assert one_dose.lit_s == pytest.approx(other.lit_s)
        assert one_dose.most_lit_s == pytest.approx(other.most_lit_s)
    assert [each.smallest_s for each in quick.intervals] == pytest.approx(
        [each.smallest_s for each in slow.intervals]
    )


@settings(max_examples=150, deadline=None)
@given(sequences.sequences())
def test_any_plan_is_known_as_if_all_of_it_had_been_looked_at(described):
    try:
        plan = from_useq(sequences.made(described))
    except (ValueError, PlanError):
        assume(False)
    looked_at = explicit(list(plan))
    assume(list(looked_at) == list(plan))
    quick, slow = found(plan), found(looked_at)

    assert quick.duration_s == pytest.approx(slow.duration_s)
    assert (quick.n_images, quick.n_bytes) == (slow.n_images, slow.n_bytes)


def test_light_on_the_sample_is_added_up():
    events = [
        ImageEvent(x_um=0.0, channel=DAPI, exposure_s=1.0),
        ImageEvent(x_um=0.0, channel=DAPI, exposure_s=1.0),
        ImageEvent(x_um=9.0, channel=DAPI, exposure_s=0.5),
        ImageEvent(x_um=9.0, channel=FITC, exposure_s=3.0),
    ]

    dapi, fitc = found(explicit(events)).doses

    assert (dapi.channel, dapi.lit_s, dapi.most_lit_s) == ("DAPI", 2.5, 2.0)
    assert dapi.energy_mj == pytest.approx(5.0)
    # 2 mW on 0.001 cm2 for the 2 s at the first place
    assert dapi.most_j_per_cm2 == pytest.approx(4.0)
    assert (fitc.lit_s, fitc.energy_mj, fitc.most_j_per_cm2) == (3.0, None, None)


def test_a_shutter_left_open_lights_the_sample_in_between():
    events = [
        ImageEvent(z_um=0.0, channel=DAPI, exposure_s=1.0, keep_shutter_open=True),
        ImageEvent(z_um=1.0, channel=DAPI, exposure_s=1.0),
    ]

    (dapi,) = found(explicit(events)).doses

    # readout 0.05 and the move of 0.25 between the two exposures
    assert dapi.lit_s == pytest.approx(2.3)


def test_times_nobody_knows_are_warned_of():
    scope = Scope(move_xy_s=None, move_z_s=None, change_s=None, light_s=None)
    told = found(one(x_um=1.0, z_um=1.0, channel=DAPI), scope)

    assert told.is_ok
    assert told.duration_s == pytest.approx(0.15)
    assert [text.split(":")[0] for text in told.warnings] == [
        "moves of the stage",
        "moves of the focus drive",
        "changes of the channel",
        "switching light",
    ]
    assert any("one after the other" in text for text in told.assumptions)


def test_a_disk_without_room_is_named():
    plan = from_useq(made({"time_plan": {"interval": 1, "loops": 1000}}))

    (problem,) = found(plan, Scope(free_bytes=20_000_000, copies=4)).problems

    assert problem.field == "disk"
    assert problem.value == 4_000_000
    assert "writes 4.0 MB, expected at most the 3.2 MB" in problem.text
    assert found(plan, Scope(free_bytes=None, copies=4)).is_ok


def test_a_deadline_that_cannot_be_met_is_named():
    plan = from_useq(made({"time_plan": {"interval": 1, "loops": 11}}))

    (problem,) = found(msgspec.structs.replace(plan, deadline_s=10.0)).problems

    assert problem.field == "deadline_s"
    assert problem.limit == pytest.approx(10.15)
    assert found(msgspec.structs.replace(plan, deadline_s=10.2)).is_ok


def test_a_film_takes_the_time_of_its_slowest_camera():
    told = found(film(FilmPlan(100)))

    assert told.duration_s == pytest.approx(20)
    assert (told.n_images, told.n_bytes) == (200, 150_000)
    assert found(film(FilmPlan(100, ("camera1",)))).duration_s == pytest.approx(10)
    (problem,) = found(film(FilmPlan(1, ("camera9",)))).problems
    assert problem.field == "camera"


def test_of_a_film_without_an_end_only_the_devices_are_known():
    told = found(film(FilmPlan(None)))

    assert told.is_ok
    assert (told.duration_s, told.n_images, told.n_bytes) == (None, None, None)


def test_a_million_events_take_seconds():
    said = {
        "stage_positions": [{"x": float(n % 900)} for n in range(1000)],
        "channels": ["DAPI", "FITC"],
        "z_plan": {"range": 9, "step": 1},
        "time_plan": {"interval": 1e5, "loops": 50},
    }
    repeating = from_useq(made(said))
    winding = from_useq(made({**said, "axis_order": "ptcz"}))
    scope = Scope()
    start_s = time.monotonic()

    assert found(repeating, scope).n_images == 1_000_000
    repeating_s = time.monotonic() - start_s
    assert found(winding, scope).n_images == 1_000_000
    winding_s = time.monotonic() - start_s - repeating_s

    # About 0.2 s and 4 s; a busy machine may take some times that.
    assert repeating_s < 5
    assert winding_s < 60
    assert scope.asked < 10_000


def test_an_unknown_kind_of_event_has_no_place_in_a_plan():
    class BlinkEvent(PlannedEvent, frozen=True):
        pass

    with pytest.raises(PlanError, match="BlinkEvent is no kind of event"):
        explicit([BlinkEvent()])
