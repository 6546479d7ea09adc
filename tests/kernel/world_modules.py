"""The modules of a simulated world: they do what a message tells them.

An act is words between colons: `hang:7` waits at gate 7, `job:hang:7` does so in a job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Final

from hal.base import (
    DeadlockError,
    DeviceError,
    LinkError,
    ModuleDead,
    ModuleState,
    ParameterSpec,
    SafeStateCall,
    StateError,
    Value,
)
from hal.kernel import (
    Context,
    Delivery,
    DeviceModule,
    Dispatching,
    Loop,
    Module,
    handles,
)
from hal.kernel.actor import ModuleActor
from hal.kernel.current import current_delivery
from hal.kernel.watchdog import TICK_S
from tests.kernel.world_messages import (
    KINDS,
    Alarmed,
    CallOff,
    Displayed,
    Heard,
    Perform,
    PerformInRun,
    PerformNow,
    Said,
)
from tests.kernel.world_stage import GHOSTLY, OnPurpose, Stage, who_is

LIMIT_S: Final = 0.3
"""What handlers, jobs and the beat of loops may take."""


class Player(ModuleActor):
    """The acts; mixed into a module.

    Runs on: actor; `_act_aside` worker and loops.
    """

    def __init__(
        self, name: str, context: Context, *, stage: Stage, **values: Any
    ) -> None:
        super().__init__(name, context, **values)
        self.stage = stage
        stage.fault(f"{name}.make")

    def on_start(self) -> None:
        self.stage.fault(f"{self.name}.start")

    @handles(Heard)
    def on_heard(self, msg: Heard) -> object:
        return self._play(msg)

    @handles(Alarmed)
    def on_alarmed(self, msg: Alarmed) -> object:
        return self._play(msg)

    @handles(Displayed)
    def on_displayed(self, msg: Displayed) -> object:
        return self._play(msg)

    @handles(Perform)
    def on_perform(self, msg: Perform) -> object:
        return self._play(msg)

    @handles(PerformNow)
    def on_perform_now(self, msg: PerformNow) -> object:
        return self._play(msg)

    @handles(PerformInRun)
    def on_perform_in_run(self, msg: PerformInRun) -> object:
        return self._play(msg)

    @handles(CallOff)
    def on_call_off(self, msg: CallOff) -> object:
        return self._play(msg)

    def on_receive(self, message: Any) -> Any:
        """Play what comes through pykka."""
        return self._act(str(message).split(":"))

    def emergency_cleanup(self) -> None:
        self.stage.fault(f"{self.name}.cleanup")

    def say(
        self,
        message_type: type[Said] = Heard,
        to: str | None = None,
        act: str = "answer",
        reply: Callable[[Delivery], None] | None = None,
        *,
        sync: bool = False,
    ) -> Delivery:
        """Send something in the name of this module."""
        who, number = self.stage.sender()
        message = message_type(who, number, act)
        return self.stage.was_sent(self.send(message, to=to, reply=reply, sync=sync))

    def _play(self, msg: Said) -> object:
        delivery = current_delivery.get()
        assert delivery is not None
        self.stage.begin(self, delivery)  # type: ignore[arg-type]
        try:
            return self._act(msg.act.split(":"))
        finally:
            self.stage.end(self)  # type: ignore[arg-type]

    def _act(self, words: list[str]) -> object:
        """Do it, in a handler or in what ends a job."""
        match words:
            case ["fail"]:
                self.fail(DeviceError("the lamp has burst"))
                return GHOSTLY
            case ["job", *rest]:
                self.run_job(partial(self._act_aside, rest), what=":".join(rest))
            case ["jobs", first, *rest]:
                self.run_job(partial(self._act_aside, [first]), what=first)
                self.run_job(partial(self._act_aside, rest), what=":".join(rest))
            case ["then", *rest]:
                self.run_job(
                    partial(self._act_aside, ["slow", "0.001"]),
                    what="quick",
                    then=lambda _: self._act(rest),
                )
            case ["loop", *rest]:
                self._begin_loop(rest, serves_jobs=False)
            case ["serving", *rest]:
                self._begin_loop(rest, serves_jobs=True)
            case ["end loops"]:
                for loop in self.loops:
                    loop.stop()
            case ["later", seconds]:
                self.after(float(seconds), Perform("timer", 0))
            case ["lease", run, *names]:
                run_id = f"{run} of {who_is(self)}"  # type: ignore[arg-type]
                self.context.leases.take(
                    "script:user", run_id, tuple(names), keeper=self.name
                )
                self.stage.leases[run_id] = (self.name, self.generation)
            case _:
                return self._act_aside(words)
        return None

    def _act_aside(self, words: list[str]) -> object:
        """Do what may be done anywhere."""
        match words:
            case ["answer"]:
                return 42
            case ["raise"]:
                raise OnPurpose("raise")
            case ["exit"]:
                raise SystemExit("on purpose")
            case ["lose"]:
                raise LinkError("on purpose: the cable is loose")
            case ["slow", seconds]:
                self.stage.sleep(float(seconds))
            case ["brink"]:
                self.stage.wait_for_brink(LIMIT_S)
            case ["hang", gate]:
                self._hang(gate)
            case ["say", kind, *rest]:
                self.say(KINDS[kind], rest[0] if rest else None)
            case ["sync"]:
                self.say(sync=True)
            case ["reply", kind, *rest]:
                self.say(KINDS[kind], rest[0] if rest else None, reply=self._replied)
            case ["ask", name, *rest]:
                return self._ask(name, ":".join(rest) or "answer")
            case _:
                raise AssertionError(f"no such act: {words}")
        return self._haunt() if self.is_given_up else None

    def _hang(self, gate: str) -> None:
        began_s = self.clock.monotonic_s()
        self.stage.hang(gate)
        took_s = self.clock.monotonic_s() - began_s
        # Twice: the actor may be in a handler when it is told of a job that hangs.
        is_late = took_s > 2 * LIMIT_S + 4 * TICK_S and not self.stage.is_ending
        # One that was stopped in order has nothing more to be given up for.
        if is_late and not self.actor_stopped.is_set():
            self.stage.wrong(f"{who_is(self)} hung for {took_s:.2f} s, and goes on")  # type: ignore[arg-type]

    def _ask(self, name: str, act: str) -> object:
        who, number = self.stage.sender()
        try:
            return self.ask(Perform(who, number, act), to=name, deadline_s=0.7)
        except DeadlockError:
            self.stage.covered["circle broken"] += 1
            raise

    def _replied(self, delivery: Delivery) -> None:
        self.stage.covered["reply"] += 1
        if not delivery.complete:
            self.stage.wrong("a reply before its end")
        if self.is_given_up and not self.stage.is_ending:
            self.stage.wrong(f"{who_is(self)} got a reply as a ghost")  # type: ignore[arg-type]

    def _haunt(self) -> str:
        """Try, as one that was given up, to change something."""
        self.stage.covered["ghost came back"] += 1
        me = who_is(self)  # type: ignore[arg-type]
        refused = self.say()
        kinds = [error.kind for error in refused.errors]
        if refused.tickets or not refused.complete or kinds != ["ModuleDead"]:
            self.stage.wrong(f"a message of the ghost {me} was taken: {kinds}")
        before = (self.state, self.reason)
        self.set_state(ModuleState.STARTED, GHOSTLY)
        if self.reason == GHOSTLY:
            self.stage.wrong(f"the ghost {me} changed its state from {before}")
        attempts: tuple[Callable[[], object], ...] = (
            lambda: self.run_job(lambda: None),
            lambda: self._begin_loop(["return"], serves_jobs=False),
            lambda: self._ask(self.name, "answer"),
        )
        for attempt in attempts:
            try:
                attempt()
            except ModuleDead:
                continue
            except StateError:
                # To ask in a handler is refused, whoever asks.
                if attempt is attempts[2]:
                    continue
            self.stage.wrong(f"the ghost {me} could still begin work")
        self.post_own(partial(self.stage.wrong, f"the ghost {me} was called"))
        return GHOSTLY

    def _begin_loop(self, words: list[str], *, serves_jobs: bool) -> None:
        if not self.is_given_up and len(self.loops) >= 2:
            return
        self.run_loop(
            partial(self._loop, words),
            stall_s=LIMIT_S,
            what=":".join(words),
            on_end=self._loop_ended,
            serves_jobs=serves_jobs,
        )

    def _loop(self, words: list[str], loop: Loop) -> None:
        # It ends on its own in the end, as a run does.
        for _ in range(40):
            loop.beat()
            loop.serve_jobs()
            if loop.wait(0.05):
                break
            if words != ["beat"]:
                break
        if words not in (["beat"], ["return"]):
            loop.beat()
            self._act_aside(words)

    def _loop_ended(self, loop: Loop, error: object) -> None:
        self.stage.covered["loop failed" if error else "loop ended"] += 1
        if self.is_given_up and not self.stage.is_ending:
            self.stage.wrong(f"{who_is(self)} heard of its loop as a ghost")  # type: ignore[arg-type]


class Pinned(Player, Module):
    """A module with a thread of its own."""


class Pooled(Player, Module):
    """A module on the shared threads."""

    dispatching: ClassVar[Dispatching] = Dispatching.POOL


class Lamp:
    """A driver; notes when two threads are in it at once."""

    def __init__(self, name: str, stage: Stage) -> None:
        self._name = name
        self._stage = stage
        self._inside: list[str] = []

    def open(self) -> None:
        self._call("open")

    def close(self) -> None:
        self._call("close")

    def safe_state(self) -> None:
        self._call("safe_state")

    def use(self) -> None:
        """Do what it is for."""
        self._call("use")

    def halt(self) -> None:
        self._stage.fault(f"{self._name}.halt")

    def abandon(self) -> None:
        self._stage.fault(f"{self._name}.abandon")

    def outside_safe_state(self) -> SafeStateCall | None:
        return None

    def specs(self) -> tuple[ParameterSpec, ...]:
        return ()

    def values(self) -> dict[str, Value]:
        return {}

    def propose(
        self, changes: Mapping[str, object], *, running: bool = False
    ) -> dict[str, Value]:
        return {}

    def commit(self, accepted: Mapping[str, Value]) -> dict[str, Value]:
        return {}

    def _call(self, what: str) -> None:
        if self._inside and not self._stage.is_ending:
            self._stage.wrong(f"{self._name}: {what} during {self._inside}")
        self._inside.append(what)
        try:
            self._stage.sleep(0.003)
            self._stage.fault(f"{self._name}.{what}")
        finally:
            self._inside.remove(what)


class LampModule(Player, DeviceModule[Lamp]):
    """A module with a driver."""

    driver_kind: ClassVar[type[Any]] = Lamp

    def _act(self, words: list[str]) -> object:
        if words == ["use"]:
            self.run_job(self.device.use, what="use")
            return None
        return super()._act(words)
