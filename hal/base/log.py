"""Logging for everything in HAL: structlog, rendered into the trace.

`get_logger` may be called at import; where records go is decided once, at start, by
`set_log_sink`. Until then warnings and errors go to stderr.

A record with `told_by=NAME` is of something that NAME tells the user anyway (a run, why
it failed): it is kept like any other, and not printed a second time.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Mapping
from typing import cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

LogSink = Callable[[Mapping[str, object]], None]

_LOUD = ("warning", "error", "critical")


def to_stderr(record: Mapping[str, object]) -> None:
    """Print warnings and worse as one line, unless somebody else tells of them.

    Survives a missing or closed stderr.
    """
    if record.get("level") not in _LOUD or "told_by" in record or sys.stderr is None:
        return
    rest = " ".join(
        f"{key}={value}"
        for key, value in record.items()
        if key not in ("level", "event", "module", "thread", "exception")
    )
    line = f"{record['level']}: {record.get('module', 'hal')}: {record['event']} {rest}"
    # A terminal that was closed, or cannot show a letter, is no reason to fail.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line.rstrip() + "\n")


_sink: LogSink = to_stderr


def set_log_sink(sink: LogSink) -> LogSink:
    """Send further records to `sink`, on the thread that logs; return the old sink."""
    global _sink
    previous, _sink = _sink, sink
    return previous


def _hand_over(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    record = {"level": method, "thread": threading.current_thread().name, **event}
    _sink(record)
    raise structlog.DropEvent


def get_logger(**bound: object) -> FilteringBoundLogger:
    """Return a logger that adds `bound` (usually `module=NAME`) to each record.

    Runs on: any. Use a fixed phrase plus data:
    `log.info("homing finished", axis="z", took_s=4.2)`.
    """
    logger = structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[structlog.processors.format_exc_info, _hand_over],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=True,
    )
    return cast(FilteringBoundLogger, logger.bind(**bound))
