"""The convolution of frames: a spike by hand, the edges, and the twins against the reference."""

import numpy as np
import pytest
from scipy import signal

from gpujw.cpu_fallback.reference import convolve as reference

KERNEL = np.array([[1, 2, 3], [4, 50, 6], [7, 8, 9]], np.float32)


def convolved(be, put, get, data, kernel, **edges):
    held = put(data.astype(np.float32))
    be.kernel("convolve").convolve_inplace(held, put(kernel), **edges)
    return get(held)


def test_a_spike_gives_the_kernel(be, put, get):
    data = np.zeros((1, 1, 7, 9))
    data[0, 0, 3, 4] = 2
    out = convolved(be, put, get, data, KERNEL)
    np.testing.assert_array_equal(out[0, 0, 2:5, 3:6], 2 * KERNEL)
    assert out.sum() == 2 * KERNEL.sum()


def test_beyond_the_edge_is_zero(be, put, get):
    data = np.random.default_rng(0).integers(0, 100, (2, 3, 37, 53))
    out = convolved(be, put, get, data, KERNEL)
    for frame, expected in zip(out.reshape(-1, 37, 53), data.reshape(-1, 37, 53), strict=True):
        np.testing.assert_array_equal(frame, signal.convolve2d(expected, KERNEL, mode="same"))  # whole numbers: exact


def test_reference_pixels_neither_change_nor_count(be, put, get):
    data = np.random.default_rng(1).integers(0, 100, (1, 2, 37, 53)).astype(np.float32)
    edges = {"bottom": 4, "top": 3, "left": 2, "right": 1}
    out = convolved(be, put, get, data, KERNEL, **edges)
    inside = (slice(None), slice(None), slice(4, 34), slice(2, 52))
    np.testing.assert_array_equal(out[inside], convolved(be, put, get, data[inside], KERNEL))
    out[inside] = data[inside]
    np.testing.assert_array_equal(out, data)


@pytest.mark.parametrize("edges", [{}, {"bottom": 4, "left": 4}, {"top": 37}, {"left": 30, "right": 23}])
@pytest.mark.parametrize("sides", [(1, 1), (3, 3), (5, 3), (3, 5), (5, 5)])
def test_equals_the_reference(be, put, get, sides, edges):
    """In bits: the order of the sum is the same everywhere."""
    rng = np.random.default_rng(2)
    kernel = rng.normal(0, 0.01, sides).astype(np.float32)
    kernel[sides[0] // 2, sides[1] // 2] = 1
    data = rng.normal(10000, 3000, (2, 3, 37, 53)).astype(np.float32)
    data[0, 1, 5:7, 9], data[1, 2, 20, 0] = np.nan, np.inf
    expected = data.copy()
    reference.convolve_inplace(expected, kernel, **edges)
    np.testing.assert_array_equal(convolved(be, put, get, data, kernel, **edges), expected)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 2, 1, 71), (2, 1, 71, 2), (1, 0, 5, 5)])
def test_frames_smaller_than_the_kernel(be, put, get, shape):
    data = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    expected = data.copy()
    reference.convolve_inplace(expected, KERNEL)
    np.testing.assert_array_equal(convolved(be, put, get, data, KERNEL), expected)
