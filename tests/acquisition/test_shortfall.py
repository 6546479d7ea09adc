"""What is missing of a film, in words."""

from __future__ import annotations

import pytest

from hal.acquisition import describe_shortfall
from hal.frames import LedgerCounts
from tests.acquisition.scripted import counts


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (counts(), "10 of 10 frames stored"),
        (counts(planned=None), "10 frames stored"),
        (
            counts(stored=9, gaps=(4,), gap_count=1),
            "9 of 10 frames stored, 1 missing: 4",
        ),
        (
            counts(stored=6, gaps=(3, 4, 5, 9), gap_count=4),
            "6 of 10 frames stored, 4 missing: 3-5, 9",
        ),
        (
            counts(mismatched=(0, 1), mismatch_count=2),
            "10 of 10 frames stored, 2 read back otherwise than written: 0-1",
        ),
    ],
)
def test_a_shortfall_is_told_in_ranges(found: LedgerCounts, words: str) -> None:
    assert describe_shortfall(found) == words


def test_a_long_list_is_cut_after_ten_ranges() -> None:
    lost = tuple(range(0, 40, 2))

    words = describe_shortfall(counts(gaps=lost, gap_count=len(lost)))

    assert words.endswith("20 missing: 0, 2, 4, 6, 8, 10, 12, 14, 16, 18 ...")
