"""Faults on purpose: drivers of any kind that hang, lie, lose frames, or kill HAL.

`docs/chaos.rst` tells how to rehearse an experiment. In a test::

    camera = chaos.faulty(SimCamera, Fault(module="", kind="raise", at=(3,)))
"""

from hal.testing.chaos.chaos_file import chaos_of, read_chaos
from hal.testing.chaos.fault import ChaosPlan, Fault, make_fault
from hal.testing.chaos.faulty import FaultyDriver, faulty, faulty_class
from hal.testing.chaos.journal import GOOD_FRAME, Caused, Journal
from hal.testing.chaos.kinds import DEADLY, FaultKind, calls_of
from hal.testing.chaos.module import CauseFault, ChaosModule, Orders
from hal.testing.chaos.rehearsal import CHAOS, Rehearsal, check_chaos
from hal.testing.chaos.report import (
    ChaosReport,
    FaultTold,
    make_report,
    report_lines,
)

__all__ = [
    "CHAOS",
    "DEADLY",
    "GOOD_FRAME",
    "CauseFault",
    "Caused",
    "ChaosModule",
    "ChaosPlan",
    "ChaosReport",
    "Fault",
    "FaultKind",
    "FaultTold",
    "FaultyDriver",
    "Journal",
    "Orders",
    "Rehearsal",
    "calls_of",
    "chaos_of",
    "check_chaos",
    "faulty",
    "faulty_class",
    "make_fault",
    "make_report",
    "read_chaos",
    "report_lines",
]
