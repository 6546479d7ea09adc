"""`html`: a session as one page that draws itself and needs nothing else."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Final

import orjson

from tracing.plain import plain
from tracing.reader import Trace
from tracing.text import Times
from tracing.timeline import Timeline, timeline

_TEMPLATE: Final = Path(__file__).with_name("timeline.html")
_TITLE: Final = "@TITLE@"
_DATA: Final = "@DATA@"


def write_page(trace: Trace, path: Path) -> int:
    """Write the page; return how many spans and marks it shows.

    Raises:
        OSError: It cannot be written.
    """
    picture = timeline(trace)
    when = Times(local=False).full(picture.first_s)
    title = html.escape(f"HAL trace {trace.session[-6:]}, {when}")
    before, after = _TEMPLATE.read_text("utf-8").split(_DATA)
    data = orjson.dumps(_data(picture), default=str)
    with path.open("wb") as file:
        file.write(before.replace(_TITLE, title).encode())
        # Within a script element only "</" and "<!--" mean something.
        file.write(data.replace(b"<", b"\\u003c"))
        file.write(after.encode())
    return len(picture.spans) + len(picture.marks)


def _data(picture: Timeline) -> dict[str, object]:
    """Return what the page draws: times in milliseconds, names by number."""
    first_s = picture.first_s
    names: dict[str, int] = {}

    def number(name: str) -> int:
        return names.setdefault(name, len(names))

    def ms(wall_s: float) -> float:
        return round(1000 * (wall_s - first_s), 3)

    spans = [
        [s.track, ms(s.start_s), ms(s.end_s), number(s.name), number(s.how), s.record]
        for s in picture.spans
    ]
    marks = [
        [m.track, ms(m.wall_s), number(m.name), number(m.kind), m.record]
        for m in picture.marks
    ]
    return {
        "first_s": first_s,
        "length_ms": ms(picture.last_s),
        "tracks": [[track.name, track.process] for track in picture.tracks],
        "spans": spans,
        "marks": marks,
        "arrows": [[a.cause, ms(a.at_s), a.effect] for a in picture.arrows],
        "names": list(names),
        "records": [plain(record) for record in picture.records],
    }
