"""The second half of a good error: the name the user probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the nearest known name, or nothing."""
    near = difflib.get_close_matches(wrong, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def one_of(known: Iterable[str]) -> str:
    """Return the known names as a readable list."""
    names = sorted(known)
    return ", ".join(names) if names else "none"
