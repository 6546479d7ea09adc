"""R21: urgent overtakes, a stop cancels, mailboxes are bounded, the newest is shown."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, ClassVar

import pytest

from hal.base import Cancelled, MailboxFull
from hal.kernel import Event, Lane, Mailbox, Module, Request, System, handles
from hal.kernel.display_lane import DisplayLane
from tests.kernel.bench import done, until, wait_for

FLOOD = 10_000


class Work(Request, frozen=True):
    number: int


class Halt(Request, frozen=True):
    lane: ClassVar[Lane] = Lane.URGENT
    cancels_queued: ClassVar[bool] = True


class Shown(Event, frozen=True):
    lane: ClassVar[Lane] = Lane.DISPLAY
    view: str
    number: int

    def conflation_key(self) -> str:
        return self.view


class Machine(Module):
    """Notes what reaches it; `Work` with a negative number blocks in a job."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.done: list[object] = []
        self.gate = threading.Event()

    @handles(Work)
    def on_work(self, msg: Work) -> None:
        if msg.number < 0:
            self.run_job(lambda: wait_for(self.gate))
        else:
            self.done.append(msg.number)

    @handles(Halt)
    def on_halt(self, msg: Halt) -> None:
        self.done.append("halt")

    @handles(Shown)
    def on_shown(self, msg: Shown) -> None:
        self.done.append((msg.view, msg.number))


@pytest.fixture
def machine(system: System) -> Machine:
    system.add(Machine, "machine", deadline_s=30.0)
    module = system.module("machine")
    assert isinstance(module, Machine)
    return module


def test_a_stop_passes_ten_thousand_messages_and_cancels_them(
    system: System, machine: Machine
) -> None:
    at_work = system.send(Work(-1), deadline_s=60.0)
    until(lambda: machine.busy_with)
    queued = [system.send(Work(n), deadline_s=60.0) for n in range(FLOOD)]

    assert done(system.send(Halt())).errors == ()

    # While the job goes on: nothing waits for it.
    assert not at_work.complete
    for delivery in queued:
        assert done(delivery).tickets["machine"].how == "cancelled"
    with pytest.raises(Cancelled, match="machine"):
        queued[0].result()
    machine.gate.set()
    assert done(at_work).errors == ()
    assert done(system.send(Work(FLOOD))).errors == ()
    assert machine.done == ["halt", FLOOD]


def test_a_stop_cancels_what_pykka_asked_before_it(
    system: System, machine: Machine
) -> None:
    system.send(Work(-1), deadline_s=60.0)
    until(lambda: machine.busy_with)
    asked = machine.actor_ref.ask("anything", block=False)

    done(system.send(Halt()))

    with pytest.raises(Cancelled):
        asked.get(timeout=5.0)
    machine.gate.set()


def test_what_comes_after_a_stop_is_run(system: System, machine: Machine) -> None:
    done(system.send(Halt()))

    assert done(system.send(Work(1))).errors == ()

    assert machine.done == ["halt", 1]


def test_a_full_mailbox_refuses_with_an_error_and_keeps_what_it_has(
    system: System, machine: Machine
) -> None:
    machine.seat.mailbox.capacity = 3
    system.send(Work(-1), deadline_s=60.0)
    until(lambda: machine.busy_with)

    sent = [system.send(Work(n), deadline_s=60.0) for n in range(5)]

    for delivery in sent[3:]:
        assert done(delivery).tickets["machine"].how == "full"
        with pytest.raises(MailboxFull, match="machine"):
            delivery.result()
    assert done(system.send(Halt())).errors == ()  # another lane has room
    machine.gate.set()


def test_only_the_newest_is_shown_and_the_others_are_superseded(
    system: System, machine: Machine
) -> None:
    system.send(Work(-1), deadline_s=60.0)
    until(lambda: machine.busy_with)
    left = [system.send(Shown("left", n), deadline_s=60.0) for n in range(100)]
    right = system.send(Shown("right", 7), deadline_s=60.0)

    for delivery in left[:-1]:
        assert done(delivery).tickets["machine"].how == "superseded"
        assert delivery.errors[0].severity == "warning"
    assert not left[-1].complete
    machine.gate.set()

    assert done(left[-1]).errors == ()
    assert done(right).errors == ()
    assert machine.done == [("left", 99), ("right", 7)]


def test_the_display_lane_waits_for_the_normal_one(
    system: System, machine: Machine
) -> None:
    system.send(Work(-1), deadline_s=60.0)
    until(lambda: machine.busy_with)
    shown = system.send(Shown("view", 1), deadline_s=60.0)
    work = system.send(Work(2), deadline_s=60.0)
    machine.gate.set()

    assert done(shown).errors == done(work).errors == ()
    assert machine.done == [2, ("view", 1)]


def test_display_messages_pass_a_barrier(system: System, machine: Machine) -> None:
    system.send(Work(-1), deadline_s=60.0)
    until(lambda: machine.busy_with)
    barrier = system.send(Work(1), sync=True, deadline_s=60.0)
    shown = system.send(Shown("view", 1), deadline_s=60.0)

    assert "machine" in shown.tickets
    assert not barrier.tickets
    machine.gate.set()
    done(barrier)


def test_each_item_of_the_display_lane_comes_out_once_however_threads_meet() -> None:
    lane = DisplayLane()
    shown: deque[object] = deque()
    displaced: list[object] = []
    finished = threading.Event()

    def show() -> None:
        while not (finished.is_set() and not len(lane)):
            item = lane.take()
            if item is not None:
                shown.append(item)

    def put() -> None:
        for number in range(20_000):
            old = lane.put(number % 3, number)
            if old is not None:
                displaced.append(old)
        finished.set()

    showing = threading.Thread(target=show)
    showing.start()
    put()
    showing.join(20.0)

    assert sorted([*shown, *displaced]) == list(range(20_000))


def test_kinds_that_are_no_longer_shown_cost_no_memory() -> None:
    lane = DisplayLane()
    for kind in range(5_000):
        lane.put(kind, kind)
        assert lane.take() == kind

    assert len(lane._cells) <= 1_001


def test_after_close_a_mailbox_keeps_nothing() -> None:
    mailbox = Mailbox()
    mailbox.post(Lane.NORMAL, "before")
    mailbox.post(Lane.DISPLAY, "shown", key="k")
    mailbox.close()

    assert not mailbox.post(Lane.NORMAL, "after").kept
    assert not mailbox.post(Lane.DISPLAY, "after", key="k").kept
    assert mailbox.drain() == ["before", "shown"]
    assert len(mailbox) == 0


def test_calls_through_pykka_are_never_refused_for_want_of_room(
    system: System, machine: Machine
) -> None:
    machine.seat.mailbox.capacity = 0

    assert machine.actor_ref.proxy().name.get(timeout=5.0) == "machine"
