"""R46, R61, R66-R72: plans on a whole simulated microscope."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import useq

from hal.acquisition import (
    ChannelName,
    DeviceProperty,
    FilmPlan,
    Plan,
    RunHandle,
    RunState,
    RunStatus,
)
from hal.acquisition.plans import (
    AfterFailure,
    FailurePolicy,
    ImageEvent,
    explicit,
    from_useq,
)
from hal.base import Carrier, DeviceError, PlanError, StateError, Value
from hal.client import ClientModule
from hal.kernel import DescribeParameters, ParameterList
from hal.messages import (
    GetLight,
    GetWheelAbility,
    LightState,
    MoveStage,
    PauseRun,
    ReleaseRun,
    RunAccepted,
    RunStatusChanged,
    SetLight,
    StartRun,
    SuspendRun,
    WheelAbility,
)
from hal.testing import RunningHal, part, running_hal
from modules.channels.channel import ChannelModule
from modules.simulation import SimFilterWheel, SimShutter, SimXYStage
from tests.modules.bench import ScriptedCamera, files_in
from tests.modules.plan_bench import (
    FAST,
    Microscope,
    done,
    ended,
    pixels,
    plan_of,
    rows,
    until,
)

DOCUMENTED = {
    "a z stack": {"stage_positions": [(0, 0, 5)], "z_plan": {"range": 4, "step": 0.5}},
    "top and bottom": {"z_plan": {"top": 4, "bottom": -4, "step": 2}},
    "above and below": {
        "stage_positions": [(1, 2, 3)],
        "z_plan": {"above": 2, "below": 1, "step": 1},
    },
    "relative heights": {
        "stage_positions": [(0, 0, 3)],
        "z_plan": {"relative": [-2, 0, 1]},
    },
    "a time lapse": {"time_plan": {"interval": 0.05, "loops": 4}},
    "phases of a time lapse": {
        "time_plan": [{"interval": 0, "loops": 3}, {"interval": 0.05, "loops": 2}]
    },
    "channels": {"channels": ["FITC", {"config": "Cy3", "exposure": 3}]},
    "channels now and then": {
        "channels": ["FITC", {"config": "Cy3", "acquire_every": 2, "do_stack": False}],
        "time_plan": {"interval": 0, "loops": 3},
        "stage_positions": [(0, 0, 0)],
        "z_plan": {"range": 2, "step": 1},
    },
    "channel offsets": {
        "channels": [{"config": "FITC", "z_offset": 2}, "Cy3"],
        "stage_positions": [(0, 0, 1)],
        "z_plan": {"range": 2, "step": 1},
    },
    "a grid": {
        "stage_positions": [(10, 20, 0)],
        "grid_plan": {"rows": 2, "columns": 2, "fov_width": 5, "fov_height": 5},
    },
    "positions with sequences of their own": {
        "stage_positions": [
            (0, 0, 0),
            {"x": 5, "y": 5, "z": 1, "sequence": {"z_plan": {"range": 2, "step": 1}}},
            {
                "x": 9,
                "y": 9,
                "z": 0,
                "sequence": {"grid_plan": {"rows": 1, "columns": 2}},
            },
        ],
        "channels": ["FITC"],
    },
    "all axes": {
        "axis_order": "tpcz",
        "stage_positions": [(0, 0, 0), (10, 5, 1)],
        "channels": ["FITC", "Cy3"],
        "z_plan": {"range": 2, "step": 1},
        "time_plan": {"interval": 0, "loops": 2},
    },
    "all axes, heights before channels": {
        "axis_order": "tpzc",
        "stage_positions": [(0, 0, 0), (10, 5, 1)],
        "channels": ["FITC", "Cy3"],
        "z_plan": {"range": 2, "step": 1},
        "time_plan": {"interval": 0, "loops": 2},
    },
    "light kept on": {
        "channels": ["Cy3"],
        "stage_positions": [(0, 0, 0)],
        "z_plan": {"range": 2, "step": 1},
        "keep_shutter_open_across": "z",
    },
}


def test_every_documented_sequence_runs_in_the_order_useq_gives(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    """R61: order and indices shown are those that are done."""
    scope = Microscope()
    with running_hal(*scope.parts(), carrier=carrier) as hal:
        for name, fields in DOCUMENTED.items():
            sequence = useq.MDASequence.model_validate(fields)
            events = list(sequence)
            status = done(hal, tmp_path, from_useq(sequence))

            assert status.frames["camera1"].stored == len(events), name
            found = rows(status)
            assert [row.index for row in found] == [
                dict(event.index) for event in events
            ], name
            for row, event in zip(found, events, strict=True):
                for axis in ("x", "y", "z"):
                    planned = getattr(event, f"{axis}_pos")
                    if planned is not None:
                        reached = getattr(row, f"{axis}_um")
                        assert reached == pytest.approx(planned, abs=0.1), name
                if event.channel is not None:
                    assert row.channel == event.channel.config
                if event.exposure is not None:
                    assert row.exposure_s == pytest.approx(event.exposure / 1000)
            assert [row.frame for row in found] == list(range(len(events)))
        scope.assert_at_rest()


def lapse(n: int = 12, **values: object) -> dict[str, object]:
    return {
        "stage_positions": [(0, 0, 0), (3, 0, 0)],
        "z_plan": {"range": 2, "step": 1},
        "time_plan": {"interval": 0, "loops": n},
        **values,
    }


WORLD = """<?xml version="1.0"?>
<hal name="Test" directory="{folder}/data">
  <world name="sample" seed="3"/>
  <module name="camera1" class="cameras.camera">
    <driver class="simulation.camera" world="sample" width_px="48" height_px="32"
            exposure_s="0.002" index_pixels="false"/>
  </module>
  <module name="stage" class="stages.xy_stage">
    <driver class="simulation.xy_stage" world="sample" speed_um_s="1e6"/>
  </module>
  <module name="z" class="stages.z_stage">
    <driver class="simulation.z_stage" world="sample" speed_um_s="1e6"/>
  </module>
