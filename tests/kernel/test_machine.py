"""Any script at all: hypothesis writes it, and cuts it down to what breaks the kernel.

The rules only write the script; it is followed, and everything checked, at the end.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    rule,
)

from tests.kernel.world import CLIENTS, MODULES, Step, World

clients = st.integers(0, CLIENTS - 1)
names = st.sampled_from(MODULES)
deadlines = st.sampled_from([None, 0.1, 0.5, 0.0])
pauses = st.sampled_from([0.01, 0.05, 0.3, 1.0])
quiet = st.sampled_from(["answer", "raise", "slow:0.004", "exit"])
asides = st.one_of(
    st.sampled_from(["answer", "raise", "exit", "lose", "slow:0.2", "brink", "sync"]),
    st.builds("ask:{}".format, names),
    st.builds("ask:{}:job:ask:{}".format, names, names),
    st.builds("say:Perform:{}".format, names),
    st.builds("reply:CallOff:{}".format, names),
)
acts = st.one_of(
    quiet,
    st.sampled_from(["fail", "brink", "later:0.05", "end loops", "then:raise"]),
    st.builds("job:{}".format, asides),
    st.builds("jobs:answer:{}".format, asides),
    st.builds("loop:{}".format, st.one_of(asides, st.just("beat"))),
    st.builds("serving:{}".format, st.one_of(asides, st.just("beat"))),
    st.builds("lease:run1:{}:lamp".format, names),
)


class Script(RuleBasedStateMachine):
    """Writes a script."""

    gates = Bundle("gates")

    @initialize(
        seed=st.integers(0, 2**16),
        preempt=st.sampled_from([0.0, 0.0, 0.003]),
        stop_at_s=st.sampled_from([None, None, 0.01, 0.36, 1.0]),
    )
    def begin(self, seed: int, preempt: float, stop_at_s: float | None) -> None:
        self.script: list[Step] = []
        self.count = 0
        self.world = World(seed, preempt=preempt, stop_at_s=stop_at_s)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.run(self.script)

    def add(self, client: int, verb: str, *args: object) -> None:
        self.script.append(Step(client, verb, args))

    @rule(
        client=clients,
        kind=st.sampled_from(["Heard", "Alarmed", "Displayed"]),
        act=quiet,
        deadline_s=deadlines,
        handoff=st.booleans(),
    )
    def broadcast(
        self,
        client: int,
        kind: str,
        act: str,
        deadline_s: float | None,
        handoff: bool,
    ) -> None:
        self.add(client, "say", kind, None, act, False, deadline_s, handoff)

    @rule(
        client=clients,
        kind=st.sampled_from(["Perform", "PerformNow", "PerformInRun", "CallOff"]),
        to=names,
        act=acts,
        deadline_s=deadlines,
    )
    def request(
        self, client: int, kind: str, to: str, act: str, deadline_s: float | None
    ) -> None:
        self.add(client, "say", kind, to, act, False, deadline_s)

    @rule(client=clients, to=st.one_of(st.none(), names), act=quiet)
    def barrier(self, client: int, to: str | None, act: str) -> None:
        kind = "Heard" if to is None else "Perform"
        self.add(client, "say", kind, to, act, True)

    @rule(
        client=clients, to=names, acts=st.lists(quiet, max_size=3), sync=st.booleans()
    )
    def chain(self, client: int, to: str, acts: list[str], sync: bool) -> None:
        self.add(client, "chain", to, (*acts, "answer"), sync)

    @rule(
        target=gates,
        client=clients,
        to=names,
        where=st.sampled_from(["", "job:", "loop:", "serving:"]),
    )
    def hang(self, client: int, to: str, where: str) -> str:
        self.count += 1
        gate = f"g{self.count}"
        self.add(client, "say", "Perform", to, f"{where}hang:{gate}")
        return gate

    @rule(
        target=gates,
        client=clients,
        place=st.sampled_from(["make", "start", "cleanup"]),
        name=names,
    )
    def hang_in_hook(self, client: int, name: str, place: str) -> str:
        self.count += 1
        gate = f"g{self.count}"
        self.add(client, "fault", f"{name}.{place}", f"hang:{gate}")
        return gate

    @rule(client=clients, gate=consumes(gates))
    def release(self, client: int, gate: str) -> None:
        self.add(client, "release", gate)

    @rule(
        client=clients,
        place=st.sampled_from(["open", "close", "safe_state", "use", "make", "start"]),
    )
    def break_device(self, client: int, place: str) -> None:
        self.add(client, "fault", f"lamp.{place}", "raise")

    @rule(client=clients)
    def use_device(self, client: int) -> None:
        self.add(client, "say", "Perform", "lamp", "use")

    @rule(client=clients, name=names)
    def die(self, client: int, name: str) -> None:
        self.add(client, "say", "PerformNow", name, "fail")

    @rule(client=clients, name=names)
    def restart(self, client: int, name: str) -> None:
        self.add(client, "restart", name)

    @rule(client=clients, name=names, verb=st.sampled_from(["tell", "ask"]), act=quiet)
    def pykka(self, client: int, name: str, verb: str, act: str) -> None:
        self.add(client, "pykka", name, verb, act)

    @rule(client=clients, name=names)
    def stop(self, client: int, name: str) -> None:
        self.add(client, "pykka", name, "stop", "")

    @rule(client=clients, seconds=pauses)
    def pause(self, client: int, seconds: float) -> None:
        self.add(client, "pause", seconds)

    @rule(client=clients, seconds=pauses)
    def wait(self, client: int, seconds: float) -> None:
        self.add(client, "wait_for_last", seconds)


# The same examples each time: who wants others runs `tools/explore_kernel.py`.
Script.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestKernel = Script.TestCase
