"""HOW TRACES ARE READ: the parts of `tools/hal_trace.py`.

`Trace` finds the files of one session and reads their records; `show`, `stats`,
`sequence` and `late` each answer one question about them, `timeline` makes a picture
for `export` and `html`. Nothing here needs `hal`, but `bundle`, which is HAL's own.
"""

from __future__ import annotations

from tracing.cli import main
from tracing.parse import BadRecord, parse_header, parse_record
from tracing.reader import Damage, Index, NotATrace, Trace
from tracing.records import (
    Delivery,
    ErrorEntry,
    Event,
    Header,
    Record,
    Ticket,
)

__all__ = [
    "BadRecord",
    "Damage",
    "Delivery",
    "ErrorEntry",
    "Event",
    "Header",
    "Index",
    "NotATrace",
    "Record",
    "Ticket",
    "Trace",
    "main",
    "parse_header",
    "parse_record",
]
