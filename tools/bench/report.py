"""What a benchmark prints: a measured ratio, its budget, and whether it is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

_TITLES = ("part", "what", "ratio", "of", "budget", "verdict", "stated")
_RIGHT = {"ratio", "budget"}


@dataclass(frozen=True)
class Line:
    """One thing that was measured.

    Everything is a ratio, because absolute numbers of a shared machine say little; they
    are only stated. A time with an absolute budget is given as a fraction of it.
    """

    part: str
    what: str
    ratio: float | None
    """None: it did not happen at all (no dump), or cannot be measured yet."""
    of: str
    """What the ratio is of: raw, pykka, the deadline, the budget itself."""
    at_least: float | None = None
    at_most: float | None = None
    stated: str = ""
    not_covered: bool = False
    """The kernel does not claim to do this yet; a miss is no news."""

    @property
    def budget(self) -> str:
        """The bound, for people; a dash if it is only stated."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "-" if self.at_most is None else f"<= {self.at_most:g}"

    @property
    def verdict(self) -> str:
        """`ok`, `MISSED`, `stated` or `not covered yet`."""
        if self._is_kept():
            return "stated" if self.budget == "-" else "ok"
        return "not covered yet" if self.not_covered else "MISSED"

    def _is_kept(self) -> bool:
        if self.ratio is None:
            return False
        if self.at_least is not None and self.ratio < self.at_least:
            return False
        return self.at_most is None or self.ratio <= self.at_most


def table(lines: Sequence[Line]) -> str:
    """Return the lines as aligned text, with a count of what was missed."""
    rows = [dict(zip(_TITLES, _TITLES, strict=True)), *map(_row, lines)]
    widths = {title: max(len(row[title]) for row in rows) for title in _TITLES}
    text = [
        "  ".join(
            row[title].rjust(widths[title])
            if title in _RIGHT
            else row[title].ljust(widths[title])
            for title in _TITLES
        ).rstrip()
        for row in rows
    ]
    verdicts = [line.verdict for line in lines]
    kept, missed = verdicts.count("ok"), verdicts.count("MISSED")
    later = verdicts.count("not covered yet")
    text += ["", f"budgets: {kept} ok, {missed} missed, {later} not covered yet"]
    return "\n".join(text)


def json_line(lines: Sequence[Line], **about: object) -> str:
    """Return one line of JSON: what was measured where, then every line."""
    found = [
        {**asdict(line), "budget": line.budget, "verdict": line.verdict}
        for line in lines
    ]
    return json.dumps({**about, "lines": found})


def _row(line: Line) -> dict[str, str]:
    return {
        "part": line.part,
        "what": line.what,
        "ratio": "none" if line.ratio is None else f"{line.ratio:.3g}",
        "of": line.of,
        "budget": line.budget,
        "verdict": line.verdict,
        "stated": line.stated,
    }
