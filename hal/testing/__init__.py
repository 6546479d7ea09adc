"""Fakes and shared tests for HAL's own tests and for those of plugins.

Faults on purpose are in `hal.testing.chaos`. Contract tests are in
`hal.testing.contracts`, apart because they import pytest.
"""

from hal.testing import chaos
from hal.testing.clock import FakeClock
from hal.testing.interleaver import Interleaver
from hal.testing.probe import Probe
from hal.testing.sim_thread import SimulationOver, Stuck
from hal.testing.system import Part, RunningHal, part, running_hal
from hal.testing.waiting import wait_until

__all__ = [
    "FakeClock",
    "Interleaver",
    "Part",
    "Probe",
    "RunningHal",
    "SimulationOver",
    "Stuck",
    "chaos",
    "part",
    "running_hal",
    "wait_until",
]
