"""Where a thread hung: its innermost calls, out of a dump of all threads."""

from __future__ import annotations

import re
from typing import Final

_THREAD: Final = re.compile(r"^Thread (?P<name>.+?) \(ident \d+\):$", re.MULTILINE)
_CALL: Final = re.compile(
    r'^  File "(?P<file>[^"\n]+)", line (?P<line>\d+),? in (?P<function>[^\n]+)'
    r"(?:\n    (?P<code>[^\n]+))?",
    re.MULTILINE,
)
_OF_ACTIVITY: Final = {"job": "/worker", "loop": "/loop", "handler": ""}


def hung_calls(dump: str, module: str, activity: str, most: int = 6) -> list[str]:
    """Return the innermost calls of the thread that hung, the innermost last.

    Args:
        dump: All threads by name, as `hal.kernel` writes them.
        module: Whose thread.
        activity: `job`, `loop` or `handler`; which of its threads.
        most: How many calls.
    """
    ending = _OF_ACTIVITY.get(activity)
    wanted = re.compile(rf"{re.escape(module)}/\d+{re.escape(ending or '')}")
    for thread in _THREAD.finditer(dump):
        if ending is not None and wanted.fullmatch(thread["name"]):
            following = _THREAD.search(dump, thread.end())
            until = len(dump) if following is None else following.start()
            calls = _CALL.finditer(dump, thread.end(), until)
            return [_told(call) for call in calls][-most:]
    return []


def raised_in(traceback: str, most: int = 6) -> list[str]:
    """Return the innermost calls of a traceback, and what was raised there."""
    # With several, the first is the cause, and the others pass it on.
    first = traceback.split("\n\n")[0].rstrip()
    calls = [_told(call) for call in _CALL.finditer(first)][-most:]
    return [*calls, first.splitlines()[-1]] if calls else []


def _told(call: re.Match[str]) -> str:
    code = f": {call['code'].strip()}" if call["code"] else ""
    return f"{call['file']}:{call['line']} in {call['function'].strip()}{code}"
