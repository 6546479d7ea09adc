"""Random scripts for a simulated world."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from tests.kernel.world import CLIENTS, MODULES, Step

_PLAIN: Final = ("answer", "answer", "answer", "answer", "slow:0.004", "raise")
_PLACES: Final = (
    *(f"{name}.{hook}" for name in MODULES for hook in ("make", "start", "cleanup")),
    *(f"lamp.{call}" for call in ("open", "close", "safe_state", "use")),
    *("lamp.halt", "lamp.abandon"),
)


class Writer:
    """Draws steps; hands out gates, and remembers those that are shut."""

    def __init__(self, seed: int, stops: bool = True) -> None:
        self._random = random.Random(seed)
        self._gates = 0
        self._shut: list[str] = []
        self._stops = stops
        # Some scripts see to it that a module fails too often.
        names = [*MODULES, *("",) * 10]
        self._doomed = self._random.choice(names)

    def script(self, count: int) -> list[Step]:
        """Return a script of so many steps."""
        return [self.step() for _ in range(count)]

    def step(self) -> Step:
        """Return one step of some client."""
        if self._doomed and self._random.random() < 0.15:
            return Step(0, "say", ("PerformNow", self._doomed, "fail"))
        kinds: list[tuple[int, Callable[[], tuple[str, tuple[object, ...]]]]] = [
            (34, self._event),
            (24, self._request),
            (8, self._urgent),
            (4, self._sync),
            (4, self._chain),
            (10, self._pause),
            (4, self._wait),
            (5, self._release),
            (2, self._fault),
            (2, self._restart),
            (2, self._pykka),
        ]
        weights = [weight for weight, _ in kinds]
        (make,) = self._random.choices([make for _, make in kinds], weights)
        verb, args = make()
        return Step(self._random.randrange(CLIENTS), verb, args)

    def _name(self) -> str:
        return self._random.choice(MODULES)

    def _gate(self) -> str:
        self._gates += 1
        gate = f"g{self._gates}"
        self._shut.append(gate)
        return gate

    def _deadline_s(self) -> float | None:
        return self._random.choice([None, None, None, 0.1, 0.5, 2.0, 0.0])

    def _quiet_act(self) -> str:
        return self._random.choice(_PLAIN)

    def _act(self) -> str:
        """An act that anybody may be asked for."""
        choice = self._random.random()
        if choice < 0.40:
            return self._quiet_act()
        if choice < 0.48:
            return self._trouble()
        if choice < 0.62:
            return f"job:{self._aside()}"
        if choice < 0.66:
            return f"jobs:answer:{self._aside()}"
        if choice < 0.70:
            return f"then:{self._random.choice(['answer', 'raise', 'job:answer'])}"
        if choice < 0.76:
            loop = self._random.choice(["beat", "beat", "return", self._aside()])
            return f"{self._random.choice(['loop', 'serving'])}:{loop}"
        if choice < 0.78:
            return "end loops"
        if choice < 0.81:
            return f"later:{self._random.choice([0.0, 0.05, 1.0])}"
        if choice < 0.83:
            return f"lease:run{self._random.randrange(3)}:{self._name()}:lamp"
        if choice < 0.86:
            return f"ask:{self._name()}"
        if choice < 0.88:
            return "use"
        return self._saying()

    def _trouble(self) -> str:
        """An act that ends a generation, or nearly so."""
        return self._random.choice(
            [
                *("exit", "fail", "slow:0.1", "slow:0.25"),
                *(f"hang:{self._gate()}", f"hang:{self._gate()}"),
            ]
        )

    def _aside(self) -> str:
        """What a job or loop does."""
        return self._random.choice(
            [
                *("answer", "raise", "exit", "lose", "slow:0.02", "slow:0.2"),
                *(f"hang:{self._gate()}", f"ask:{self._name()}"),
                f"ask:{self._name()}:job:ask:{self._name()}",
                f"ask:{self._name()}:job:ask:{self._name()}:job:ask:{self._name()}",
                self._saying(),
            ]
        )

    def _saying(self) -> str:
        verb = self._random.choice(["say", "reply"])
        return self._random.choice(
            [
                *(f"{verb}:Heard", f"{verb}:Alarmed", f"{verb}:Displayed", "sync"),
                *(f"{verb}:Perform:{self._name()}", f"{verb}:CallOff:{self._name()}"),
            ]
        )

    def _event(self) -> tuple[str, tuple[object, ...]]:
        kind = self._random.choice(["Heard", "Heard", "Heard", "Displayed", "Alarmed"])
        act = self._act() if self._random.random() < 0.08 else self._quiet_act()
        if act == "use":
            act = "answer"
        handoff = self._random.random() < 0.2
        return "say", (kind, None, act, False, self._deadline_s(), handoff)

    def _request(self) -> tuple[str, tuple[object, ...]]:
        kind = self._random.choice(["Perform", "Perform", "Perform", "PerformInRun"])
        name, act = self._name(), self._act()
        if act == "use":
            name = "lamp"
        return "say", (kind, name, act, False, self._deadline_s())

    def _urgent(self) -> tuple[str, tuple[object, ...]]:
        kind = self._random.choice(["PerformNow", "PerformNow", "CallOff"])
        return "say", (kind, self._name(), self._act().replace("use", "answer"))

    def _sync(self) -> tuple[str, tuple[object, ...]]:
        kind, to = self._random.choice([("Heard", None), ("Perform", self._name())])
        return "say", (kind, to, self._quiet_act(), True, self._deadline_s())

    def _chain(self) -> tuple[str, tuple[object, ...]]:
        acts = tuple(self._quiet_act() for _ in range(self._random.randint(1, 4)))
        return "chain", (self._name(), acts, self._random.random() < 0.2)

    def _pause(self) -> tuple[str, tuple[object, ...]]:
        return "pause", (self._random.choice([0.001, 0.01, 0.03, 0.1, 0.4]),)

    def _wait(self) -> tuple[str, tuple[object, ...]]:
        return "wait_for_last", (self._random.choice([0.01, 0.3, 1.0]),)

    def _release(self) -> tuple[str, tuple[object, ...]]:
        if not self._shut:
            return self._pause()
        at = self._random.randrange(len(self._shut))
        return "release", (self._shut.pop(at),)

    def _fault(self) -> tuple[str, tuple[object, ...]]:
        what = self._random.choice(["raise", "raise", f"hang:{self._gate()}"])
        return "fault", (self._random.choice(_PLACES), what)

    def _restart(self) -> tuple[str, tuple[object, ...]]:
        return "restart", (self._name(),)

    def _pykka(self) -> tuple[str, tuple[object, ...]]:
        verbs = ["tell", "ask", "ask"]
        if self._stops and self._random.random() < 0.1:
            verbs = ["stop"]
        verb = self._random.choice(verbs)
        return "pykka", (self._name(), verb, self._quiet_act())
