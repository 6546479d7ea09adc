"""Where the modules of a simulated world meet: what they did, and what is wrong in it.

Everything here is called by one simulated thread at a time, and none is stopped in the
middle: these files are never preempted.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hal.base import ModuleState
from hal.kernel import Delivery, How, Lane
from hal.kernel.aside import ASIDE_S
from hal.kernel.watchdog import TICK_S
from hal.testing import Interleaver
from tests.kernel.world_messages import Said, is_said

if TYPE_CHECKING:
    from hal.kernel import Module

GHOSTLY = "said by a ghost"
"""The answer of what was given up: nobody may ever get it."""


class OnPurpose(ValueError):
    """Raised because the script says so."""


@dataclass
class Begun:
    """A message that a module began to handle."""

    delivery: Delivery
    who: str
    number: int
    generation: int


@dataclass
class Stage:
    """The gates that hold what hangs, the faults to come, and the record."""

    sim: Interleaver
    violations: list[str] = field(default_factory=list)
    begun: dict[str, list[Begun]] = field(default_factory=lambda: defaultdict(list))
    """What each module began to handle."""
    in_order: dict[str, list[Begun]] = field(default_factory=lambda: defaultdict(list))
    """The same, of the normal lane only."""
    sent: list[Delivery] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What is to go wrong next at a place such as `bob.make`."""
    leases: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Which generation took the lease of a run."""
    is_ending: bool = False
    """Whether the system is being stopped, so that anything may be given up."""
    covered: Counter[str] = field(default_factory=Counter)
    """How often what the script asks for really came to pass."""
    _gates: dict[str, threading.Event] = field(default_factory=dict)
    _open: bool = False
    _inside: dict[str, list[Module]] = field(default_factory=lambda: defaultdict(list))
    _by_who: dict[str, list[tuple[int, Delivery]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _names: dict[threading.Thread, str] = field(default_factory=dict)
    _numbers: Counter[str] = field(default_factory=Counter)
    _in_hand: list[Delivery] = field(default_factory=list)
    _ends: dict[int, tuple[object, ...]] = field(default_factory=dict)

    def wrong(self, text: str) -> None:
        """Note a violation."""
        self.violations.append(f"t={self.sim.monotonic_s():.3f} s: {text}")

    # -- time ---------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.sim.wait(threading.Event(), seconds)

    def wait_for_brink(self, limit_s: float) -> None:
        """Wait until the very moment at which the watchdog finds the caller late."""
        now_s = self.sim.monotonic_s()
        scan_s = 0.0  # counted as the watchdog does, so that it is the same number
        while scan_s <= now_s + limit_s:
            scan_s += TICK_S
        left_s = scan_s - now_s
        around = (left_s, math.nextafter(left_s, 0.0), math.nextafter(left_s, math.inf))
        self.sleep(next((s for s in around if now_s + s == scan_s), left_s))

    def hang(self, gate: str) -> None:
        """Wait until the script, or its end, opens the gate."""
        if not self._open:
            self.covered["hang"] += 1
            self.sim.wait(self._gate(gate), math.inf)

    def release(self, gate: str) -> None:
        """Let go what hangs there, now or later."""
        self._gate(gate).set()

    def release_all(self) -> None:
        """Let nothing hang any more."""
        self._open = True
        for gate in self._gates.values():
            gate.set()

    def _gate(self, gate: str) -> threading.Event:
        return self._gates.setdefault(gate, threading.Event())

    def fault(self, place: str) -> None:
        """Do what the script has planned for the next call at this place."""
        if not self.faults[place]:
            return
        what = self.faults[place].pop(0)
        self.covered[f"fault: {what.partition(':')[0]}"] += 1
        if what.startswith("hang:"):
            self.hang(what.removeprefix("hang:"))
        elif what == "brink":
            self.wait_for_brink(ASIDE_S)
        else:
            raise OnPurpose(f"{what} at {place}")

    # -- what was sent ------------------------------------------------------------

    def sender(self) -> tuple[str, int]:
        """Return the name of the calling thread as a sender, and its next number."""
        thread = threading.current_thread()
        who = self._names.setdefault(thread, f"sender{len(self._names) + 1}")
        self._numbers[who] += 1
        return who, self._numbers[who]

    def was_sent(self, delivery: Delivery) -> Delivery:
        """Note what was sent, right after it was."""
        self.sent.append(delivery)
        said = delivery.message
        if is_said(said):
            assert isinstance(said, Said)
            if said.number:
                self._by_who[said.who].append((said.number, delivery))
        return delivery

    def completed(self, delivery: Delivery) -> None:
        """Note an end, called by `on_complete`."""
        if id(delivery) in self._ends:
            self.wrong(f"{name_of(delivery)} completed twice")
        self._ends[id(delivery)] = snapshot(delivery)

    def check_end(self, delivery: Delivery) -> None:
        """Check that it has one end that has not changed since."""
        if not delivery.complete:
            self.wrong(f"{name_of(delivery)} never completed: {delivery.pending}")
            return
        late_s = (delivery.done_s or 0.0) - delivery.deadline_at_s
        if delivery.deadline_is_explicit and late_s > 4 * TICK_S:
            self.wrong(f"{name_of(delivery)} ended {late_s:.2f} s after its deadline")
        seen = self._ends.setdefault(id(delivery), snapshot(delivery))
        if seen != snapshot(delivery):
            self.wrong(
                f"{name_of(delivery)} changed after its end: was {seen}, "
                f"now {snapshot(delivery)}"
            )

    # -- what is handled ----------------------------------------------------------

    def begin(self, module: Module, delivery: Delivery) -> None:
        """Note that a handler begins, and check that it may."""
        name = module.name
        if not self.is_ending:
            if module.is_given_up:
                self.wrong(f"{who_is(module)} began a message after it was given up")
            if module.generation != module.seat.generation:
                self.wrong(f"{who_is(module)} is not the present generation")
        for other in self._inside[name]:
            if other is module or not other.is_given_up:
                self.wrong(f"{who_is(module)} began while {who_is(other)} was inside")
        self._inside[name].append(module)
        said = delivery.message
        assert isinstance(said, Said)
        begun = Begun(delivery, said.who, said.number, module.generation)
        self.begun[name].append(begun)
        if delivery.lane is Lane.NORMAL:
            if module.state is ModuleState.RESTARTING and not self.is_ending:
                self.wrong(f"{who_is(module)} began a message before its life")
            self._check_order(name, delivery)
            self._check_barrier(delivery)
            self.in_order[name].append(begun)
            self._in_hand = [d for d in self._in_hand if not d.complete]
            self._in_hand.append(delivery)

    def end(self, module: Module) -> None:
        """Note that a handler has ended."""
        self._inside[module.name].remove(module)

    def _check_order(self, name: str, delivery: Delivery) -> None:
        said = delivery.message
        assert isinstance(said, Said)
        for before in reversed(self.in_order[name]):
            if before.who == said.who and said.number:
                if before.number >= said.number:
                    self.wrong(
                        f"{name} got {said.who} {said.number} after {before.number}"
                    )
                return

    def _check_barrier(self, delivery: Delivery) -> None:
        said = delivery.message
        assert isinstance(said, Said)
        if delivery.complete:
            return
        for other in self._in_hand:
            if other is not delivery and not other.complete:
                # Whichever of the two waits for all before it, they were together.
                if delivery.sync:
                    self.wrong(f"sync {name_of(delivery)} beside {name_of(other)}")
                if other.sync:
                    self.wrong(f"{name_of(delivery)} beside sync {name_of(other)}")
        for number, other in self._by_who[said.who]:
            must_be_over = delivery.sync or other.sync or said.who.startswith("chain")
            if (
                must_be_over
                and number < said.number
                and other.lane is Lane.NORMAL
                and not other.complete
            ):
                self.wrong(f"{name_of(delivery)} overtook {name_of(other)}")


def who_is(module: Module) -> str:
    """Return a module's name with its generation."""
    return f"{module.name}/{module.generation}"


