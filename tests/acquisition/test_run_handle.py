"""A run as its owner holds it."""

from __future__ import annotations

import threading

import msgspec
import pytest
from psygnal import EmitLoopError

from hal.acquisition import (
    FilmPlan,
    ImageEvent,
    Plan,
    RunHandle,
    RunState,
    RunStatus,
)
from hal.acquisition.plans import explicit
from hal.base import DiskFull, ErrorRecord, HalError, SystemClock
from hal.testing import FakeClock


def status(state: RunState, run_id: str = "run1", **values: object) -> RunStatus:
    return RunStatus(run_id=run_id, state=state, **values)  # type: ignore[arg-type]


class Wishes(list[str]):
    """What was asked for."""

    def cancel(self, run_id: str) -> None:
        self.append(f"cancel {run_id}")

    def pause(self, run_id: str) -> None:
        self.append(f"pause {run_id}")

    def resume(self, run_id: str) -> None:
        self.append(f"resume {run_id}")

    def extend(self, run_id: str, plan: Plan) -> RunStatus:
        self.append(f"extend {run_id}")
        return status(RunState.RUNNING, n_events_total=plan.n_events)

    def plan(self, run_id: str) -> FilmPlan | Plan:
        return explicit([ImageEvent(index={"t": n}) for n in range(3)])


@pytest.fixture
def wishes() -> Wishes:
    return Wishes()


@pytest.fixture
def handle(wishes: Wishes) -> RunHandle:
    return RunHandle(status(RunState.PENDING), wishes, FakeClock())


def test_a_handle_asks_for_what_its_owner_wants_until_the_run_is_over(
    handle: RunHandle, wishes: Wishes
) -> None:
    """R58."""
    handle.pause()
    handle.update(status(RunState.PAUSED))
    assert handle.is_paused
    handle.resume()
    handle.extend(explicit([ImageEvent(), ImageEvent()]))
    assert not handle.is_paused
    assert handle.status.n_events_total == 2
    assert [event.index for event in handle.events] == [{"t": 0}, {"t": 1}, {"t": 2}]
    assert wishes == ["pause run1", "resume run1", "extend run1"]

    handle.update(status(RunState.DONE))
    handle.pause()
    handle.resume()
    handle.cancel()

    assert len(wishes) == 3


def test_a_status_is_immutable() -> None:
    """R57."""
    with pytest.raises(AttributeError):
        status(RunState.PENDING).state = RunState.DONE  # type: ignore[misc]


def test_a_status_survives_the_wire() -> None:
    """R57."""
    error = ErrorRecord(kind="DiskFull", text="no space", source="recorder")
    sent = status(RunState.ERROR, fatal_error=error, files=("a", "b"))

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=RunStatus) == sent


def test_each_newer_status_is_kept_and_emitted(handle: RunHandle) -> None:
    """R58: `statusChanged` emits the latest status."""
    emitted: list[RunStatus] = []
    handle.statusChanged.connect(emitted.append)
    news = [status(RunState.RUNNING), status(RunState.DONE)]

    for new in news:
        handle.update(new)

    assert emitted == news
    assert handle.status is news[-1]
    assert not handle.is_running


def test_news_of_another_run_is_ignored(handle: RunHandle) -> None:
    """R44."""
    handle.update(status(RunState.DONE, run_id="run0"))

    assert handle.is_running
    assert handle.status.state is RunState.PENDING


def test_news_after_the_end_is_ignored(handle: RunHandle) -> None:
    """R44: late events change nothing."""
    handle.update(status(RunState.CANCELLED))
    emitted: list[RunStatus] = []
    handle.statusChanged.connect(emitted.append)

    handle.update(status(RunState.RUNNING))

    assert handle.status.state is RunState.CANCELLED
    assert emitted == []


def test_wait_gives_up_after_its_time() -> None:
    handle = RunHandle(status(RunState.RUNNING), Wishes(), SystemClock())

    assert handle.wait(0.01) is None


def test_wait_wakes_up_at_the_end() -> None:
    """R64."""
    handle = RunHandle(status(RunState.RUNNING), Wishes(), SystemClock())
    results: list[RunStatus | None] = []
    waiting = threading.Thread(target=lambda: results.append(handle.wait(10.0)))
    waiting.start()

    handle.update(status(RunState.DONE))

    waiting.join(5.0)
    assert [r.state for r in results if r is not None] == [RunState.DONE]


def test_waiting_for_a_run_that_is_over_returns_at_once() -> None:
    over = RunHandle(status(RunState.ERROR), Wishes(), FakeClock())

    assert over.wait(1e9) is over.status


def test_cancel_asks_for_the_end_of_this_run(handle: RunHandle, wishes: Wishes) -> None:
    handle.cancel()
    handle.cancel()

    assert set(wishes) == {"cancel run1"}


def test_cancel_after_the_end_does_nothing(handle: RunHandle, wishes: Wishes) -> None:
    handle.update(status(RunState.DONE))

    handle.cancel()

    assert wishes == []


def test_a_slot_that_raises_does_not_keep_anybody_waiting(handle: RunHandle) -> None:
    def raise_always(_status: RunStatus) -> None:
        raise ValueError("slot")

    handle.statusChanged.connect(raise_always)

    with pytest.raises(EmitLoopError):
        handle.update(status(RunState.DONE))

    assert handle.wait(0.0) is not None
    assert handle.result().state is RunState.DONE


def test_the_result_of_a_run_is_its_status_when_all_went_well(
    handle: RunHandle,
) -> None:
    handle.update(status(RunState.DONE))

    assert handle.result().state is RunState.DONE


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (status(RunState.RUNNING), "run1: running"),
        (status(RunState.CANCELLED), "run1: cancelled"),
        (
            status(
                RunState.ERROR,
                fatal_error=ErrorRecord(kind="X", text="no space", source="recorder"),
            ),
            "recorder: no space",
        ),
    ],
)
def test_the_result_of_a_run_that_went_otherwise_says_why(
    handle: RunHandle, end: RunStatus, words: str
) -> None:
    handle.update(end)

    with pytest.raises(HalError, match=words):
        handle.result()


def test_the_result_of_a_failed_run_raises_what_ended_it(handle: RunHandle) -> None:
    """A script may free some space and go on: it needs the class, not just the text."""
    full = ErrorRecord(kind="DiskFull", text="no space", source="recorder")
    handle.update(status(RunState.ERROR, fatal_error=full))

    with pytest.raises(DiskFull) as raised:
        handle.result()

    assert raised.value.source == "recorder"
    assert raised.value.__notes__ == ["It ended run run1."]


class BusyStatus:
    """A status that, while it is looked at, sees another thread bring the end."""

    run_id = "run1"

    def __init__(self) -> None:
        self.bring_end: threading.Thread | None = None

    @property
    def state(self) -> RunState:
        if self.bring_end is not None and not self.bring_end.is_alive():
            self.bring_end.start()
            self.bring_end.join(0.1)
        return RunState.PENDING


def test_an_older_status_that_another_thread_brings_never_replaces_the_end() -> None:
    """Whoever starts a run asks for its status while its news come in."""
    busy = BusyStatus()
    handle = RunHandle(busy, Wishes(), SystemClock())  # type: ignore[arg-type]
    end = threading.Thread(target=handle.update, args=(status(RunState.DONE),))
    busy.bring_end = end

    handle.update(status(RunState.RUNNING))

    end.join(5.0)
    assert handle.status.state is RunState.DONE
