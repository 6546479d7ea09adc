"""The stacks of all threads by name, as text that can travel with an error."""

from __future__ import annotations

import sys
import threading
import traceback

_UNKNOWN = "(not a Python thread)"


def dump_threads() -> str:
    """Return every thread's name and stack, innermost call last.

    Runs on: any. Takes about 1 ms for 60 threads and stops none of them; threads that
    hold the interpreter in C make it wait until they return.
    """
    names = thread_names()
    parts = []
    for ident, frame in sorted(sys._current_frames().items()):
        name = names.get(ident, _UNKNOWN)
        stack = "".join(traceback.format_stack(frame))
        parts.append(f"Thread {name} (ident {ident}):\n{stack}")
    return "\n".join(parts)


def thread_names() -> dict[int, str]:
    """Return the name of every Python thread, by its ident.

    Runs on: any.
    """
    found = {thread.ident: thread.name for thread in threading.enumerate()}
    return {ident: name for ident, name in found.items() if ident is not None}