def name_of(delivery: Delivery) -> str:
    """Return what a delivery is about, for people."""
    said = delivery.message
    what = f"{said.who} {said.number} {said.act}" if is_said(said) else ""  # type: ignore[attr-defined]
    to = f" to {delivery.to}" if delivery.to else ""
    return f"'{delivery.type}' ({what}){to}"


def snapshot(delivery: Delivery) -> tuple[object, ...]:
    """Return everything that may not change after the end.

    When a handler began is left out: one that begins just as its ticket expires is
    noted a moment later.
    """
    return (
        delivery.complete,
        delivery.done_s,
        delivery.pending,
        delivery.errors,
        tuple(sorted(delivery.responses.items())),
        tuple(
            (t.receiver, t.queued_s, t.ended_s, t.by, t.how)
            for t in delivery.tickets.values()
        ),
    )


def flaws(delivery: Delivery) -> list[str]:
    """Return what is wrong with the outcome of a complete delivery."""
    tickets = delivery.tickets.values()
    failed = [t for t in tickets if t.how is not How.DONE]
    found = []
    if any(t.how is None or t.ended_s is None for t in tickets):
        found.append("a ticket without an outcome")
    if tickets and len(delivery.errors) != len(failed):
        found.append(f"{len(failed)} failed, with {len(delivery.errors)} errors")
    if not tickets and len(delivery.errors) > 1:
        found.append("several errors, and nobody received it")
    done = {t.receiver for t in tickets if t.how is How.DONE}
    if not set(delivery.responses) <= done:
        found.append(f"answers of {set(delivery.responses) - done}, which failed")
    if GHOSTLY in delivery.responses.values():
        found.append("an answer of a generation that was given up")
    return [f"{name_of(delivery)}: {text}: {delivery.errors}" for text in found]
