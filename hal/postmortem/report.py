"""A story as a report for people: plain text, and the same as a page."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from hal.acquisition import RunStatus, describe_shortfall
from hal.postmortem.advice import advice
from hal.postmortem.moments import Rank
from hal.postmortem.stacks import hung_calls, raised_in
from hal.postmortem.story import Late, Story

_FINE: Final = frozenset({"started", "stopping", "stopped", "configured", "loaded"})
_MARKS: Final = {Rank.ORDINARY: " ", Rank.WARNING: "!", Rank.TROUBLE: "X"}
_MOST_LATE: Final = 10


class Section(NamedTuple):
    """One heading with what stands below it."""

    title: str
    lines: list[str]
    is_table: bool = False
    """Whether columns must stay below each other."""


def sections(
    story: Story,
    dumps: Mapping[str, str],
    contents: Sequence[str],
    notes: Sequence[str],
) -> list[Section]:
    """Return the report.

    Args:
        story: What the trace says.
        dumps: Text of each dump, by the name of its file.
        contents: The files of the bundle, each with what it is.
        notes: What could not be had, or was left out.
    """
    found = [
        Section("What happened", list(_what_happened(story))),
        Section("First sign of trouble", list(_first(story, dumps))),
        Section("Who was late", list(_late(story))),
        Section("The last seconds", list(_timeline(story)), is_table=True),
        Section("Modules that were not well", list(_modules(story))),
        Section("Where to look", list(_where(story))),
        Section("With what HAL ran", list(_setting(story))),
        Section("In this bundle", list(contents), is_table=True),
        Section("Left out", list(notes)),
    ]
    return [section for section in found if section.lines]


def as_text(title: str, report: Sequence[Section]) -> str:
    """Return the report as a text file."""
    lines = [title, "=" * len(title)]
    for section in report:
        lines += ["", section.title, "-" * len(section.title), *section.lines]
    return "\n".join(lines) + "\n"


def as_html(title: str, report: Sequence[Section]) -> str:
    """Return the report as a page that needs nothing else."""
    body = "".join(_section_html(section) for section in report)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        f"<title>{_safe(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{_safe(title)}</h1>{body}</body></html>\n"
    )


def headline(story: Story) -> str:
    """Return the title: which run, and how it ended."""
    case, status = story.case, story.case.status
    if not case.run_id:
        return f"session {case.session}: no run in it"
    name = case.film or f"run {case.run_id}"
    if status is None:
        return f"{name}: no record of its end"
    return f"{name}: ended in state '{status.state}'"


def _what_happened(story: Story) -> Iterator[str]:
    case, status = story.case, story.case.status
    if case.run_id:
        lasted_s = max(0.0, case.ended_s - case.began_s)
        yield (
            f"Run {case.run_id} began at {_when(case.began_s)} and ended "
            f"{lasted_s:.1f} s later."
        )
    if status is None:
        yield (
            "HAL ended in order."
            if story.ended_in_order
            else "There is no record of the end: HAL was killed, or is still running."
        )
        return
    yield f"It ended in state '{status.state}'."
    if status.fatal_error is not None:
        yield f"Reason: {status.fatal_error.kind}: {status.fatal_error}"
    yield from _progress(status)
    yield from (f"Also: {error.kind}: {error}" for error in status.background_errors)
    for name, counts in status.frames.items():
        yield f"{name}: {describe_shortfall(counts)}, {counts.verified} verified"


def _progress(status: RunStatus) -> Iterator[str]:
    if status.n_events_total is None and not status.n_events_consumed:
        return
    what = "events" if status.follows_plan else "frames"
    of = "" if status.n_events_total is None else f" of {status.n_events_total}"
    place = ", ".join(f"{axis}={number}" for axis, number in status.index.items())
    at = f"; the last one begun was at {place}" * bool(place)
    yield f"{status.n_events_consumed}{of} {what} were done{at}."


def _first(story: Story, dumps: Mapping[str, str]) -> Iterator[str]:
    first = story.first_trouble
    if first is None:
        yield "Nothing in the trace went wrong before the end."
        return
    yield f"{_time(first.wall_s)}  {first.who}: {first.what}"
    for late in story.lates:
        calls = hung_calls(dumps.get(late.dump_name, ""), late.module, late.activity)
        if calls:
            yield ""
            yield f"{late.module} was in these calls, the innermost last:"
            yield from (f"    {call}" for call in calls)
            return
    if raised := raised_in(story.first_traceback):
        yield ""
        yield "It was raised in these calls, the innermost last:"
        yield from (f"    {call}" for call in raised)


def _late(story: Story) -> Iterator[str]:
    longest = sorted(story.lates, key=lambda late: -late.age_s)
    for late in longest[:_MOST_LATE]:
        yield _late_line(late, story.senders.get(late.id, ""))
    if len(longest) > _MOST_LATE:
        yield f"and {len(longest) - _MOST_LATE} more"


def _late_line(late: Late, sender: str) -> str:
    asked = f", asked for by {sender}" * bool(sender)
    return (
        f"{late.module}: {late.activity} '{late.what}' had taken {late.age_s:.2f} s at "
        f"{_time(late.wall_s)}; {late.deadline_s:.2f} s were allowed{asked}"
    )


def _timeline(story: Story) -> Iterator[str]:
    moments = story.last_moments()
    if moments:
        yield f"  {datetime.fromtimestamp(moments[0].wall_s, UTC):%Y-%m-%d} UTC"
    for moment in moments:
        mark = _MARKS[moment.rank]
        yield f"{mark} {_time(moment.wall_s)}  {moment.who:<12}  {moment.what}"


def _modules(story: Story) -> Iterator[str]:
    for name, end in story.modules.items():
        if end.state not in _FINE:
            yield f"{name} is {end.state}" + f": {end.reason}" * bool(end.reason)


def _where(story: Story) -> Iterator[str]:
    status = story.case.status
    module = ""
    if status is not None and status.fatal_error is not None:
        yield advice(status.fatal_error.kind)
        module = status.fatal_error.source
    elif story.first_trouble is not None:
        module = story.first_trouble.who
    yield "Unpack the bundle; then:"
    if module:
        yield f"    python tools/hal_trace.py show trace --module {module}"
    yield "    python tools/hal_trace.py show trace --errors"
    yield "    python tools/hal_trace.py late trace"
    yield "    python tools/hal_trace.py html trace timeline.html"


def _setting(story: Story) -> Iterator[str]:
    told = story.configuration
    if told.file:
        yield f"configuration: {told.file}, as it was then in config/"
    if told.settings_file:
        yield f"settings: {told.settings_file}"
    yield from (f"--set {override}" for override in told.overrides)
    if told.simulation:
        yield "all drivers were replaced by simulators (--simulation)"
    if story.versions:
        yield ", ".join(f"{name} {value}" for name, value in story.versions.items())


def _section_html(section: Section) -> str:
    title = f"<h2>{_safe(section.title)}</h2>"
    if section.is_table or any(line.startswith("    ") for line in section.lines):
        rows = "\n".join(_row_html(line) for line in section.lines)
        return f"{title}<pre>{rows}</pre>"
    return title + "".join(f"<p>{_safe(line)}</p>" for line in section.lines)


def _row_html(line: str) -> str:
    return f"<b>{_safe(line)}</b>" if line.startswith("X ") else _safe(line)


def _safe(text: str) -> str:
    # Control characters are no characters of a page, escaped or not.
    shown = "".join(c if c.isprintable() or c in "\n " else "\ufffd" for c in text)
    return html.escape(shown)


def _when(wall_s: float) -> str:
    return f"{datetime.fromtimestamp(wall_s, UTC):%Y-%m-%d} {_time(wall_s)} UTC"


def _time(wall_s: float) -> str:
    when = datetime.fromtimestamp(round(wall_s, 3), UTC)
    return when.time().isoformat(timespec="milliseconds")


_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;"
    "padding:0 1em;color:#1c2430}h1{font-size:1.5em}h2{font-size:1.1em;"
    "border-bottom:1px solid #d5dbe3;margin-top:1.6em}p{margin:.3em 0}"
    "pre{background:#f4f6f9;padding:.8em;overflow-x:auto;font-size:13px}"
    "pre b{color:#b3261e}"
)
