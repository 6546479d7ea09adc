"""Where to look next, by the kind of the error that ended a run."""

from __future__ import annotations

from typing import Final

_BY_KIND: Final = {
    "WorkerTimeout": (
        "A call did not return. Its stack is above: the device that this line speaks "
        "to, its cable and its controller come first, then the driver's own code. All "
        "other threads are in dumps/."
    ),
    "DeviceTimeout": (
        "A device took the order and did not finish it in time: look at the device "
        "(is it blocked, switched off, at a limit?), then at its timeout."
    ),
    "LinkError": (
        "The connection failed: cable, port, power. What was sent and received last "
        "stands in the trace under the module's name."
    ),
    "ModuleDead": (
        "A module's process ended. Its last words are in outputs/; a crash in a "
        "vendor's library leaves a stack there."
    ),
    "DiskFull": "The disk was full: make room; what was stored before is readable.",
    "StorageError": (
        "The disk refused: look at the folder of the film, its rights and its system's "
        "own log."
    ),
    "DeadlockError": "Modules waited for each other in a circle: the text names it.",
    "HandlerFailed": (
        "A program error: the traceback names the line. Whoever wrote that module or "
        "driver needs this bundle."
    ),
    "RunError": "Frames are missing: their indices are named above, per camera.",
}
_OTHERWISE: Final = (
    "The text above says what was refused and what was expected; the traceback in "
    "run.json says where."
)


def advice(kind: str) -> str:
    """Return what to look at first after an error of this kind."""
    return _BY_KIND.get(kind, _OTHERWISE)
