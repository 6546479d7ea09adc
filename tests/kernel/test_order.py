"""R37, R39: who gets what in which order."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import pytest

from hal.kernel import System
from tests.kernel.bench import add, done, in_threads, until, wait_for
from tests.kernel.vocabulary import Act, ActAtOnce, Noted, NotedToo, Shouted, Whispered

SENDERS, EACH = 8, 150


def test_two_modules_get_the_messages_of_many_threads_in_one_order(
    system: System,
) -> None:
    one, two = add(system, "one"), add(system, "two")

    def send_all(sender: int) -> None:
        for number in range(EACH):
            cls = Noted if number % 2 else NotedToo
            system.send(cls(f"sender{sender}", number))

    in_threads(SENDERS, send_all)
    until(lambda: len(one.seen) == len(two.seen) == SENDERS * EACH)

    assert one.seen == two.seen
    for sender in range(SENDERS):
        numbers = [n for _, who, n in one.seen if who == f"sender{sender}"]
        assert numbers == list(range(EACH))


def test_urgent_messages_overtake_queued_ones_and_keep_their_own_order(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe")
    probe.acts["wait"] = lambda: wait_for(gate)
    waiting = system.send(Act("wait"))
    until(lambda: probe.busy_with)

    for number in range(50):
        system.send(Noted("normal", number))
    for number in range(10):
        system.send(Shouted("urgent", number))
    gate.set()
    done(waiting)
    until(lambda: len(probe.seen) == 60)

    kinds = [kind for kind, _, _ in probe.seen]
    assert kinds == ["shouted"] * 10 + ["noted"] * 50
    assert [n for _, _, n in probe.seen] == [*range(10), *range(50)]


def test_a_stop_passes_ten_thousand_queued_messages(
    system: System, gate: threading.Event
) -> None:
    probe = add(system, "probe")
    probe.acts["wait"] = lambda: wait_for(gate)
    probe.acts["stop"] = lambda: len(probe.seen)
    system.send(Act("wait"), deadline_s=60.0)
    for number in range(10_000):
        last = system.send(Noted("normal", number), deadline_s=60.0)
    stop = system.send(ActAtOnce("stop"), deadline_s=60.0)

    gate.set()

    assert done(stop).responses == {"probe": 0}
    done(last)


def test_a_module_never_runs_two_handlers_at_once(system: System) -> None:
    probe = add(system, "probe")
    inside: list[int] = []
    overlaps: list[int] = []

    def act() -> None:
        inside.append(1)
        if len(inside) > 1:
            overlaps.append(1)
        inside.pop()

    probe.acts["act"] = act
    sent: list[object] = []
    in_threads(
        6,
        lambda sender: sent.extend(
            done(system.send((Act, ActAtOnce)[sender % 2]("act"))) for _ in range(50)
        ),
    )

    assert len(sent) == 300
    assert not overlaps


@pytest.mark.parametrize("handoff", [False, True])
def test_order_holds_when_the_router_thread_routes(
    system: System, handoff: bool
) -> None:
    probe = add(system, "probe")

    for number in range(1_000):
        system.broker.send(
            Noted("here", number), principal="hal", handoff=handoff and number % 3 == 0
        )
    until(lambda: len(probe.seen) == 1_000)

    assert [n for _, _, n in probe.seen] == list(range(1_000))


def test_a_long_pump_handed_to_the_router_leaves_nothing_behind(
    system: System,
) -> None:
    # The pumping sender stops after 256 entries. Whatever order it lets go and hands
    # over in, the last entries must not wait for the next send.
    probe = add(system, "probe")
    broker = system.broker
    for round_number in range(1, 16):
        broker._pumping.acquire()
        for number in range(600):
            broker.send(Noted("queued", number), principal="hal")
        broker._pumping.release()
        broker.pump()
        until(lambda n=round_number: len(probe.seen) == 600 * n, timeout_s=5.0)


def test_an_entry_that_comes_while_the_pump_lets_go_is_not_left_behind(
    system: System,
) -> None:
    # Another thread sends after the pump has found its queue empty and before it lets
    # go: that thread finds the pump taken and relies on it to look again.
    probe = add(system, "probe")
    broker = system.broker
    late = [Noted("late", 1)]

    class Inbox(deque[Any]):
        def popleft(self) -> Any:
            try:
                return super().popleft()
            except IndexError:
                if late:
                    broker.send(late.pop(), principal="hal")
                raise

    broker._inbox = Inbox()
    # Nobody receives it, so that no other thread comes by to pump.
    broker.send(Whispered(), principal="hal")

    until(lambda: probe.seen, timeout_s=5.0)
