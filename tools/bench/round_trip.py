"""A request and its answer, against a bare pykka `ask`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import pykka

from bench.pairing import Paired, Scale, paired
from bench.report import Line
from bench.systems import ask_in_turn, post, running_system, took_to_ask_around
from bench.vocabulary import Answerer, AskAround, Asker, Echo

BUDGET: Final = 1.5


class PykkaAnswerer(pykka.ThreadingActor):
    """Answers at once."""

    use_daemon_thread = True

    def on_receive(self, message: Any) -> Any:
        """Answer."""
        return message


class PykkaAsker(pykka.ThreadingActor):
    """Asks the other actor from its own thread."""

    use_daemon_thread = True

    def __init__(self, answerer: pykka.ActorRef[PykkaAnswerer]) -> None:
        super().__init__()
        self._answerer = answerer

    def on_receive(self, message: Any) -> float:
        """Ask so many times; return the seconds it took."""
        return _ask_many(self._answerer, message)


def measure(scale: Scale) -> Iterator[Line]:
    """Yield what a round trip costs between modules and from outside."""
    # Many short rounds: pykka's own time changes by half within a second, with the
    # processor that a thread happens to be on.
    count = scale.pick(250, 20)
    rounds = scale.pick(10 * scale.rounds, 1)
    answerer = PykkaAnswerer.start()
    pykka_asker = PykkaAsker.start(answerer)
    with running_system() as (system, _):
        system.add(Answerer, "answerer")
        system.add(Asker, "asker")
        system.start()

        def job_asks() -> float:
            return took_to_ask_around(post(system, AskAround(count), "asker"))

        def outside_asks() -> float:
            return ask_in_turn(system, Echo, "answerer", count)

        def pykka_actor_asks() -> float:
            took_s = pykka_asker.ask(count)
            assert isinstance(took_s, float)
            return took_s

        between = paired(job_asks, pykka_actor_asks, rounds)
        outside = paired(outside_asks, lambda: _ask_many(answerer, count), rounds)
    pykka_asker.stop()
    answerer.stop()
    yield _line("a module's job asks another module", between, count)
    yield _line("asked from outside", outside, count)


def _line(what: str, found: Paired, count: int) -> Line:
    return Line(
        "round_trip",
        what,
        found.ratio,
        "pykka ask",
        at_most=BUDGET,
        stated=f"{found.measured / count * 1e6:.0f} us, "
        f"pykka {found.baseline / count * 1e6:.0f} us",
    )


def _ask_many(answerer: pykka.ActorRef[PykkaAnswerer], count: int) -> float:
    started_s = time.perf_counter()
    for number in range(count):
        answerer.ask(number)
    return time.perf_counter() - started_s
