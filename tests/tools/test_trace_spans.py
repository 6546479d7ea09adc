"""Ranges of frames against plain sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tracing.spans import Spans

_BATCHES = st.lists(st.tuples(st.integers(0, 40), st.integers(-1, 6)), max_size=12)


def _both(batches):
    spans, plain = Spans(), set()
    for first, more in batches:
        spans.add(first, first + more)
        plain.update(range(first, first + more + 1))
    return spans, plain


def _indices(spans):
    return [n for first, last in spans for n in range(first, last + 1)]


@given(_BATCHES, _BATCHES)
def test_ranges_behave_like_sets_of_numbers(mine, others):
    spans, plain = _both(mine)
    other, other_plain = _both(others)

    assert _indices(spans) == sorted(plain)
    assert len(spans) == len(plain)
    assert _indices(spans.without(other)) == sorted(plain - other_plain)
    assert _indices(spans.holes()) == sorted(
        set(range(max(plain, default=-1) + 1)) - plain
    )


def test_many_ranges_are_not_all_printed():
    spans = Spans()
    for n in range(0, 40, 2):
        spans.add(n, n)

    assert str(spans) == "0, 2, 4, 6, 8, 10, 12, 14 and 12 more ranges"
