"""Processor time from the start of Python to a HAL that is ready."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from bench.pairing import Scale
from bench.report import Line

_ROOT: Final = Path(__file__).resolve().parents[2]
_HEADLESS: Final = """
from hal.app import Application, plan
app = Application(plan({config!r}))
problems = app.start()
cpu_s = time.process_time()
app.stop()
assert not problems, problems
"""
_MODULES: Final = """
from pathlib import Path
from hal.kernel import Module, System
system = System(log_folder=Path.home() / "logs")
system.run_kernel()
for number in range({count}):
    system.add(Module, f"module{{number}}")
problems = system.start()
cpu_s = time.process_time()
system.stop()
assert not problems, problems
"""
_CHILD: Final = "import time\n{body}\nprint(cpu_s)"


def measure(scale: Scale) -> Iterator[Line]:
    """Yield both start-ups, as fractions of their budgets."""
    config = str(_ROOT / "xml_configs" / "sim_headless.xml")
    count = scale.pick(200, 20)
    yield _line(
        "sim_headless.xml to ready", _HEADLESS.format(config=config), 1.0, scale
    )
    yield _line(f"{count} modules", _MODULES.format(count=count), 3.0, scale)


def _line(what: str, body: str, budget_s: float, scale: Scale) -> Line:
    rounds = scale.pick(scale.rounds, 1)
    bare_s = median(_cpu_s("cpu_s = time.process_time()") for _ in range(rounds))
    cpu_s = median(_cpu_s(body) for _ in range(rounds))
    return Line(
        "start_up",
        what,
        cpu_s / budget_s,
        f"{budget_s:g} s of CPU",
        at_most=1.0,
        stated=f"{cpu_s:.2f} s, of which Python itself {bare_s:.2f} s",
    )


def _cpu_s(body: str) -> float:
    """Return what a new Python that runs `body` says it has used."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD.format(body=body)],
            # Data and logs go below the home folder.
            env={
                **os.environ,
                "HOME": home,
                "USERPROFILE": home,
                "PYTHONPATH": str(_ROOT),
            },
            cwd=home,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=120.0,
        )
    return float(done.stdout)
