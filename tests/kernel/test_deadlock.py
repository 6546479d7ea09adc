"""R110 and guarantee 5: modules that wait for each other are told so, at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hal.base import DeadlockError
from hal.kernel import System
from tests.kernel.bench import Probe, add, done, until
from tests.kernel.vocabulary import Act, ActAtOnce

SOON_S = 5.0


def asks(probe: Probe, what: str, *, to: str) -> Callable[[], None]:
    """Return a handler that asks `to` in a job, with a deadline far away."""

    def handler() -> None:
        probe.run_job(
            lambda: probe.ask(Act(what), to=to, deadline_s=60.0), deadline_s=60.0
        )

    return handler


def circle(system: System, names: str) -> list[Probe]:
    """Return modules of which each, told to `go`, asks the next to, and the last the
    first."""
    probes = [add(system, name) for name in names]
    for probe, following in zip(probes, [*names[1:], names[0]], strict=True):
        probe.acts["go"] = asks(probe, "go", to=following)
    return probes


@pytest.mark.parametrize("names", ["a", "ab", "abcd"])
def test_a_circle_of_jobs_is_broken_with_its_path(system: System, names: str) -> None:
    circle(system, names)

    delivery = system.send(Act("go"), to="a", deadline_s=60.0)

    assert delivery.wait(SOON_S)
    with pytest.raises(DeadlockError) as caught:
        delivery.result()
    for name in names:
        assert f"{name} waits for " in str(caught.value)


def test_everyone_in_a_broken_circle_works_again(system: System) -> None:
    probes = circle(system, "abc")
    assert system.send(Act("go"), to="a", deadline_s=60.0).wait(SOON_S)

    for probe in probes:
        assert done(system.send(Act("answer"), to=probe.name)).result() == 42


def test_waiting_in_a_line_is_no_circle(system: System) -> None:
    a, b, c = (add(system, name) for name in "abc")
    a.acts["go"] = asks(a, "go", to="b")
    b.acts["go"] = asks(b, "answer", to="c")
    c.acts["answer"] = lambda: c.run_job(lambda: 42)

    assert done(system.send(Act("go"), to="a")).errors == ()


def test_an_urgent_question_closes_no_circle(system: System) -> None:
    a, b = add(system, "a"), add(system, "b")
    b.acts["back"] = lambda: b.run_job(
        lambda: b.ask(ActAtOnce("answer"), to="a", deadline_s=60.0)
    )
    a.acts["go"] = asks(a, "back", to="b")

    assert done(system.send(Act("go"), to="a")).errors == ()


def test_a_barrier_that_waits_for_the_job_that_waits_behind_it(system: System) -> None:
    a = add(system, "a")
    add(system, "b")
    barrier = []

    def behind_a_barrier() -> object:
        barrier.append(system.send(Act("answer"), to="b", sync=True, deadline_s=60.0))
        until(lambda: barrier[0].is_held)
        return a.ask(Act("answer"), to="b", deadline_s=60.0)

    a.acts["go"] = lambda: a.run_job(behind_a_barrier, deadline_s=60.0)

    delivery = system.send(Act("go"), to="a", deadline_s=60.0)

    assert delivery.wait(SOON_S)
    with pytest.raises(DeadlockError, match="a waits for a"):
        delivery.result()
    assert done(barrier[0]).errors == ()
