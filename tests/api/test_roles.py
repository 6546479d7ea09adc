"""What the roles of a split system promise their clients, wherever they live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hal.acquisition import FilmPlan, RunState
from hal.api import STATE_SCHEMA, StateTold, told
from hal.base import BadInput, InvalidMessage, LimitError, StateError, pack, unpack
from hal.frames import FrameInfo
from hal.kernel import ModuleStateChanged, RunLost, SystemModeChanged
from hal.messages import (
    CameraArmed,
    MoveStage,
    OpenRecording,
    RunStatusChanged,
    StageMoved,
    StagePosition,
    StartRun,
)
from hal.testing import wait_until
from tests.api.sides import SIDES, Listener, Roles


@pytest.fixture(params=SIDES)
def roles(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Roles]:
    with SIDES[request.param](tmp_path) as roles:
        yield roles


# -- the microscope -----------------------------------------------------------


def test_a_command_is_answered(roles: Roles) -> None:
    reply = roles.mcs.publish_command(MoveStage(3.0, 4.0))

    assert reply.wait(10.0)
    assert reply.result() == StagePosition(3.0, 4.0)


def test_what_is_wrong_with_a_command_is_in_its_reply(roles: Roles) -> None:
    reply = roles.mcs.publish_command(MoveStage(1e9, 0.0), to="stage")

    assert reply.wait(10.0)
    with pytest.raises(LimitError, match="expected -50000 to 50000 um"):
        reply.result()


def test_a_client_hears_what_is_so_and_then_what_happens(roles: Roles) -> None:
    ui = Listener()
    roles.mcs.subscribe_state(ui)
    wait_until(
        lambda: ModuleStateChanged("stage", "started", "") in ui.events(news=False)
    )
    assert SystemModeChanged("idle", "") in ui.events(news=False)

    roles.mcs.publish_command(MoveStage(3.0, 4.0)).wait()

    ui.wait_for(StageMoved("stage", 3.0, 4.0))
    assert StageMoved("stage", 3.0, 4.0) not in ui.events(news=False)
    assert [told.number for told in ui.heard] == list(range(1, len(ui.heard) + 1))
    assert {told.schema for told in ui.heard} == {STATE_SCHEMA}
    assert len({told.session for told in ui.heard}) == 1


def test_one_that_comes_later_knows_as_much(roles: Roles) -> None:
    first, late = Listener(), Listener()
    roles.mcs.subscribe_state(first)
    roles.mcs.publish_command(MoveStage(1.0, 1.0)).wait()
    first.wait_for(StageMoved("stage", 1.0, 1.0))

    roles.mcs.subscribe_state(late)

    wait_until(lambda: len(late.events(news=False)) >= len(first.events(news=False)))
    assert late.heard[0].number == 1
    assert late.events() == []


def test_a_slow_client_keeps_nobody_waiting(roles: Roles) -> None:
    slow, quick = Listener(), Listener()
    slow.go_on.clear()
    roles.mcs.subscribe_state(slow)
    roles.mcs.subscribe_state(quick)

    for x_um in (1.0, 2.0, 3.0):
        assert roles.mcs.publish_command(MoveStage(x_um, 0.0)).wait(5.0)
    quick.wait_for(StageMoved("stage", 3.0, 0.0))

    assert slow.heard == []
    slow.go_on.set()
    slow.wait_for(StageMoved("stage", 3.0, 0.0))
    slow.wait_for(StageMoved("stage", 1.0, 0.0))


def test_a_client_that_fails_hears_that_its_feed_has_ended(
    roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = Listener(), Listener()

    def fail(news: StateTold) -> None:
        raise RuntimeError("no window")

    monkeypatch.setattr(broken, "state_told", fail)
    subscription = roles.mcs.subscribe_state(broken)
    roles.mcs.subscribe_state(other)

    wait_until(lambda: broken.ended)
    assert broken.ended == ["the client failed: no window"]
    assert not subscription.is_open
    roles.mcs.publish_command(MoveStage(1.0, 0.0)).wait()
    other.wait_for(StageMoved("stage", 1.0, 0.0))


def test_a_subscription_that_is_closed_is_told_nothing_more(roles: Roles) -> None:
    ui, other = Listener(), Listener()
    subscription = roles.mcs.subscribe_state(ui)
    roles.mcs.subscribe_state(other)
    wait_until(lambda: ui.heard)

    subscription.close()
    wait_until(lambda: ui.ended)
    count = len(ui.heard)
    roles.mcs.publish_command(MoveStage(1.0, 0.0)).wait()

    other.wait_for(StageMoved("stage", 1.0, 0.0))
    assert len(ui.heard) == count
    assert ui.ended == ["it was closed"]


def test_the_end_of_the_other_side_is_told(roles: Roles) -> None:
    ui = Listener()
    roles.mcs.subscribe_state(ui)

    roles.stop()

    wait_until(lambda: ui.ended)
    assert ui.ended == ["HAL has stopped"]


# -- its news on the wire -----------------------------------------------------


def news(**changes: object) -> StateTold:
    event = RunLost("r1", "it died")
    plain = told(event, session="s", number=1, wall_s=0.0, is_news=True)
    return msgspec.structs.replace(plain, **changes)


def test_news_survive_the_wire() -> None:
    arrived = unpack(StateTold, pack(news()))

    assert isinstance(arrived, StateTold)
    assert arrived == news()
    assert arrived.event() == RunLost("r1", "it died")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schema": STATE_SCHEMA + 1}, "told in schema 2: expected 1"),
        ({"version": 7}, "told as version 7, known here as version 1"),
        ({"type": "from the future"}, "unknown kind of record"),
        ({"type": "move stage"}, "is not an event"),
        ({"payload": b"\x80"}, "run lost"),
    ],
)
def test_news_of_another_version_say_so_and_can_be_passed_on(
    changes: dict[str, object], complaint: str
) -> None:
    strange = news(**changes)

    with pytest.raises(InvalidMessage, match=complaint):
        strange.event()
    assert unpack(StateTold, pack(strange)) == strange


# -- the conductor ------------------------------------------------------------


def film(folder: Path, frames: int | None) -> StartRun:
    return StartRun(FilmPlan(frames), str(folder / "films"), formats=("dax",))


def test_a_run_is_started_followed_and_remembered(roles: Roles, tmp_path: Path) -> None:
    ui = Listener()
    roles.mcs.subscribe_state(ui)

    handle = roles.orchestrator.start(film(tmp_path, 3))

    status = handle.wait(20.0)
    assert status is not None
    assert status.state is RunState.DONE
    assert roles.orchestrator.status(handle.run_id) == status
    ui.wait_for(RunStatusChanged(handle.run_id, status))


def test_a_run_is_stopped_from_another_client(roles: Roles, tmp_path: Path) -> None:
    handle = roles.orchestrator.start(film(tmp_path, None))
    assert not roles.orchestrator.status(handle.run_id).state.is_terminal

    roles.orchestrator.stop(handle.run_id)

    status = handle.wait(20.0)
    assert status is not None
    assert status.state is RunState.CANCELLED
    roles.orchestrator.stop(handle.run_id)  # harmless when it is over


def test_a_run_that_is_refused_says_why(roles: Roles, tmp_path: Path) -> None:
    wrong = StartRun(FilmPlan(1, ("camera9",)), str(tmp_path), formats=("dax",))

    with pytest.raises(BadInput, match="there is no camera 'camera9'"):
        roles.orchestrator.start(wrong)
    with pytest.raises(StateError, match="there was no run"):
        roles.orchestrator.status("01ARZ3NDEKTSV4RRFFQ69G5FAV")


# -- the storage --------------------------------------------------------------


def recording(folder: Path, name: str = "film") -> OpenRecording:
    camera = CameraArmed(
        camera="eye",
        frames=5,
        height=4,
        width=6,
        dtype="uint16",
        exposure_s=0.01,
        pixel_size_um=0.1,
        binning=1,
        roi_x_px=0,
        roi_y_px=0,
        extension="",
        simulated=True,
    )
    return OpenRecording(
        run_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        cameras=(camera,),
        frames=5,
        directory=str(folder / "stored"),
        name=name,
        formats=("dax",),
        overwrite=False,
        notes="",
        stage_um=None,
        parameters=(),
    )


def frame(index: int, shape: tuple[int, int] = (4, 6)) -> np.ndarray:
    return np.full(shape, index, np.uint16)


def note(index: int, camera: str = "eye") -> FrameInfo:
    return FrameInfo(
        camera=camera,
        index=index,
        event_index=index,
        host_s=float(index),
        exposure_s=0.01,
        shape=(4, 6),
        dtype="uint16",
    )


def test_frames_are_stored_and_acknowledged(roles: Roles, tmp_path: Path) -> None:
    storage = roles.storage
    storage.open(recording(tmp_path))
    for index in range(5):
        assert storage.submit(frame(index), note(index), 5.0)

    assert storage.wait_until_stored("eye", 5, 10.0)
    health = storage.health()
    assert (health.state, health.waiting) == ("started", {"eye": 0})
    assert health.run_id == recording(tmp_path).run_id
    assert health.free_bytes > 0
    finished = storage.finish("done")

    assert finished.problems == ()
    assert finished.frames["eye"].verified == 5
    pixels = np.fromfile(tmp_path / "stored" / "film.dax", "<u2").reshape(5, 4, 6)
    assert [int(each[0, 0]) for each in pixels] == list(range(5))
    assert storage.health().run_id == ""


def test_what_is_submitted_wrongly_is_refused(roles: Roles, tmp_path: Path) -> None:
    storage = roles.storage
    with pytest.raises(StateError, match="nothing is being recorded of 'eye'"):
        storage.submit(frame(0), note(0), 1.0)
    storage.open(recording(tmp_path))

    with pytest.raises(BadInput, match="expected \\(4, 6\\) uint16"):
        storage.submit(frame(0, (4, 5)), note(0), 1.0)
    with pytest.raises(BadInput, match="frame 3: expected 0"):
        storage.submit(frame(0), note(3), 1.0)
    with pytest.raises(StateError, match="nothing is being recorded of 'other'"):
        storage.submit(frame(0), note(0, "other"), 1.0)
    with pytest.raises(StateError, match="still recording"):
        storage.open(recording(tmp_path, "another"))

    assert storage.submit(frame(0), note(0), 1.0)
    storage.finish("cancelled")
    with pytest.raises(StateError, match="nothing is being recorded"):
        storage.finish("done")


def test_a_recording_that_is_refused_leaves_room_for_the_next(
    roles: Roles, tmp_path: Path
) -> None:
    wrong = msgspec.structs.replace(recording(tmp_path), formats=())
    with pytest.raises(BadInput, match="no film format"):
        roles.storage.open(wrong)

    roles.storage.open(recording(tmp_path))
    roles.storage.submit(frame(0), note(0), 1.0)

    assert roles.storage.finish("done").frames["eye"].stored == 1
