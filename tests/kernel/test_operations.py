"""R33, R34, R35, R108, R109: operations by id; each ends once and is forgotten."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from hal.base import DiskFull, ErrorRecord
from hal.kernel import Operation, OperationState, OperationTracker
from hal.testing import FakeClock, wait_until
from hal.testing.contracts._halting import Background
from tests.kernel.bench import in_threads

PATIENCE_S = 20.0
WALL_S = 1_000.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(wall_s=WALL_S)


@pytest.fixture
def tracker(clock: FakeClock) -> OperationTracker:
    return OperationTracker(clock)


def events(logged: list[Any]) -> list[tuple[str, str]]:
    return [(entry["level"], entry["event"]) for entry in logged]


def test_an_operation_goes_from_pending_to_completed_with_its_times(
    clock: FakeClock, tracker: OperationTracker
) -> None:
    operation = tracker.queue("move")
    assert (operation.name, operation.state) == ("move", "pending")
    assert (operation.created_s, operation.started_s) == (WALL_S, None)

    clock.advance(1.0)
    assert tracker.begin(operation.id)
    assert operation.state is OperationState.RUNNING
    assert not operation.is_terminal

    clock.advance(2.0)
    assert tracker.complete(operation.id, result="there")
    assert operation.state is OperationState.COMPLETED
    assert operation.is_terminal
    assert (operation.started_s, operation.completed_s) == (WALL_S + 1, WALL_S + 3)
    assert (operation.result, operation.error) == ("there", None)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (DiskFull("no space on d:"), "DiskFull", "no space on d:"),
        (ValueError("boom"), "HandlerFailed", "ValueError: boom"),
        ("lamp is out", "HalError", "lamp is out"),
        (ErrorRecord(kind="Halted", text="stop", source="stage"), "Halted", "stop"),
    ],
)
def test_a_failure_has_its_error_as_data(
    tracker: OperationTracker, error: Any, kind: str, text: str
) -> None:
    operation = tracker.start("save")

    assert tracker.fail(operation.id, error)

    assert operation.state is OperationState.FAILED
    assert operation.error is not None
    assert (operation.error.kind, operation.error.text) == (kind, text)


def test_a_cancelled_operation_says_why(tracker: OperationTracker) -> None:
    operation = tracker.queue("scan")

    assert tracker.cancel(operation.id, "stop was pressed")

    assert operation.state is OperationState.CANCELLED
    assert operation.error is not None
    assert (operation.error.kind, operation.error.text) == (
        "Cancelled",
        "stop was pressed",
    )
    assert operation.started_s is None


def test_an_id_that_is_not_known_is_a_warning(
    tracker: OperationTracker, logged: list[Any]
) -> None:
    assert tracker.get("?") is None
    assert not tracker.begin("?")
    assert not tracker.complete("?")
    assert not tracker.fail("?", "x")
    assert not tracker.cancel("?")
    assert not tracker.on_complete("?", lambda _: None)

    assert events(logged) == [("warning", "operation unknown")] * 6
    assert {entry["id"] for entry in logged} == {"?"}


@pytest.mark.parametrize("first", ["complete", "fail", "cancel"])
def test_what_has_ended_never_changes(
    clock: FakeClock, tracker: OperationTracker, logged: list[Any], first: str
) -> None:
    operation = tracker.start("scan")
    ends = {
        "complete": lambda: tracker.complete(operation.id, "result"),
        "fail": lambda: tracker.fail(operation.id, "why"),
        "cancel": lambda: tracker.cancel(operation.id),
    }
    assert ends[first]()
    was = operation._facts
    clock.advance(5.0)

    assert not any(end() for end in ends.values())
    assert not tracker.begin(operation.id)

    assert operation._facts is was
    assert events(logged) == [("warning", "operation not changed")] * 4
    assert logged[0]["state"] == was.state


@pytest.mark.usefixtures("_switching_often")
def test_one_of_many_threads_ends_it_and_everything_fits_together(
    tracker: OperationTracker, logged: list[Any]
) -> None:
    for _ in range(60):
        operation = tracker.start("race")
        won: list[int] = []
        told: list[Operation] = []
        tracker.on_complete(operation.id, told.append)

        def end(number: int, op: Operation = operation, w: Any = won) -> None:
            done = (
                tracker.complete(op.id, number)
                if number % 2
                else tracker.fail(op.id, str(number))
            )
            if done:
                w.append(number)

        in_threads(6, end)

        (winner,) = won
        assert told == [operation]
        if winner % 2:
            assert (operation.state, operation.result) == ("completed", winner)
            assert operation.error is None
        else:
            assert operation.state is OperationState.FAILED
            assert operation.error is not None
            assert operation.error.text == str(winner)
            assert operation.result is None


@pytest.mark.usefixtures("_switching_often")
def test_a_callback_added_while_the_end_comes_is_called_exactly_once(
    tracker: OperationTracker,
) -> None:
    for _ in range(100):
        operation = tracker.start("race")
        told: list[Operation] = []

        def work(number: int, op: Operation = operation, t: Any = told) -> None:
            if number:
                tracker.on_complete(op.id, t.append)
            else:
                tracker.complete(op.id)

        in_threads(4, work)
        assert told == [operation] * 3


def test_waiting_ends_with_the_operation_or_the_time(
    clock: FakeClock, tracker: OperationTracker
) -> None:
    operation = tracker.start("scan")
    answers: list[bool] = []
    late = Background(lambda: answers.append(operation.wait(5.0)))
    wait_until(lambda: clock.waiting == 1)
    clock.advance(5.1)
    assert late.join(PATIENCE_S)
    assert answers == [False]

    waiters = [
        Background(lambda: answers.append(operation.wait(math.inf))) for _ in range(3)
    ]
    wait_until(lambda: clock.waiting == 3)
    tracker.complete(operation.id)

    assert all(waiter.join(PATIENCE_S) for waiter in waiters)
    assert answers == [False, True, True, True]
    assert operation.wait(0.0)


def test_the_pending_ones_are_those_that_have_not_ended(
    tracker: OperationTracker,
) -> None:
    first, second, third = (tracker.queue(name) for name in "abc")
    tracker.begin(second.id)
    tracker.complete(third.id)

    assert tracker.get_pending() == (first, second)
    assert tracker.get(third.id) is third


def test_waiting_for_all_shares_one_time(
    clock: FakeClock, tracker: OperationTracker
) -> None:
    operations = [tracker.start(str(number)) for number in range(3)]
    answers: list[bool] = []
    waiter = Background(lambda: answers.append(tracker.wait_all(10.0)))

    # Each ends within 10 s of the one before; together they take longer.
    for operation in operations[:2]:
        wait_until(lambda: clock.waiting)
        clock.advance(4.0)
        tracker.complete(operation.id)
    wait_until(lambda: clock.waiting)
    clock.advance(2.5)

    assert waiter.join(PATIENCE_S)
    assert answers == [False]
    assert tracker.get_pending() == (operations[2],)


def test_waiting_for_all_ends_with_the_last(
    clock: FakeClock, tracker: OperationTracker
) -> None:
    assert tracker.wait_all(0.0)
    operations = [tracker.start(str(number)) for number in range(3)]
    answers: list[bool] = []
    waiter = Background(lambda: answers.append(tracker.wait_all(10.0)))
    wait_until(lambda: clock.waiting)

    tracker.fail(operations[2].id, "x")
    tracker.cancel(operations[1].id)
    assert not waiter.join(0.05)
    tracker.complete(operations[0].id)

    assert waiter.join(PATIENCE_S)
    assert answers == [True]


def test_a_callback_is_told_of_any_end_once_and_also_afterwards(
    tracker: OperationTracker,
) -> None:
    told: list[tuple[str, str]] = []
    for end in (tracker.complete, tracker.cancel, lambda i: tracker.fail(i, "x")):
        operation = tracker.start("scan")
        tracker.on_complete(operation.id, lambda op: told.append(("before", op.state)))
        end(operation.id)
        end(operation.id)
        tracker.on_complete(operation.id, lambda op: told.append(("after", op.state)))

    assert told == [
        (when, state)
        for state in ("completed", "cancelled", "failed")
        for when in ("before", "after")
    ]


def test_a_callback_that_raises_harms_nobody(
    tracker: OperationTracker, logged: list[Any]
) -> None:
    told: list[Operation] = []

    def evil(_: Operation) -> None:
        raise SystemExit

    operation = tracker.start("scan")
    tracker.on_complete(operation.id, evil)
    tracker.on_complete(operation.id, told.append)

    assert tracker.complete(operation.id)

    assert told == [operation]
    assert events(logged) == [("error", "callback failed")]


def test_a_callback_finds_everything_done_and_may_use_the_tracker(
    tracker: OperationTracker,
) -> None:
    seen: list[object] = []

    def follow(ended: Operation) -> None:
        seen.append(tracker.get_pending())
        tracker.on_complete(ended.id, lambda op: seen.append(op.name))
        seen.append(tracker.cleanup_completed(0.0))
        seen.append(tracker.start("next").name)

    operation = tracker.start("scan")
    tracker.on_complete(operation.id, follow)
    ending = Background(lambda: tracker.complete(operation.id))

    assert ending.join(PATIENCE_S)
    assert seen == [(), "scan", 1, "next"]
    assert [op.name for op in tracker.get_pending()] == ["next"]


def test_a_callback_that_hangs_keeps_nobody_waiting(
    tracker: OperationTracker,
) -> None:
    gate = threading.Event()
    operation = tracker.start("scan")
    tracker.on_complete(operation.id, lambda _: gate.wait(PATIENCE_S))
    ending = Background(lambda: tracker.complete(operation.id))

    wait_until(lambda: operation.is_terminal)
    assert operation.wait(0.0)
    other = tracker.start("other")
    assert tracker.complete(other.id)
    assert ending.is_running

    gate.set()
    assert ending.join(PATIENCE_S)


def test_old_ones_are_forgotten_and_open_ones_never(
    clock: FakeClock, tracker: OperationTracker, logged: list[Any]
) -> None:
    open_one = tracker.start("open")
    old, young = tracker.start("old"), tracker.start("young")
    tracker.complete(old.id)
    clock.advance(10.0)
    tracker.complete(young.id)
    clock.advance(5.0)

    assert tracker.cleanup_completed(max_age_s=12.0) == 1

    assert tracker.get(old.id) is None
    assert tracker.get(young.id) is young
    assert tracker.cleanup_completed(0.0) == 1
    assert tracker.get_pending() == (open_one,)
    assert open_one.age_s() == 0.0


def test_memory_does_not_grow_when_nobody_cleans_up(
    tracker: OperationTracker,
) -> None:
    open_one = tracker.start("open")

    for number in range(2_500):
        tracker.complete(tracker.start(str(number)).id)

    assert len(tracker._operations) == 1_001
    assert tracker.get(open_one.id) is open_one


@pytest.mark.usefixtures("_switching_often")
def test_threads_that_start_end_and_clean_up_lose_nothing(
    clock: FakeClock, tracker: OperationTracker
) -> None:
    kept: list[Operation] = []
    ids: list[str] = []

    def work(number: int) -> None:
        for count in range(150):
            operation = tracker.start(f"{number}/{count}")
            ids.append(operation.id)
            if count % 50 == 0:
                kept.append(operation)
            else:
                assert tracker.complete(operation.id)
            tracker.cleanup_completed(0.0)
            tracker.get_pending()

    in_threads(6, work)

    assert len(set(ids)) == 900
    assert set(tracker.get_pending()) == set(kept)
    tracker.cleanup_completed(0.0)
    assert len(tracker._operations) == len(kept)
