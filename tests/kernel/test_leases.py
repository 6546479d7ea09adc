"""R42: a module that a run holds refuses what would disturb it, and names the run."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from hal.base import Leased
from hal.kernel import Access, Leases, Module, Request, System, SystemMode, handles
from tests.kernel.bench import done


class Look(Request, frozen=True):
    """Disturbs nothing."""


class Tune(Request, frozen=True):
    access: ClassVar[Access] = Access.HOLDER


class Move(Request, frozen=True):
    access: ClassVar[Access] = Access.RUN
    run_id: str | None = None


class Errand(Request, frozen=True):
    """Has the runner send `Move` or `Tune` in its own name."""

    what: str


class Axis(Module):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.taken: list[str] = []

    @handles(Look)
    def on_look(self, msg: Look) -> None:
        self.taken.append("look")

    @handles(Tune)
    def on_tune(self, msg: Tune) -> None:
        self.taken.append("tune")

    @handles(Move)
    def on_move(self, msg: Move) -> None:
        self.taken.append("move")


class Runner(Module):
    @handles(Errand)
    def on_errand(self, msg: Errand) -> None:
        message = Move() if msg.what == "move" else Tune()
        self.run_job(lambda: self.ask(message, to="axis"))


@pytest.fixture
def axis(system: System) -> Axis:
    system.add(Axis, "axis")
    system.add(Runner, "runner")
    system.leases.take("script:ann", "run1", ("axis",), keeper="runner")
    module = system.module("axis")
    assert isinstance(module, Axis)
    return module


def test_whoever_disturbs_a_run_is_refused_and_told_who_holds_it(
    system: System, axis: Axis
) -> None:
    for message in (Move(), Move("run2"), Tune()):
        delivery = done(system.send(message, principal="script:bob", to="axis"))
        with pytest.raises(Leased, match="run run1 of script:ann"):
            delivery.result()

    assert axis.taken == []


def test_the_run_itself_and_who_only_looks_pass(system: System, axis: Axis) -> None:
    for message in (Move("run1"), Look()):
        assert done(system.send(message, principal="script:bob")).errors == ()

    assert axis.taken == ["move", "look"]


def test_the_holder_may_tune_but_not_move(system: System, axis: Axis) -> None:
    tuned = done(system.send(Tune(), principal="script:ann", to="axis"))
    moved = done(system.send(Move(), principal="script:ann", to="axis"))

    assert tuned.errors == ()
    with pytest.raises(Leased):
        moved.result()


def test_who_set_it_in_motion_counts_not_who_passes_it_on(
    system: System, axis: Axis
) -> None:
    for principal, refused in (("script:ann", False), ("script:bob", True)):
        errand = done(system.send(Errand("tune"), principal=principal))
        assert bool(errand.errors) is refused

    assert axis.taken == ["tune"]


def test_what_is_released_is_free(system: System, axis: Axis) -> None:
    assert system.leases.release("run1") == ("axis",)
    assert system.leases.release("run1") == ()

    assert done(system.send(Move(), principal="script:bob")).errors == ()


def test_all_modules_are_leased_or_none() -> None:
    leases = Leases()
    leases.take("script:ann", "run1", ("a", "b"), keeper="runner")

    with pytest.raises(Leased, match="b is in use by run run1 of script:ann"):
        leases.take("script:bob", "run2", ("c", "b"), keeper="runner")

    leases.take("script:bob", "run3", ("c",), keeper="runner")
    assert leases.release("run2") == ()


def test_the_mode_tells_whether_it_changed() -> None:
    leases = Leases()

    assert leases.mode is SystemMode.IDLE
    assert leases.set_mode(SystemMode.ACQUIRING)
    assert not leases.set_mode(SystemMode.ACQUIRING)
    assert leases.mode is SystemMode.ACQUIRING
