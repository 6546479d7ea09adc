"""`stats`: prints what was counted, as a table and a summary, or as JSON."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator

from tracing.spans import Spans
from tracing.stats import Stats
from tracing.text import Times, ms, one_line, table

_SHOWN_LOGS = 10


def quantile(ordered: array[float], part: float) -> float:
    """Return the smallest value that at least `part` of all values do not exceed."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def times_ms(values: array[float]) -> dict[str, float] | None:
    """Return p50, p99 and max in milliseconds; None without values."""
    if not values:
        return None
    ordered = array("d", sorted(values))
    return {
        "p50": quantile(ordered, 0.5) * 1000,
        "p99": quantile(ordered, 0.99) * 1000,
        "max": ordered[-1] * 1000,
    }


def as_json(stats: Stats) -> dict[str, object]:
    """Return what `text_lines` says as plain data."""
    return {
        "session": stats.session,
        "versions": stats.versions,
        "duration_s": stats.duration_s,
        "records": stats.records,
        "deliveries": stats.deliveries,
        "failed": stats.failed,
        "groups": [
            {
                "type": type_,
                "module": module,
                "count": group.count,
                "queue_ms": times_ms(group.queue_s),
                "handling_ms": times_ms(group.handling_s),
                "total_ms": times_ms(group.total_s),
                "failed": group.failed,
                "late": len(group.late),
            }
            for (type_, module), group in sorted(stats.groups.items())
        ],
        "errors": dict(stats.errors),
        "late": [
            {"module": module, "activity": activity, "count": count}
            for (module, activity), count in sorted(stats.late.items())
        ],
        "late_results": stats.late_results,
        "restarts": dict(stats.restarts),
        "deepest_queue": stats.deepest_queue,
        "gaps": {"count": stats.gaps, "lost": stats.lost},
        "frames": [
            {
                "camera": camera,
                "run": run or None,
                **{step: len(spans) for step, spans in sorted(steps.items())},
            }
            for (camera, run), steps in sorted(stats.frames.items())
        ],
        "log": dict(stats.levels),
        "processes": [
            {
                "process": process.name,
                "pid": process.pid,
                "parts": process.parts,
                "ended_in_order": process.ended,
            }
            for process in stats.processes.values()
        ],
        "skipped_lines": stats.skipped_lines,
        "cut_lines": stats.cut_lines,
        "files_left_out": stats.files_left_out,
        "ended_in_order": stats.in_order,
    }


def text_lines(stats: Stats, *, local: bool, table: bool = True) -> Iterator[str]:
    """Yield the table, if it is wanted, and the summary below it."""
    if stats.groups and table:
        yield from _table(stats)
        yield ""
    times = Times(local=local)
    versions = " ".join(
        f"{one_line(n)} {one_line(v)}" for n, v in stats.versions.items()
    )
    yield f"session     {one_line(stats.session)}" + f"  ({versions})" * bool(versions)
    yield (
        f"time        {times.full(stats.first_s)} to {times.full(stats.last_s)}"
        f"  ({stats.duration_s:.3f} s)"
    )
    yield f"deliveries  {stats.deliveries}, failed {stats.failed}"
    yield f"errors      {_counts(stats.errors)}"
    late = {f"{one_line(m)} ({one_line(a)})": n for (m, a), n in stats.late.items()}
    yield f"late        {_counts(Counter(late))}" + (
        f"; results that came too late: {stats.late_results}" * bool(stats.late_results)
    )
    if stats.restarts:
        yield f"restarts    {_counts(stats.restarts)}"
    waiting = Counter({name: n for name, n in stats.deepest_queue.items() if n})
    if waiting:
        yield f"queues      most found waiting: {_counts(waiting)}"
    if stats.gaps:
        yield f"gaps        {stats.gaps}, with {stats.lost} records not written"
    else:
        yield "gaps        none"
    whole = not any(process.missing for process in stats.processes.values())
    for (camera, run), steps in sorted(stats.frames.items()):
        yield "frames      " + _frames(camera, run, steps, whole=whole)
    yield f"log         {_counts(stats.levels)}"
    for (level, module, event), count in stats.alarms.most_common(_SHOWN_LOGS):
        yield f"            {count} x {one_line(f'{level}: {module}: {event}')}"
    if len(stats.alarms) > _SHOWN_LOGS:
        yield f"            and {len(stats.alarms) - _SHOWN_LOGS} more phrases"
    yield from _ending(stats, times)


def _table(stats: Stats) -> list[str]:
    three = ["p50", "p99", "max"]
    rows = [
        [
            "",
            "",
            "",
            "queue",
            "ms",
            "",
            "handling",
            "ms",
            "",
            "total",
            "ms",
            "",
            "",
            "",
        ],
        ["type", "module", "count", *three, *three, *three, "failed", "late"],
    ]
    for (type_, module), group in sorted(stats.groups.items()):
        cells = [one_line(type_), one_line(module), str(group.count)]
        for values in (group.queue_s, group.handling_s, group.total_s):
            of = times_ms(values)
            cells += [ms(of[k] / 1000) for k in three] if of else ["-"] * 3
        rows.append([*cells, str(group.failed), str(len(group.late))])
    return table(rows, left=2)


def _counts(counter: Counter[str]) -> str:
    parts = [f"{one_line(name)} {count}" for name, count in counter.most_common()]
    return ", ".join(parts) or "none"


def _frames(camera: str, run: str, steps: dict[str, Spans], *, whole: bool) -> str:
    where = one_line(camera) + f" run {one_line(run)}" * bool(run)
    counts = ", ".join(
        f"{len(s)} {one_line(step)}" for step, s in sorted(steps.items())
    )
    received, stored = steps.get("received", Spans()), steps.get("stored", Spans())
    missing = received.without(stored) if "stored" in steps else Spans()
    gaps = f"; received but not stored: {missing}" if len(missing) else ""
    # Without a run (live), or once old parts are gone, counting starts anywhere.
    holes = received.holes() if run and whole else Spans()
    lost = f"; no record of receiving: {holes}" if len(holes) else ""
    return f"{where}: {counts}{gaps}{lost}"


def _ending(stats: Stats, times: Times) -> Iterator[str]:
    for process in stats.processes.values():
        name = f"{one_line(process.name)} (pid {process.pid})"
        if process.missing:
            parts = ", ".join(map(str, process.missing))
            yield f"missing     parts of {name} that are no longer there: {parts}"
        if not process.ended and (process.name != "main"):
            yield f"process     {name} was cut off"
    if damage := _damage(stats):
        yield f"damage      {damage}"
    if stats.in_order:
        yield "ended       in order"
    else:
        last = times.full(stats.last_s)
        yield f"ended       CUT OFF: no last record of an orderly end; until {last}"


def _damage(stats: Stats) -> str:
    named = (
        (stats.skipped_lines, "corrupt lines skipped"),
        (stats.cut_lines, "last lines cut off"),
        (stats.files_left_out, "files left out"),
    )
    return ", ".join(f"{what}: {count}" for count, what in named if count)
