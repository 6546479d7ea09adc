from __future__ import annotations

import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.frames import FrameLedger
from hal.frames._index_set import IndexSet
from hal.frames.ledger import MOST_LISTED

spans = st.lists(st.tuples(st.integers(0, 60), st.integers(-1, 12)), max_size=40)


@given(spans)
def test_ranges_agree_with_a_set(added: list[tuple[int, int]]) -> None:
    ranges, model = IndexSet(), set[int]()
    for first, length in added:
        ranges.add(first, first + length)
        model |= set(range(first, first + length))

        assert len(ranges) == len(model)
        assert ranges.end == max(model, default=-1) + 1
        assert {i for a, b in ranges.ranges for i in range(a, b)} == model
        # Neighbours are one range, or memory would grow with every frame.
        assert all(
            b < c
            for (_, b), (c, _) in zip(ranges.ranges, ranges.ranges[1:], strict=False)
        )
        for stop in (0, 5, 80):
            holes = {i for a, b in ranges.holes(stop) for i in range(a, b)}
            assert holes == set(range(stop)) - model


def test_a_negative_index_is_a_defect() -> None:
    with pytest.raises(ValueError, match="-1"):
        IndexSet().add(-1)


def test_a_long_run_takes_no_more_memory_than_a_short_one() -> None:
    ranges = IndexSet()
    ranges.add(0, 10**7)
    ranges.add(10**7)

    assert len(ranges) == 10**7 + 1
    assert sys.getsizeof(ranges._starts) < 200


def test_a_complete_run() -> None:
    ledger = FrameLedger("camera1", planned=3)
    for index in range(3):
        ledger.triggered()
        ledger.received(index)
    ledger.stored(0, 3)
    ledger.verified(3)
    ledger.close()

    counts = ledger.snapshot()

    assert (counts.planned, counts.triggered, counts.received) == (3, 3, 3)
    assert (counts.stored, counts.verified, counts.gaps) == (3, 3, ())
    assert counts.complete


def test_a_skipped_index_is_a_gap_at_once() -> None:
    ledger = FrameLedger("camera1", planned=10)
    ledger.received(0)
    ledger.received(3)

    assert ledger.snapshot().gaps == (1, 2)


def test_a_frame_that_comes_late_closes_its_gap() -> None:
    ledger = FrameLedger("camera1", planned=10)
    ledger.received(1)
    ledger.missed(0)
    ledger.received(0)

    assert ledger.snapshot().gaps == ()


def test_frames_reported_lost_are_gaps_also_at_the_end() -> None:
    ledger = FrameLedger("camera1", planned=6)
    ledger.received(0)
    ledger.missed(1, 3)

    counts = ledger.snapshot()

    assert counts.gaps == (1, 2)
    assert counts.gap_count == 2
    assert counts.received == 1


def test_what_came_but_is_not_stored_at_the_close_is_a_gap() -> None:
    ledger = FrameLedger("camera1", planned=3)
    for index in range(3):
        ledger.received(index)
    ledger.stored(0)
    ledger.stored(2)
    assert ledger.snapshot().gaps == ()

    ledger.close()

    assert ledger.snapshot().gaps == (1,)
    assert not ledger.snapshot().complete


def test_frames_never_taken_are_not_gaps_but_not_complete_either() -> None:
    ledger = FrameLedger("camera1", planned=100)
    ledger.received(0)
    ledger.stored(0)
    ledger.close()

    counts = ledger.snapshot()

    assert counts.gaps == ()
    assert not counts.complete


def test_an_open_ended_film_is_complete_when_all_that_came_is_stored() -> None:
    ledger = FrameLedger("camera1", planned=None)
    ledger.received(0)
    assert not ledger.snapshot().complete

    ledger.stored(0)

    assert ledger.snapshot().complete


def test_a_frame_that_reads_back_otherwise_spoils_the_run() -> None:
    ledger = FrameLedger("camera1", planned=2)
    ledger.received(0)
    ledger.received(1)
    ledger.stored(0, 2)
    ledger.verified(1, mismatched=[1])

    counts = ledger.snapshot()

    assert counts.mismatched == (1,)
    assert counts.verified == 1
    assert not counts.complete


def test_a_frame_noted_twice_counts_once() -> None:
    ledger = FrameLedger("camera1", planned=2)
    ledger.stored(0)
    ledger.stored(0)

    assert ledger.snapshot().stored == 1


def test_a_million_gaps_are_counted_and_the_first_are_named() -> None:
    ledger = FrameLedger("camera1", planned=None)
    ledger.received(10**6)

    counts = ledger.snapshot()

    assert counts.gap_count == 10**6
    assert counts.gaps == tuple(range(MOST_LISTED))


def test_threads_may_all_write_to_it() -> None:
    ledger = FrameLedger("camera1", planned=4000)

    def note(offset: int) -> None:
        for index in range(offset, 4000, 4):
            ledger.received(index)
            ledger.stored(index)
            ledger.triggered()

    threads = [threading.Thread(target=note, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts = ledger.snapshot()
    assert (counts.triggered, counts.received, counts.stored) == (4000, 4000, 4000)
    assert counts.complete
