"""A mask travels in a message, a bit for each pixel."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.base import BadInput
from hal.frames import PackedMask


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_it_comes_out_as_it_went_in(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.3
    packed = PackedMask.of(mask, roi_x_px=3, roi_y_px=4, binning=2)

    again = msgspec.msgpack.decode(msgspec.msgpack.encode(packed), type=PackedMask)

    np.testing.assert_array_equal(again.unpack(), mask)
    assert (again.roi_x_px, again.roi_y_px, again.binning) == (3, 4, 2)


def test_what_is_not_0_is_meant() -> None:
    assert PackedMask.of(np.array([[0, 2], [-1, 0]])).unpack().tolist() == [
        [False, True],
        [True, False],
    ]


def test_discs_on_a_large_sensor_are_a_small_message() -> None:
    y, x = np.ogrid[:2048, :2048]
    mask = np.zeros((2048, 2048), bool)
    for n in range(20):
        mask |= (x - 97 * n) ** 2 + (y - 83 * n) ** 2 < 100

    assert len(PackedMask.of(mask).bits) < 30_000


@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2), (0, 4), (1, 2**16 + 1)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="expected \\(height, width\\)"):
        PackedMask.of(np.zeros(shape, bool))


@pytest.mark.parametrize(
    "bits",
    [
        b"no zlib",
        zlib.compress(b"\0"),
        zlib.compress(bytes(3)),
        zlib.compress(bytes(10**6)),
    ],
)
def test_bits_that_do_not_fit_are_refused(bits: bytes) -> None:
    with pytest.raises(BadInput, match="mask of 4x4 px"):
        PackedMask(bits=bits, height=4, width=4).unpack()
