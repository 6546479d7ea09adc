"""R68, R94: light goes where an analysis says; without its answer there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hal.acquisition import RunHandle, RunState, RunStatus
from hal.acquisition.plans import explicit
from hal.base import Carrier, DeviceError, PlanError, Value
from hal.messages import MaskProjected
from hal.testing import Part, part, running_hal, wait_until
from modules.channels.channel import ChannelModule
from modules.light_sources.light_source import LightSourceModule
from modules.simulation import SimLightSource
from tests.analysis.bench import (
    LASER,
    PATIENCE_S,
    SIZE_PX,
    FragileAnalysis,
    NotingProjector,
    Script,
    analysis_part,
    begin,
    camera_part,
    end_of,
    errors,
    image,
    projector_part,
    stimulation,
)
from tests.isolation.bench import isolated_part

DISC = np.zeros((SIZE_PX, SIZE_PX), bool)
DISC[3:5, 7:10] = True


class Microscope:
    """A camera, a projector, a laser for it, and an analysis."""

    def __init__(self, script: Script, **values: Value) -> None:
        self.dmd = NotingProjector()
        self.laser = SimLightSource()
        self.analysis = analysis_part(script, **values)

    def parts(self) -> tuple[Part, ...]:
        return (
            camera_part(),
            projector_part(self.dmd),
            part("lamp", LightSourceModule, driver=self.laser),
            part("stim", ChannelModule, label="laser", light="lamp", power_mw=10.0),
            self.analysis,
        )


def assert_whole(status: RunStatus, frames: int) -> None:
    assert status.state is RunState.DONE, status
    assert status.frames["camera1"].verified == frames


def test_the_light_goes_where_it_says(
    tmp_path: Path, script: Script, carrier: Carrier | None
) -> None:
    scope = Microscope(script)
    script.at_mask = lambda event: DISC if event.index["t"] == 1 else np.eye(SIZE_PX)
    lit: list[bool] = []
    scope.dmd.at_show = lambda: lit.append(scope.laser.is_on())
    with running_hal(*scope.parts(), carrier=carrier) as hal:
        run = begin(
            hal,
            tmp_path,
            *(image(0), stimulation(0, channel=LASER)),
            *(image(1), stimulation(1, channel=LASER, duration_s=0.002)),
        )
        status = end_of(run)
        told = hal.probe.heard(MaskProjected)
        assert not scope.laser.is_on()

    assert scope.dmd.shown == [(SIZE_PX, 0.001), (6, 0.002)]
    assert [(e.lit_px, e.duration_s) for e in told] == scope.dmd.shown
    assert lit == [True, True]
    assert_whole(status, 2)
    assert errors(status) == []


def test_every_frame_before_was_analysed_when_it_is_asked(
    tmp_path: Path, script: Script
) -> None:
    pause = threading.Event()
    script.at_frame = lambda info: pause.wait(0.05)
    seen: list[list[int]] = []

    def mask(event: object) -> Any:
        seen.append(script.frames)
        return DISC

    script.at_mask = mask
    with running_hal(*Microscope(script).parts()) as hal:
        # So many at once that they are in the ring before the first was looked at.
        events = [*(image(t) for t in range(4)), stimulation(3), image(4)]
        status = end_of(begin(hal, tmp_path, *events, stimulation(4)))

    assert seen == [[0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert_whole(status, 5)


def test_a_part_of_a_binned_sensor_is_lit_where_it_is(
    tmp_path: Path, script: Script
) -> None:
    """Columns 8 to 15, rows 0 to 7, in binning 2: frames of 4x4 pixels."""
    scope = Microscope(script)
    corner = np.zeros((4, 4), bool)
    corner[0, 3] = True
    script.at_mask = lambda event: corner
    shown: list[Any] = []
    show = scope.dmd._do_show

    def note(mask: Any, duration_s: float) -> None:
        shown.append(sorted(zip(*np.nonzero(mask), strict=True)))
        show(mask, duration_s)

    scope.dmd._do_show = note  # type: ignore[method-assign]
    region = {"roi_x_px": 8, "roi_width_px": 8, "roi_height_px": 8, "binning": 2}
    _, *others = scope.parts()
    with running_hal(camera_part(**region), *others) as hal:
        status = end_of(begin(hal, tmp_path, image(0), stimulation(0)))

    assert errors(status) == []
    assert shown == [[(0, 14), (0, 15), (1, 14), (1, 15)]]


def refuse(event: object) -> None:
    raise ZeroDivisionError("no cells")


def test_what_is_no_mask_is_passed_over_and_told(
    tmp_path: Path, script: Script, carrier: Carrier | None
) -> None:
    scope = Microscope(script)
    wrong: list[tuple[Callable[[object], object], str]] = [
        (lambda event: None, "smart has no mask for event 1"),
        (refuse, "ZeroDivisionError: no cells"),
        (lambda event: np.ones((3, 3)), "a mask of shape (3, 3): expected (16, 16)"),
        (lambda event: [[1], [2]], "a mask of shape (2, 1): expected (16, 16)"),
        (lambda event: "all", "a mask of shape (): expected (16, 16)"),
    ]
    script.at_mask = lambda event: wrong[event.index["t"]][0](event)
    with running_hal(*scope.parts(), carrier=carrier) as hal:
        events = [e for t in range(len(wrong)) for e in (image(t), stimulation(t))]
        status = end_of(begin(hal, tmp_path, *events))

    assert_whole(status, len(wrong))
    assert len(errors(status)) == len(wrong)
    for t, error in enumerate(errors(status)):
        assert f"event {2 * t + 1} (t={t}) was passed over: " in error
        assert wrong[t][1] in error
        assert error.startswith("smart: ")
    assert scope.dmd.shown == []
    assert script.frames == list(range(len(wrong)))  # it goes on


def test_a_mask_that_comes_late_is_passed_over_and_told(
    tmp_path: Path, script: Script, gate: threading.Event
) -> None:
    scope = Microscope(script)
    script.at_mask = lambda event: gate.wait(PATIENCE_S) and DISC
    with running_hal(*scope.parts()) as hal:
        run = begin(hal, tmp_path, image(0), stimulation(0, deadline_s=0.2), image(1))
        wait_until(lambda: run.status.n_frames_received == 2, PATIENCE_S)
        gate.set()
        status = end_of(run)

    assert_whole(status, 2)
    (error,) = errors(status)
    assert "smart did not end 'get mask' within " in error
    assert scope.dmd.shown == []
    assert script.frames == [0, 1]


def test_one_that_hangs_over_its_mask_costs_no_frame(
    tmp_path: Path, script: Script, gate: threading.Event
) -> None:
    scope = Microscope(script, stall_s=1.0)
    script.at_mask = lambda event: gate.wait(PATIENCE_S)
    with running_hal(*scope.parts()) as hal:
        status = end_of(begin(hal, tmp_path, image(0), stimulation(0), image(1)))
        gate.set()

    assert_whole(status, 2)
    said = errors(status)
    assert any("event 1 (t=0) was passed over" in error for error in said), said
    assert any("has not beaten" in error for error in said), said
    assert scope.dmd.shown == []


def test_one_that_failed_before_gives_no_mask(tmp_path: Path, script: Script) -> None:
    def fail(info: object) -> None:
        raise ValueError("no model")

    script.at_frame = fail
    with running_hal(*Microscope(script).parts()) as hal:
        status = end_of(
            begin(hal, tmp_path, image(0), stimulation(0), image(1), stimulation(1))
        )

    assert_whole(status, 2)
    said = errors(status)
    assert "smart: ValueError: no model" in said
    assert sum("was passed over" in error for error in said) == 2


def test_one_in_a_process_of_its_own_says_where_as_well(
    tmp_path: Path, script: Script
) -> None:
    scope = Microscope(script)
    scope.analysis = isolated_part("smart", FragileAnalysis)
    with running_hal(*scope.parts()) as hal:
        status = end_of(begin(hal, tmp_path, image(0), stimulation(0), image(1)))

    assert_whole(status, 2)
    assert errors(status) == []
    assert scope.dmd.shown == [(SIZE_PX**2, 0.001)]


def test_a_cancel_does_not_wait_for_a_mask(
    tmp_path: Path, script: Script, gate: threading.Event
) -> None:
    script.at_mask = lambda event: gate.wait(PATIENCE_S)
    with running_hal(*Microscope(script).parts()) as hal:
        run = begin(hal, tmp_path, image(0), stimulation(0), image(1))
        cancel_when(run, lambda: script.told("mask"))
        wait_until(lambda: run.status.step == "analysing", PATIENCE_S)
        gate.set()
        status = end_of(run)

    assert status.state is RunState.CANCELLED
    assert errors(status) == []
    assert status.frames["camera1"].verified == 1


def test_a_cancel_while_it_is_lit_makes_it_dark(tmp_path: Path, script: Script) -> None:
    scope = Microscope(script)
    with running_hal(*scope.parts()) as hal:
        events = image(0), stimulation(0, channel=LASER, duration_s=600.0), image(1)
        run = begin(hal, tmp_path, *events)
        cancel_when(run, lambda: scope.dmd.shown)
        status = end_of(run)

        assert status.state is RunState.CANCELLED
        wait_until(lambda: scope.dmd.is_dark(), PATIENCE_S)
        assert not scope.laser.is_on()
        # The next run has all of it again.
        again = begin(hal, tmp_path, image(0), stimulation(0), image(1))
        assert_whole(end_of(again), 2)


def cancel_when(run: RunHandle, ready: Callable[[], object]) -> None:
    wait_until(ready, PATIENCE_S)
    run.cancel()


def test_a_projector_that_fails_is_the_business_of_the_policy(
    tmp_path: Path, script: Script
) -> None:
    scope = Microscope(script)

    def jam() -> None:
        raise DeviceError("jammed")

    scope.dmd.at_show = jam
    with running_hal(*scope.parts()) as hal:
        status = end_of(begin(hal, tmp_path, image(0), stimulation(0), image(1)))

    assert status.state is RunState.ERROR
    assert status.fatal_error is not None
    assert "jammed" in status.fatal_error.text
    assert status.frames["camera1"].verified == 1


def test_a_plan_that_names_nobody_is_refused_before_anything_moves(
    tmp_path: Path, script: Script
) -> None:
    wrong = {
        "mask_from='smrt': expected one of smart; did you": {"mask_from": "smrt"},
        "mask_from='lamp': expected one of smart": {"mask_from": "lamp"},
        "projector='dnd': expected one of dmd; did you mean": {"projector": "dnd"},
    }
    with running_hal(*Microscope(script).parts()) as hal:
        for words, values in wrong.items():
            with pytest.raises(PlanError, match=words):
                begin(hal, tmp_path, image(0), stimulation(0, **values))
        assert script.calls == []

        # Nor can it be added to one that is going on.
        run = begin(hal, tmp_path, image(0), image(1, min_start_time_s=600.0))
        for words, values in wrong.items():
            with pytest.raises(PlanError, match=words):
                run.extend(explicit([stimulation(0, **values)]))
        run.cancel()
        end_of(run)


def test_a_plan_needs_its_analysis_to_watch_its_camera(
    tmp_path: Path, script: Script
) -> None:
    scope = Microscope(script, source="camera9")
    with running_hal(*scope.parts()) as hal:
        with pytest.raises(PlanError, match="'smart' watches none of the cameras"):
            begin(hal, tmp_path, image(0), stimulation(0))
        # Without it the plan is done.
        assert_whole(end_of(begin(hal, tmp_path, image(0))), 1)


def test_a_plan_is_refused_if_its_analysis_cannot_begin(
    tmp_path: Path, script: Script
) -> None:
    def fail() -> None:
        raise ValueError("no model")

    script.at_begin = fail
    with running_hal(*Microscope(script).parts()) as hal:
        with pytest.raises(Exception, match="no model"):
            begin(hal, tmp_path, image(0), stimulation(0))

        script.at_begin = lambda: None
        status = end_of(begin(hal, tmp_path, image(0), stimulation(0)))
        assert_whole(status, 1)
