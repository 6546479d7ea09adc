"""The races of the kernel, each in a few threads stopped at any bytecode.

A seed that fails is named in the message, and fails again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

import pytest

from hal.base import Channel, DeliveryId, ErrorRecord, ModuleDead
from hal.kernel import Broker, Delivery, How, Lane, Mailbox
from hal.kernel.dispatch import Pool
from hal.kernel.loop import Loop
from hal.kernel.mailbox import OwnCall
from hal.testing import Interleaver
from tests.kernel.vocabulary import Noted
from tests.kernel.world import FILES, Step, World


def each_seed(count: int, scenario: Callable[[Interleaver], None]) -> None:
    """Run a scenario under many orders; the message of a failure names its seed."""
    for seed in range(count):
        sim = Interleaver(seed, preempt=0.05, files=FILES)
        try:
            sim.run(lambda sim=sim: scenario(sim))  # type: ignore[misc]
        except AssertionError as exc:
            raise AssertionError(f"seed {seed}: {exc}") from exc


def each_world(
    count: int, script: list[Step], *modules: str, preempt: float = 0.01, **limits: Any
) -> None:
    """Follow a script under many orders, in a world with these modules."""
    for seed in range(count):
        world = World(seed, preempt=preempt, modules=modules, **limits)
        world.run(script)


def all_of(sim: Interleaver, *functions: Callable[[], object]) -> None:
    """Run them side by side until all have ended."""

    def run(fn: Callable[[], object]) -> None:
        fn()

    threads = [sim.start(f"t{n}", partial(run, fn)) for n, fn in enumerate(functions)]
    for thread in threads:
        thread.join()


def pass_time(sim: Interleaver) -> None:
    """Let everybody go on until nobody can."""
    sim.wait(threading.Event(), 1.0)


def delivery_of(sim: Interleaver, *receivers: str) -> Delivery:
    delivery = Delivery(
        DeliveryId("0" * 26, "main", 1),
        Noted("test", 1),
        principal="script:test",
        clock=sim,
        deadline_s=5.0,
    )
    if receivers:
        delivery.issue(receivers, 0.0)
    return delivery


# -- single parts ---------------------------------------------------------------------


def test_the_last_of_several_claims_completes_a_delivery_once() -> None:
    def scenario(sim: Interleaver) -> None:
        delivery = delivery_of(sim, "a", "b", "c")
        ends: list[tuple[set[str], int, bool]] = []
        won: list[str] = []
        gone = ErrorRecord.from_exception(ModuleDead("gone"), "c")

        def completed(done: Delivery) -> None:
            hows = [ticket.how for ticket in done.tickets.values()]
            ends.append((set(done.responses), len(done.errors), None in hows))

        def claim(name: str, how: How, by: str) -> None:
            error = None if how is How.DONE else gone
            response = name if how is How.DONE else None
            if delivery.claim(name, how, by, response, error):
                won.append(name)

        delivery.on_complete = completed
        all_of(
            sim,
            lambda: claim("a", How.DONE, "handler"),
            lambda: claim("b", How.DONE, "handler"),
            lambda: claim("c", How.DEAD, "supervisor"),
            lambda: claim("c", How.TIMEOUT, "watchdog"),
        )

        assert sorted(won) == ["a", "b", "c"]
        assert ends == [({"a", "b"}, 1, False)]

    each_seed(300, scenario)


def test_a_wait_that_begins_as_the_delivery_completes_ends() -> None:
    def scenario(sim: Interleaver) -> None:
        delivery = delivery_of(sim, "a")
        waited: list[bool] = []
        all_of(
            sim,
            lambda: delivery.claim("a", How.DONE, "handler"),
            lambda: waited.append(delivery.wait(30.0)),
            lambda: waited.append(delivery.wait()),
        )
        assert waited == [True, True]
        assert sim.monotonic_s() == 0.0, "it slept through the end"

    each_seed(300, scenario)


def test_a_consumer_that_rests_misses_nothing_that_is_posted() -> None:
    def scenario(sim: Interleaver) -> None:
        mailbox = Mailbox()
        turns: Channel[bool] = sim.channel()
        taken: list[object] = []
        inside: list[int] = []

        def consume() -> None:
            while turns.get():
                assert not inside, "two consumers at once"
                inside.append(1)
                while (found := mailbox.take(normal=True)) is not None:
                    item = found.item
                    taken.append(item.owner if isinstance(item, OwnCall) else item)
                inside.pop()
                mailbox.rest(normal=True)

        def produce(name: str) -> None:
            for n in range(3):
                mailbox.post(Lane.NORMAL, f"{name}{n}")
            mailbox.post(Lane.URGENT, f"{name}!")
            mailbox.post(Lane.DISPLAY, f"{name}?", key=name)
            mailbox.post_own(OwnCall(f"{name}.", int, int))

        mailbox.on_waiting = lambda: turns.put(True)
        turns.put(True)
        consumers = [sim.start(f"pool{n}", consume) for n in range(2)]
        all_of(sim, lambda: produce("a"), lambda: produce("b"))
        # Time passes when nobody can run: whoever was told has taken what there was.
        pass_time(sim)
        assert len(mailbox) == 0, f"{len(mailbox)} items wait, and nobody was told"
        assert len(taken) == len(set(taken)) == 12
        for name in "ab":
            of_one = [x for x in taken if x in {f"{name}{n}" for n in range(3)}]
            assert of_one == sorted(of_one, key=str), "out of order"
        for _ in consumers:
            turns.put(False)

    each_seed(250, scenario)


def test_what_is_posted_as_a_mailbox_closes_is_refused_or_drained() -> None:
    def scenario(sim: Interleaver) -> None:
        mailbox = Mailbox()
        kept: list[str] = []
        drained: list[object] = []

        def produce(name: str) -> None:
            for n in range(3):
                if mailbox.post(Lane.NORMAL, f"{name}{n}").kept:
                    kept.append(f"{name}{n}")
            if mailbox.post(Lane.URGENT, f"{name}!").kept:
                kept.append(f"{name}!")

        def close() -> None:
            mailbox.close()
            drained.extend(mailbox.drain())

        all_of(sim, lambda: produce("a"), lambda: produce("b"), close)
        left = mailbox.drain()
        assert sorted(map(str, drained + left)) == sorted(kept), (drained, kept)
        assert not left, "something was kept after the drain"

    each_seed(250, scenario)


def test_who_finds_the_pump_taken_may_leave() -> None:
    """The one inside looks again after it has let go."""

    def scenario(sim: Interleaver) -> None:
        broker = Broker(clock=sim, threads=sim)
        # What the pump does at its least, so that it is often about to let go.
        held = [delivery_of(sim) for _ in range(3)]
        late = ErrorRecord.from_exception(ModuleDead("held too long"), "test")
        all_of(sim, *(partial(broker.expire, delivery, late) for delivery in held))

        assert [delivery.complete for delivery in held] == [True] * 3

    each_seed(400, scenario)


def test_who_has_pumped_enough_hands_the_rest_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hal.kernel.broker.PUMP_LIMIT", 2)

    def scenario(sim: Interleaver) -> None:
        broker = Broker(clock=sim, threads=sim)
        broker.start()
        held = [delivery_of(sim) for _ in range(9)]
        late = ErrorRecord.from_exception(ModuleDead("held too long"), "test")

        def send(mine: list[Delivery]) -> None:
            for delivery in mine:
                broker.expire(delivery, late)

        all_of(sim, *(partial(send, held[n::3]) for n in range(3)))
        pass_time(sim)

        assert [delivery.complete for delivery in held] == [True] * 9
        broker.stop()

    each_seed(150, scenario)


def test_barriers_and_order_hold_in_the_pump() -> None:

    class Sink:
        def __init__(self, name: str) -> None:
            self.name = name
            self.got: list[Delivery] = []

        def handles_type(self, _message_type: object) -> bool:
            return True

        def post(self, delivery: Delivery) -> Any:
            self.got.append(delivery)
            return Mailbox().post(Lane.NORMAL, delivery)

    def scenario(sim: Interleaver) -> None:
        broker = Broker(clock=sim, threads=sim)
        sinks = [Sink("a"), Sink("b")]
        for sink in sinks:
            broker.add(sink)

        def send(who: str) -> None:
            for n in range(3):
                broker.send(Noted(who, n), principal=f"script:{who}", sync=n == 1)

        def answer() -> None:
            for _ in range(40):
                for sink in sinks:
                    for delivery in list(sink.got):
                        delivery.claim(sink.name, How.DONE, "handler")
                sim.yield_now()

        all_of(sim, lambda: send("x"), lambda: send("y"), answer)
        answer()

        assert broker.open_deliveries() == [], "left in the inbox, or behind a barrier"
        assert [d.id for d in sinks[0].got] == [d.id for d in sinks[1].got]
        assert len(sinks[0].got) == 6

    each_seed(60, scenario)


def test_an_actor_of_the_pool_is_in_one_thread_at_a_time_and_forgets_nothing() -> None:
    class Counter:
        """Has a mailbox of numbers."""

        thread_name = "counter"
        is_over = False

        def __init__(self, pool: Pool) -> None:
            self.mailbox = Mailbox()
            self.mailbox.on_waiting = lambda: pool.schedule(self)
            self.inside = 0
            self.taken = 0
            pool.schedule(self)

        def turn(self) -> bool:
            self.inside += 1
            assert self.inside == 1, "two threads in one actor"
            while self.mailbox.take(normal=True) is not None:
                self.taken += 1
            self.inside -= 1
            self.mailbox.rest(normal=True)
            return True

    def scenario(sim: Interleaver) -> None:
        pool = Pool(sim)
        pool.start()
        actors = [Counter(pool), Counter(pool)]

        def post() -> None:
            for n in range(4):
                for actor in actors:
                    actor.mailbox.post(Lane.NORMAL, n)

        all_of(sim, post, post)
        pass_time(sim)
        assert [actor.taken for actor in actors] == [8, 8]
        pool.stop()

    each_seed(150, scenario)


def test_a_loop_that_ends_as_it_is_given_up_is_heard_of_once_in_time() -> None:
    def scenario(sim: Interleaver) -> None:
        heard: list[bool] = []
        error = ErrorRecord.from_exception(ModuleDead("stalled"), "a")
        loop = Loop(
            "a",
            lambda loop: None,
            what="loop",
            stall_s=1.0,
            context=copy_context(),
            clock=sim,
            serve=lambda _: None,
            on_end=lambda _loop, _error, late: heard.append(late),
        )
        loop.start(partial(sim.start, "a/1/loop"))
        all_of(sim, lambda: loop.expire(error))
        pass_time(sim)
        assert heard.count(False) == 1, heard

    each_seed(200, scenario)


# -- the whole kernel -----------------------------------------------------------------


def say(kind: str, to: str | None, act: str = "answer", client: int = 0) -> Step:
    return Step(client, "say", (kind, to, act))


def test_a_handler_given_up_just_as_it_returns() -> None:
    script = [
        say("Perform", "ann", "brink"),
        say("Perform", "ann"),
        say("Perform", "cyd", "brink", client=1),
        say("Perform", "cyd", client=1),
    ]
    each_world(80, script, "ann", "cyd")


def test_a_job_or_loop_given_up_just_as_it_ends() -> None:
    script = [
        say("Perform", "ann", "job:brink"),
        say("Perform", "ann"),
        say("Perform", "cyd", "loop:brink", client=1),
        say("Perform", "cyd", "job:brink", client=1),
        say("Heard", None, client=2),
    ]
    each_world(80, script, "ann", "cyd")


def test_a_generation_that_dies_while_it_is_stopped() -> None:
    script = [
        say("Perform", "lamp", "job:brink"),
        say("PerformNow", "ann", "brink", client=1),
        say("Perform", "ann", client=1),
        Step(2, "pause", (0.34,)),
        Step(2, "restart", ("ann",)),
        say("Heard", None, client=2),
    ]
    each_world(80, script, "ann", "lamp", stop_at_s=0.35)


def test_a_constructor_that_comes_back_just_as_it_is_given_up() -> None:
    script = [
        Step(0, "fault", ("ann.make", "brink")),
        say("Perform", "ann", "fail"),
        say("Perform", "ann"),
        say("Heard", None, client=1),
    ]
    each_world(40, script, "ann")


def test_a_constructor_that_comes_back_when_the_next_one_is_being_made() -> None:
    script = [
        Step(0, "fault", ("ann.make", "hang:first")),
        Step(0, "fault", ("ann.make", "hang:second")),
        say("Perform", "ann", "fail"),
        Step(0, "pause", (5.5,)),
        Step(0, "release", ("first",)),
        Step(0, "pause", (0.5,)),
        Step(0, "release", ("second",)),
        say("Perform", "ann"),
        say("Heard", None, client=1),
    ]
    each_world(15, script, "ann")


def test_a_barrier_that_is_released_by_the_end_of_a_module() -> None:
    script = [
        say("Perform", "ann", "fail"),
        Step(0, "say", ("Heard", None, "answer", True)),
        say("Heard", None),
        say("Perform", "cyd", "fail", client=1),
        Step(1, "say", ("Heard", None, "answer", True)),
        say("Heard", None, client=1),
        Step(2, "chain", ("ann", ("answer", "raise", "answer"), True)),
    ]
    each_world(80, script, "ann", "cyd")


def test_a_stop_through_pykka_while_others_send() -> None:
    script = [
        say("Perform", "ann", "job:slow:0.01"),
        *[say("Heard", None)] * 3,
        Step(1, "pykka", ("cyd", "ask", "answer")),
        Step(1, "pykka", ("cyd", "stop", "")),
        Step(1, "pykka", ("cyd", "ask", "answer")),
        Step(1, "pykka", ("ann", "stop", "")),
        *[say("Heard", None, client=2)] * 3,
        say("CallOff", "cyd", client=2),
    ]
    each_world(80, script, "ann", "cyd")
