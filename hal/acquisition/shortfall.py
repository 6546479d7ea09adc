"""What is missing of a run, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hal.base import ErrorRecord, RunError
from hal.frames import LedgerCounts


def lost_frames(
    counts: Mapping[str, LedgerCounts],
    *,
    cut_short: bool,
    passed_over: Mapping[str, int],
) -> Iterator[ErrorRecord]:
    """Yield which frames are missing that should be there.

    Args:
        counts: Of each camera, at the end.
        cut_short: Whether only those count that were taken.
        passed_over: How many of each camera the plan allows to be missing.
    """
    for name, count in counts.items():
        allowed = passed_over.get(name, 0)
        whole = count.gap_count <= allowed and not count.mismatch_count
        wanted = count.received if count.planned is None else count.planned - allowed
        if not whole or (not cut_short and count.stored != wanted):
            text = describe_shortfall(count)
            yield ErrorRecord(kind=RunError.__name__, text=text, source=name)


def describe_shortfall(counts: LedgerCounts) -> str:
    """Return in words what is missing of a film."""
    planned = "" if counts.planned is None else f" of {counts.planned}"
    text = f"{counts.stored}{planned} frames stored"
    if counts.gap_count:
        text += f", {counts.gap_count} missing: {_ranges(counts.gaps)}"
    if counts.mismatch_count:
        text += (
            f", {counts.mismatch_count} read back otherwise than written: "
            f"{_ranges(counts.mismatched)}"
        )
    return text


def _ranges(indices: tuple[int, ...]) -> str:
    """Return `3-5, 9` for (3, 4, 5, 9); at most ten ranges."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    words = [f"{a}" if a == b else f"{a}-{b}" for a, b in spans[:10]]
    return ", ".join(words) + (" ..." if len(spans) > 10 else "")
