"""Bytes of FITS files to numbers and back."""

from __future__ import annotations

import numpy as np
import pytest

SHAPE = (2, 3, 37, 53)


@pytest.mark.parametrize("window", [(0, 0, 37, 53), (5, 0, 11, 53), (3, 7, 30, 41), (36, 52, 1, 1)])
def test_counts(be, put, get, window):
    row, column, ny, nx = window
    counts = np.random.default_rng(0).integers(0, 65536, SHAPE).astype(np.int32)
    counts[0, 0, :4, 0] = 0, 32767, 32768, 65535
    stored = (counts - 32768).astype(">i2")
    data = put(np.zeros((*SHAPE[:2], ny, nx), np.float32))
    be.kernel("codec").decode_counts(put(stored.view(np.uint16)), data, row=row, column=column)
    np.testing.assert_array_equal(get(data), counts[:, :, row : row + ny, column : column + nx])


@pytest.mark.parametrize("flip", [0, 1 << 31])
@pytest.mark.parametrize("size", [0, 1, 53, 4097, 70001])
def test_words(be, put, get, size, flip):
    numbers = np.random.default_rng(1).integers(0, 2**32, size, dtype=np.uint32)
    words = put(numbers)
    total = be.kernel("codec").encode_inplace(words, flip=flip)
    stored = numbers ^ np.uint32(flip)
    np.testing.assert_array_equal(get(words).view(">u4"), stored)
    assert int(get(total)[0]) == int(stored.sum(dtype=np.uint64))
    be.kernel("codec").swap_inplace(words)
    np.testing.assert_array_equal(get(words), stored)
