"""`export`: a trace for the viewers of Chrome and Perfetto.

Source of the format: "Trace Event Format", Google, 2016 (JSON object format: complete
events `X`, flow events `s` and `f`, instants `i`, metadata `M`; times in microseconds).
Open the file at https://ui.perfetto.dev, or in chrome://tracing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from tracing.plain import plain
from tracing.reader import Trace
from tracing.timeline import Timeline, timeline

_US = 1e6
_EVERYWHERE = ("mode",)


def export(trace: Trace, path: Path) -> int:
    """Write all of a session to `path`; return how many events that was.

    Raises:
        OSError: It cannot be written.
    """
    picture = timeline(trace)
    first_s = picture.first_s
    with path.open("wb") as file:
        about = orjson.dumps(
            {
                "session": trace.session,
                "began_wall_s": first_s,
                "versions": trace.headers[0].versions,
            }
        )
        file.write(b'{"displayTimeUnit":"ms","otherData":' + about)
        file.write(b',"traceEvents":[')
        count = 0
        for count, event in enumerate(events(picture, first_s), start=1):
            file.write(b"\n" if count == 1 else b",\n")
            file.write(orjson.dumps(event, default=str))
        file.write(b"\n]}\n")
    return count


def events(picture: Timeline, first_s: float) -> Iterator[dict[str, object]]:
    """Yield the events; their times count from `first_s`."""
    yield from _names(picture)
    for span in picture.spans:
        yield {
            **_place(picture, span.track),
            "ph": "X",
            "ts": _us(span.start_s - first_s),
            "dur": _us(span.end_s - span.start_s),
            "name": span.name,
            "cat": "message" if span.how == "done" else "failed",
            "args": plain(picture.records[span.record]),
        }
    for number, arrow in enumerate(picture.arrows):
        cause, effect = picture.spans[arrow.cause], picture.spans[arrow.effect]
        flow: dict[str, object] = {"name": "causes", "cat": "cause", "id": number}
        at = _us(arrow.at_s - first_s)
        yield {**_place(picture, cause.track), "ph": "s", "ts": at, **flow}
        # `bp: e` binds it to the span that holds this moment, not to the next one.
        ends = {"ph": "f", "bp": "e", "ts": max(at, _us(effect.start_s - first_s))}
        yield {**_place(picture, effect.track), **ends, **flow}
    for mark in picture.marks:
        yield {
            **_place(picture, mark.track),
            "ph": "i",
            "ts": _us(mark.wall_s - first_s),
            "name": mark.name,
            "cat": mark.kind,
            "s": "g" if mark.kind in _EVERYWHERE else "t",
            "args": plain(picture.records[mark.record]),
        }


def _names(picture: Timeline) -> Iterator[dict[str, object]]:
    processes = {track.pid: track.process for track in picture.tracks}
    for pid, name in processes.items():
        args = {"name": f"hal {name}"}
        yield {"ph": "M", "pid": pid, "tid": 0, "name": "process_name", "args": args}
    for number, track in enumerate(picture.tracks):
        place = {"ph": "M", **_place(picture, number)}
        yield {**place, "name": "thread_name", "args": {"name": track.name}}
        order = {"sort_index": number}
        yield {**place, "name": "thread_sort_index", "args": order}


def _place(picture: Timeline, track: int) -> dict[str, object]:
    # Track 0 would be the process itself in some viewers.
    return {"pid": picture.tracks[track].pid, "tid": track + 1}


def _us(seconds: float) -> float:
    return round(seconds * _US, 3)
