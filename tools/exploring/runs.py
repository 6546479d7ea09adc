"""One random script after the other, and what came of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.kernel.world import World
from tests.kernel.world_script import Writer


@dataclass(frozen=True)
class Found:
    """What one script came to."""

    seed: int
    steps: int
    preempt: float
    switches: int
    simulated_s: float
    covered: Counter[str]
    violation: str
    """Empty if all promises were kept."""

    @property
    def replay(self) -> str:
        """The command that runs this script again, the same way."""
        return (
            f"python tools/explore_kernel.py --seed {self.seed} "
            f"--steps {self.steps} --script {self.steps} "
            f"--preempt {self.preempt} --share {1 if self.preempt else 0}"
        )


@dataclass
class Totals:
    """All scripts together."""

    steps: int = 0
    scripts: int = 0
    preempted: int = 0
    switches: int = 0
    simulated_s: float = 0.0
    violations: list[Found] = field(default_factory=list)
    covered: Counter[str] = field(default_factory=Counter)

    def add(self, found: Found) -> None:
        """Count one script."""
        self.steps += found.steps
        self.scripts += 1
        self.preempted += found.preempt > 0.0
        self.switches += found.switches
        self.simulated_s += found.simulated_s
        self.covered += found.covered
        if found.violation:
            self.violations.append(found)


def explore(
    steps: int, *, seed: int, preempt: float, share: float, steps_each: int
) -> Iterator[Found]:
    """Run scripts until there were so many steps.

    Args:
        steps: How many.
        seed: Of the first script; the next one has the next seed.
        preempt: How often threads are stopped before a bytecode of the kernel.
        share: In which part of the scripts.
        steps_each: How many steps a script has.
    """
    done = 0
    while done < steps:
        count = min(steps_each, steps - done)
        # Apart from the script's own choices, so that they do not depend on the share.
        draw = random.Random(f"share {seed}").random()
        yield run(seed, count, preempt if draw < share else 0.0)
        done += count
        seed += 1


def run(seed: int, steps: int, preempt: float) -> Found:
    """Run the script of this seed."""
    draw = random.Random(f"stop {seed}")
    # Two of three are stopped in the middle of what they do.
    stop_at_s = draw.uniform(0.0, 1.5) if draw.random() < 0.66 else None
    world = World(seed, preempt=preempt, stop_at_s=stop_at_s)
    violation = ""
    try:
        world.run(Writer(seed).script(steps))
    except (AssertionError, BaseExceptionGroup) as exc:
        violation = str(exc) or type(exc).__name__
    return Found(
        seed,
        steps,
        preempt,
        world.sim.switches,
        world.sim.monotonic_s(),
        world.stage.covered,
        violation,
    )