</hal>
"""


def test_a_plan_paused_ten_times_gives_the_same_bytes(tmp_path: Path) -> None:
    """R72: a pause changes when, and not what."""
    # So slow that every pause finds it going on.
    plan = plan_of(**{**lapse(), "time_plan": {"interval": 0.25, "loops": 12}})
    path = tmp_path / "world.xml"
    path.write_text(WORLD.format(folder=tmp_path))
    chance = random.Random(5)
    pauses = sorted(chance.sample(range(1, (plan.n_images or 0) - 2), 10))

    with running_hal(path, log_folder=tmp_path / "logs1") as hal:
        whole = done(hal, tmp_path / "whole", plan)
    with running_hal(path, log_folder=tmp_path / "logs2") as hal:
        run = hal.run(tmp_path / "paused", plan)
        n_paused = 0
        for frames in pauses:
            until(lambda n=frames: run.status.n_frames_received >= n, "frames")
            run.pause()
            until(lambda: run.is_paused or not run.is_running, "the pause")
            n_paused += run.is_paused
            run.resume()
        paused = ended(run)

    assert paused.state is RunState.DONE
    assert n_paused >= 3
    assert pixels(paused) == pixels(whole)
    assert len(set(chunks(pixels(whole), 48 * 32 * 2))) == plan.n_images
    assert [row.index for row in rows(paused)] == [row.index for row in rows(whole)]


def chunks(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def wait_for_events(run: RunHandle, count: int) -> None:
    until(lambda: run.status.n_events_consumed >= count, f"{count} events")


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_after_a_cancel_at_any_moment_the_next_run_is_whole(
    tmp_path: Path, seed: int
) -> None:
    """R46, R66, R67: nothing is lit or moves, and nothing leaks into the next run."""
    chance = random.Random(seed)
    scope = Microscope()
    many = plan_of(**lapse(200), channels=["FITC", "Cy3"])
    few = plan_of(**lapse(1), channels=["Cy3"])
    cancels = 6 if seed == 0 else 50
    with running_hal(*scope.parts()) as hal:
        for _ in range(cancels):
            run = hal.run(tmp_path, many)
            n = chance.randrange(0, 30)
            wait_for_events(run, n)
            if chance.random() < 0.3:
                run.pause()
            run.cancel()
            status = ended(run)
            assert status.state is RunState.CANCELLED, status
            assert status.fatal_error is None
            counts = status.frames["camera1"]
            assert counts.gap_count == 0
            assert counts.stored == counts.received
            scope.assert_at_rest()

            whole = done(hal, tmp_path, few)
            assert whole.frames["camera1"].complete
            assert [row.frame for row in rows(whole)] == [*range(few.n_images or 0)]
        assert hal.probe.heard(RunStatusChanged)


def test_a_cancel_puts_out_the_light_of_a_long_exposure(tmp_path: Path) -> None:
    scope = Microscope(exposure_s=50.0)
    with running_hal(*scope.parts()) as hal:
        run = hal.run(tmp_path, plan_of(channels=["Cy3"]))
        until(scope.shutter.is_shutter_open, "the light")
        assert scope.laser.is_on()

        run.cancel()

        assert ended(run).state is RunState.CANCELLED
        scope.assert_at_rest()


def test_a_cancel_halts_a_long_move(tmp_path: Path) -> None:
    scope = Microscope()
    scope.stage = SimXYStage(speed_um_s=10.0, move_timeout_s=600.0)
    with running_hal(*scope.parts()) as hal:
        run = hal.run(tmp_path, plan_of(stage_positions=[(1000, 0)]))
        until(scope.stage.is_moving, "the move")

        run.cancel()

        assert ended(run).state is RunState.CANCELLED
        scope.assert_at_rest()
        assert scope.stage.position_um()[0] < 500.0


def test_a_film_may_follow_a_plan_and_a_plan_a_film(tmp_path: Path) -> None:
    scope = Microscope()
    with running_hal(*scope.parts()) as hal:
        for _ in range(2):
            film = ended(hal.film(tmp_path, 5))
            assert film.state is RunState.DONE
            done(hal, tmp_path, plan_of(**lapse(1)))


def test_settings_are_as_they_were_when_a_run_is_over(tmp_path: Path) -> None:
    """R43: whatever way it ends."""
    scope = Microscope(exposure_s=0.005)
    plan = explicit(
        ImageEvent(
            index={"t": n},
            channel=ChannelName("FITC"),
            exposure_s=0.002,
            properties=(
                DeviceProperty("laser", "power_tolerance_mw", 0.2 + 0.01 * (n % 3)),
            ),
        )
        for n in range(30)
    )
    with running_hal(*scope.parts()) as hal:
        hal.ask(SetLight(power_mw=3.0), to="laser")
        before = settings(hal)
        for cancelled in (False, True):
            run = hal.run(tmp_path, plan)
            if cancelled:
                wait_for_events(run, 4)
                run.cancel()
            status = ended(run)
            assert status.background_errors == ()
            assert settings(hal) == before


def settings(hal: RunningHal) -> dict[str, Value]:
    """Return what a plan may have changed."""
    light = hal.ask(GetLight(), to="laser")
    wheel = hal.ask(GetWheelAbility(), to="wheel")
    assert isinstance(light, LightState)
    assert isinstance(wheel, WheelAbility)
    return {
        "power_mw": light.power_mw,
        "is_on": light.is_on,
        "slot": wheel.slot,
        "exposure_s": parameter(hal, "camera1", "exposure_s"),
        "tolerance": parameter(hal, "laser", "power_tolerance_mw"),
    }


def parameter(hal: RunningHal, module: str, name: str) -> Value:
    listed = hal.ask(DescribeParameters(), to=module)
    assert isinstance(listed, ParameterList)
    return {spec.name: spec.value for spec in listed.specs}[name]


def test_a_camera_that_gives_no_frame_follows_the_policy(tmp_path: Path) -> None:
    frames = iter([0, None, None, None, None])
    scope = Microscope(ScriptedCamera(lambda: next(frames, None)))
    scope.requested = {"patience_s": 0.2}
    plan = explicit(
        [ImageEvent(index={"t": n}, z_um=float(n)) for n in range(3)],
        on_failure=FailurePolicy(1, AfterFailure.SKIP),
    )
    with running_hal(*scope.parts()) as hal:
        status = ended(hal.run(tmp_path, plan))

    assert status.state is RunState.DONE
    counts = status.frames["camera1"]
    assert (counts.planned, counts.stored, counts.gaps) == (3, 1, (1, 2))
    assert counts.gap_count == 2
    assert [error.source for error in status.background_errors] == ["camera1"] * 2
    assert "gave no frame within 0.2 s" in status.background_errors[0].text
    assert [row.outcome for row in rows(status)] == ["done", "skipped", "skipped"]


class StuckStage(SimXYStage):
    """Never says that it has arrived."""

    def _do_is_moving(self) -> bool:
        return True

    def _do_halt(self) -> None:
        super()._do_halt()
        self.halted = True

    halted = False


def test_a_stage_that_never_arrives_ends_the_run(tmp_path: Path) -> None:
    scope = Microscope()
    scope.stage = StuckStage(move_timeout_s=0.2, **FAST)
    plan = plan_of(stage_positions=[(0, 0), (5, 5)], channels=["FITC"])
    with running_hal(*scope.parts()) as hal:
        status = ended(hal.run(tmp_path, plan))

        assert status.state is RunState.ERROR
        assert status.fatal_error is not None
        assert status.fatal_error.source == "stage"
        assert not scope.laser.is_on()


class StickyShutter(SimShutter):
    """Closes when it likes."""

    sticks = True

    def set_shutter(self, is_open: bool) -> None:
        if self.sticks and not is_open and self.is_shutter_open():
            raise DeviceError("the blade sticks")
        super().set_shutter(is_open)


def test_a_shutter_that_does_not_close_ends_the_run_and_is_told(
    tmp_path: Path,
) -> None:
    scope = Microscope()
    scope.shutter = StickyShutter()
    plan = plan_of(channels=["Cy3"], z_plan={"top": 2, "bottom": 0, "step": 1})
    with running_hal(*scope.parts()) as hal:
        status = ended(hal.run(tmp_path, plan))
        scope.shutter.sticks = False

        assert status.state is RunState.ERROR
        assert status.fatal_error is not None
        assert "the blade sticks" in status.fatal_error.text
        assert status.frames["camera1"].stored == 1
        # What stands before it is dark all the same.
        assert not scope.laser.is_on()
        done(hal, tmp_path, plan)


def test_a_plan_that_cannot_be_done_here_moves_nothing(tmp_path: Path) -> None:
    """R56, R62: it is refused with all that is wrong, and nothing is left of it."""
    scope = Microscope()
    with running_hal(*scope.parts()) as hal:
        with pytest.raises(PlanError, match=r"'FITCC'.*did you mean 'FITC'"):
            hal.run(tmp_path, plan_of(channels=["FITCC"]))
        with pytest.raises(PlanError, match="x_um"):
            hal.run(tmp_path, plan_of(stage_positions=[(1e9, 0)]))

        assert files_in(tmp_path) == []
        done(hal, tmp_path, plan_of(**lapse(1)))


def slow_plan(n: int = 100) -> Plan:
    return plan_of(
        stage_positions=[(0, 0, 0), (1, 0, 0)],
        time_plan={"interval": 0.1, "loops": n},
    )


def test_a_filter_whose_name_is_a_number_is_found_by_its_name(tmp_path: Path) -> None:
    scope = Microscope()
    scope.wheel = SimFilterWheel(filters="620, 525/50, 605/70, 3")
    three = part("three", ChannelModule, label="3", filter_wheel="wheel", filter="3")
    with running_hal(*scope.parts(), three) as hal:
        slots: list[int] = []
        run = hal.run(
            tmp_path, plan_of(channels=["3"], time_plan={"interval": 0.1, "loops": 5})
        )
        wait_for_events(run, 1)
        slots.append(scope.wheel.slot())
        ended(run)

    assert slots == [4]


def test_one_run_at_a_time_holds_the_microscope(tmp_path: Path) -> None:
    scope = Microscope()
    with running_hal(*scope.parts()) as hal:
        run = hal.run(tmp_path, slow_plan())
        with pytest.raises(StateError, match=f"run {run.run_id} is going on"):
            hal.film(tmp_path, 3)
        with pytest.raises(StateError, match="in use by run"):
            hal.ask(MoveStage(1.0, 1.0), to="stage")

        run.cancel()
        ended(run)


def test_a_film_can_neither_be_paused_nor_extended(tmp_path: Path) -> None:
    with running_hal(*Microscope().parts()) as hal:
        run = hal.film(tmp_path, None)

        with pytest.raises(StateError, match="only a run that follows a plan"):
            run.pause()
        with pytest.raises(StateError, match="only a run that follows a plan"):
            run.extend(plan_of(**lapse(1)))

        assert run.plan == FilmPlan(None)
        assert run.events == ()
        run.cancel()
        ended(run)
        assert run.plan == FilmPlan(None)


def test_orders_for_another_run_change_nothing(tmp_path: Path) -> None:
    with running_hal(*Microscope().parts()) as hal:
        old = hal.run(tmp_path, plan_of(**lapse(1)))
        ended(old)
        run = hal.run(tmp_path, slow_plan(8))
        hal.ask(PauseRun(old.run_id))

        status = ended(run)

        assert status.state is RunState.DONE
        with pytest.raises(StateError, match="is not going on"):
            old._commands.extend(old.run_id, plan_of(**lapse(1)))


def test_a_plan_is_extended_while_it_goes_on(tmp_path: Path) -> None:
    """R63: more events than were planned, in the same film."""
    scope = Microscope()
    with running_hal(*scope.parts()) as hal:
        run = hal.run(tmp_path, slow_plan(3), formats=("dax", "ome-tiff"))
        run.extend(plan_of(stage_positions=[(1, 0, 0)], z_plan={"range": 4, "step": 1}))
        with pytest.raises(PlanError, match="channel"):
            run.extend(plan_of(channels=["none"]))
        n_events = len(run.events)
        status = ended(run)

    assert status.state is RunState.DONE
    assert n_events == 6 + 5
    assert status.frames["camera1"].stored == 11
    assert status.frames["camera1"].planned == 11
    found = rows(status)
    assert [row.frame for row in found] == list(range(11))
    # A place that was there before has its number.
    assert {row.index["p"] for row in found[6:]} == {1}
    assert [row.z_um for row in found[6:]] == pytest.approx([-2, -1, 0, 1, 2], abs=0.1)


def test_a_condition_holds_a_run_back_until_it_is_gone(tmp_path: Path) -> None:
    with running_hal(*Microscope().parts()) as hal:
        hal.ask(SuspendRun("guard", "focus is lost"))
        run = hal.run(tmp_path, plan_of(**lapse(1)))
        until(lambda: run.is_paused, "the pause")
        assert run.status.why_paused == "focus is lost"
        assert run.status.n_frames_received == 0

        hal.ask(ReleaseRun("guard"))

        assert ended(run).state is RunState.DONE
        done(hal, tmp_path, plan_of(**lapse(1)))


def test_a_person_may_go_on_whatever_a_guard_has_said(tmp_path: Path) -> None:
    with running_hal(*Microscope().parts()) as hal:
        run = hal.run(tmp_path, slow_plan(10))
        hal.ask(SuspendRun("guard", "disk is low"))
        until(lambda: run.is_paused, "the pause")

        run.resume()

        assert ended(run).state is RunState.DONE


def test_who_pauses_a_run_is_told(tmp_path: Path) -> None:
    with running_hal(*Microscope().parts()) as hal:
        run = hal.run(tmp_path, slow_plan())
        run.pause()
        until(lambda: run.is_paused, "the pause")

        assert run.status.why_paused == "by script:test"
        run.cancel()
        assert ended(run).state is RunState.CANCELLED


def test_statuses_of_a_run_tell_its_states_in_order(tmp_path: Path) -> None:
    """R57-R60: one handle, one run, up to its end."""
    with running_hal(*Microscope().parts()) as hal:
        plan = plan_of(
            stage_positions=[(0, 0, 0)], time_plan={"interval": 0.4, "loops": 3}
        )
        request = StartRun(plan=plan, directory=str(tmp_path), formats=("dax",))
        accepted = hal.ask(request)
        assert isinstance(accepted, RunAccepted)
        run = hal.module("client", ClientModule).handle(
            accepted, principal="script:test"
        )
        seen: list[RunStatus] = []
        run.statusChanged.connect(seen.append)
        status = ended(run)

    states = [report.state for report in seen]
    assert RunState.WAITING in states
    assert states[-1] is RunState.DONE
    assert {report.run_id for report in seen} == {accepted.run_id}
    consumed = [report.n_events_consumed for report in seen]
    assert consumed == sorted(consumed)
    assert status.follows_plan
    assert status.n_events_total == 3


def test_each_run_that_begins_is_told_with_a_handle_of_its_own(
    tmp_path: Path,
) -> None:
    """R60: whoever began it."""
    fresh: list[RunHandle] = []
    with running_hal(*Microscope().parts()) as hal:
        client = hal.module("client", ClientModule)
        client.runStarted.connect(fresh.append)
        for _ in range(2):
            status = done(hal, tmp_path, plan_of(**lapse(1)))
            until(lambda: fresh and not fresh[-1].is_running, "the end of the run")
            assert fresh[-1].status == status
        client.runStarted.disconnect(fresh.append)
        done(hal, tmp_path, plan_of(**lapse(1)))

    assert len({run.run_id for run in fresh}) == len(fresh) == 2
    assert len(client._handles) == 0


def test_a_run_without_a_frame_is_over_too(tmp_path: Path) -> None:
    scope = Microscope(ScriptedCamera(None))
    scope.requested = {"patience_s": 0.1}
    with running_hal(*scope.parts()) as hal:
        plan = explicit(
            [ImageEvent(index={"t": n}) for n in range(3)],
            on_failure=FailurePolicy(0, AfterFailure.SKIP),
        )
        status = ended(hal.run(tmp_path, plan))

    assert status.state is RunState.DONE
    assert status.frames["camera1"].gaps == (0, 1, 2)
    assert status.started_at_s is None
    assert len(status.background_errors) == 3
