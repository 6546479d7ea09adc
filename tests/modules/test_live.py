"""R42, R43, R92: cameras show without recording, and make way for a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from hal.acquisition import RunState
from hal.base import Carrier, LinkError, PlanError, StateError
from hal.kernel import SystemMode, SystemModeChanged
from hal.messages import (
    LiveChanged,
    StartLive,
    StopLive,
)
from hal.testing import RunningHal, running_hal, wait_until
from tests.modules.bench import (
    PATIENCE_S,
    ScriptedCamera,
    camera_part,
    ring_of,
    sim_part,
)

TWO = (sim_part("camera1", exposure_s=0.002), sim_part("camera2", exposure_s=0.002))


def shown(hal: RunningHal, camera: str, count: int) -> None:
    """Wait until a camera has shown so many frames."""
    wait_until(
        lambda: ring_of(hal, camera).published >= count, PATIENCE_S, what="live frames"
    )


def changes(hal: RunningHal) -> list[bool]:
    return [event.is_live for event in hal.probe.heard(LiveChanged)]


def mode(hal: RunningHal) -> SystemMode:
    return hal.probe.context.leases.mode


def test_live_shows_frames_and_stores_none(
    tmp_path: Path, carrier: Carrier | None
) -> None:
    with running_hal(*TWO, carrier=carrier) as hal:
        hal.ask(StartLive())
        latest = ring_of(hal, "camera2").open_reader("window", lossless=False)
        shown(hal, "camera1", 20)
        shown(hal, "camera2", 20)
        assert latest.latest() is not None
        assert mode(hal) is SystemMode.LIVE

        hal.ask(StopLive())

        at_rest = ring_of(hal, "camera1").published
        assert ring_of(hal, "camera1").ended
        assert changes(hal) == [True, False]
        assert mode(hal) is SystemMode.IDLE
        hal.ask(StopLive())
        assert ring_of(hal, "camera1").published == at_rest
        assert changes(hal) == [True, False]
    assert list(tmp_path.iterdir()) == []


def test_a_snap_ends_by_itself_and_its_frame_can_be_seen() -> None:
    with running_hal(*TWO) as hal:
        hal.ask(StartLive(("camera1",), frames=1))
        hal.probe.wait_for(LiveChanged, lambda e: not e.is_live, PATIENCE_S)

        ring = ring_of(hal, "camera1")
        assert (ring.published, ring.ended) == (1, True)
        assert mode(hal) is SystemMode.IDLE


def test_a_run_ends_live_before_it_begins(tmp_path: Path) -> None:
    """R92: once, and the cameras are its own then."""
    with running_hal(*TWO) as hal:
        hal.ask(StartLive())
        shown(hal, "camera1", 3)

        status = hal.film(tmp_path, 5).wait(PATIENCE_S)

        assert status is not None
        assert status.state is RunState.DONE
        assert {c.stored for c in status.frames.values()} == {5}
        assert changes(hal) == [True, False]
        modes = [str(event.mode) for event in hal.probe.heard(SystemModeChanged)]
        assert modes[0] == "live"
        assert modes[-1] == "idle"
        hal.ask(StartLive())
        shown(hal, "camera2", 3)


def test_live_is_refused_while_a_run_goes_on(tmp_path: Path) -> None:
    with running_hal(*TWO) as hal:
        run = hal.film(tmp_path, None)

        with pytest.raises(StateError, match=f"run {run.run_id} is going on"):
            hal.ask(StartLive())

        run.cancel()
        assert run.wait(PATIENCE_S)


def test_live_of_other_cameras_takes_the_place_of_what_was_live() -> None:
    with running_hal(*TWO) as hal:
        hal.ask(StartLive(("camera1",)))
        hal.ask(StartLive(("camera2",)))
        shown(hal, "camera2", 3)

        assert ring_of(hal, "camera1").ended
        hal.ask(StopLive())
        assert ring_of(hal, "camera2").ended


def test_a_camera_that_is_not_there_is_refused_with_what_is() -> None:
    with (
        running_hal(*TWO) as hal,
        pytest.raises(PlanError, match=r"'camra1': expected one of .*mean 'camera1'"),
    ):
        hal.ask(StartLive(("camra1",)))


class Unready(ScriptedCamera):
    """Cannot be armed."""

    def arm(self) -> None:
        raise StateError("warming up")


def test_one_camera_that_cannot_begin_leaves_none_exposing() -> None:
    with running_hal(TWO[0], camera_part(Unready(), "camera2")) as hal:
        with pytest.raises(StateError, match="warming up"):
            hal.ask(StartLive())

        over = hal.probe.wait_for(LiveChanged, lambda e: not e.is_live, PATIENCE_S)
        assert over.why == "warming up"
        assert mode(hal) is SystemMode.IDLE
        hal.ask(StartLive(("camera1",)))
        shown(hal, "camera1", 2)


def test_a_camera_that_fails_ends_live_with_the_reason() -> None:
    driver = ScriptedCamera(0, 1, LinkError("the cable was pulled"))
    with running_hal(camera_part(driver)) as hal:
        hal.ask(StartLive())
        over = hal.probe.wait_for(LiveChanged, lambda e: not e.is_live, PATIENCE_S)

        assert "the cable was pulled" in over.why
        assert mode(hal) is SystemMode.IDLE


def test_a_camera_that_fails_leaves_no_other_exposing(tmp_path: Path) -> None:
    failing = ScriptedCamera(0, 1, LinkError("the cable was pulled"))
    with running_hal(TWO[0], camera_part(failing, "camera2")) as hal:
        hal.ask(StartLive())
        hal.probe.wait_for(LiveChanged, lambda e: not e.is_live, PATIENCE_S)

        assert ring_of(hal, "camera1").ended
        status = hal.film(tmp_path, 3, cameras=("camera1",)).wait(PATIENCE_S)
        assert status is not None
        assert status.state is RunState.DONE


def test_hal_stops_while_it_is_live() -> None:
    with running_hal(*TWO) as hal:
        hal.ask(StartLive())
        shown(hal, "camera1", 3)
