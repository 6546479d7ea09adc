"""Frames come out of a stream as they were put in, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import LinkError
from hal.transport import MOST_BYTES, Unframer, framed


@given(st.lists(st.binary(max_size=50)), st.data())
def test_frames_survive_any_cut(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(framed, frames))
    unframer, found = Unframer(), []

    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += unframer.feed(stream[:size])
        stream = stream[size:]

    assert found == frames


def test_a_length_that_nobody_sends_is_garbage() -> None:
    with pytest.raises(LinkError, match="garbage: a piece of 4294967295 bytes"):
        Unframer().feed(b"\xff\xff\xff\xffhello")


def test_a_frame_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(LinkError, match="at most"):
        framed(bytes(MOST_BYTES + 1))
