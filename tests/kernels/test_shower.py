"""Showers: the noise of differences, the ring's mean, what is accepted; awkward pixels; the three forms agree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from gpujw.cpu_fallback.reference import shower as reference
from gpujw.dq import CHARGELOSS, DO_NOT_USE, HOT, JUMP_DET, REFERENCE_PIXEL, SATURATED

SHAPE = 2, 7, 37, 53
RING = {"inner": 1.0, "outer": 3.6}


def made(shape=SHAPE, seed=1):
    """Ramps of a few electrons a group with noise, and flags of all kinds; one pixel has no gain."""
    rng = np.random.default_rng(seed)
    gain = rng.uniform(1, 2, shape[2:]).astype(np.float32)
    gain[3, 4] = np.nan
    readnoise = rng.uniform(2, 3, shape[2:]).astype(np.float32)
    data = np.cumsum(rng.normal(3, 2, shape), axis=1).astype(np.float32)
    groupdq = rng.choice(np.array([0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 128, 132], np.uint8), shape)
    groupdq[:, 0] |= DO_NOT_USE
    groupdq[:, :, 20, 30] = SATURATED
    data[1, 3, 9, 9] = np.nan
    data[0, 2, 11, 9] = np.inf
    pixeldq = rng.choice(np.array([0, 0, 0, 0, DO_NOT_USE, HOT, JUMP_DET], np.uint32), shape[2:])
    pixeldq[:, :2] = REFERENCE_PIXEL
    return data, groupdq, pixeldq, gain, readnoise


def quiet(shape=SHAPE):
    """The same without flags or noise: rising by 1 electron a group, median 1, sigma 1."""
    data = np.broadcast_to(np.arange(shape[1], dtype=np.float32).reshape(-1, 1, 1), shape).copy()
    one = np.ones(shape[2:], np.float32)
    return data, np.zeros(shape, np.uint8), np.zeros(shape[2:], np.uint32), one, one[np.newaxis], one[np.newaxis]


def test_a_group_is_unused_where_no_pixel_may_use_it(be, put):
    groupdq = np.full(SHAPE, DO_NOT_USE | JUMP_DET, np.uint8)
    groupdq[0, 2, -1, -1] = groupdq[1, 0, 0, 0] = groupdq[1, 3, 20, 7] = SATURATED
    unused = be.kernel("shower").unused_groups(put(groupdq))
    assert isinstance(unused, np.ndarray)
    assert np.argwhere(~unused).tolist() == [[0, 2], [1, 0], [1, 3]]


def test_noise_is_that_of_one_difference(be, put, get):
    data, groupdq, _, gain, _, _ = quiet()
    data[:, 4:] += 100
    readnoise = np.full_like(gain, 6.0)
    median, sigma = be.kernel("shower").noise(*map(put, (data, groupdq, gain, readnoise)), nframes=4)
    assert (get(median) == 1).all()
    np.testing.assert_array_equal(get(sigma), np.sqrt(np.float32(1 + 36 / 4)))


@pytest.mark.parametrize("flags", [0, 1, 2, 3, 4, 5, 6, 7, 128, 132])
def test_groups_that_do_not_count(be, put, get, flags):
    """The peer leaves out groups by their whole flags, not by a bit: saturated and jump together do count."""
    data, groupdq, _, gain, _, _ = quiet((1, 3, 37, 53))
    data[0, 2] = 9
    groupdq[0, 2] = flags
    median, _ = be.kernel("shower").noise(*map(put, (data, groupdq, gain, gain)), nframes=1)
    assert (get(median) == (1 if flags in (1, 2, 3, 4, 5) else 4.5)).all()


def test_clipping_leaves_outliers_out(be, put, get):
    rng = np.random.default_rng(3)
    data = np.zeros((40, 3, 5, 67), np.float32)
    data[:, 1] = rng.normal(10, 1, data[:, 1].shape)
    data[:, 2] = data[:, 1] + 4
    data[7, 1, 2, 3] = 1e5
    groupdq = np.zeros(data.shape, np.uint8)
    groupdq[5, 2, 1, 1] = JUMP_DET
    median, sigma = be.kernel("shower").clipped_noise(put(data), put(groupdq), put(np.ones((5, 67), np.float32)))
    kept = np.delete(data[:, 1, 2, 3].astype(float), 7)
    assert get(median)[0, 2, 3] == pytest.approx(np.median(kept), rel=1e-6)
    assert get(sigma)[0, 2, 3] == pytest.approx(kept.std(), rel=1e-6)
    assert get(median)[1] == pytest.approx(np.full((5, 67), 4), abs=1e-5)


def clipped(be, put, get, values):
    """Median and scatter of ``values``, one an integration."""
    data = np.zeros((len(values), 2, 1, 3), np.float32)
    data[:, 1] = np.reshape(values, (-1, 1, 1))
    arrays = put(data), put(np.zeros(data.shape, np.uint8)), put(np.ones((1, 3), np.float32))
    return [get(array)[0, 0, 1] for array in be.kernel("shower").clipped_noise(*arrays)]


def test_clipping_ends_after_five_passes(be, put, get):
    usual = np.tile([-1.0, 1.0, 0.0], 20)
    # Each pass takes away the largest: it alone is beyond 5 deviations, which are half of it.
    ladder = 10.0 ** np.arange(2, 9)
    _, sigma = clipped(be, put, get, [*usual, *ladder])
    assert sigma == pytest.approx(np.std([*usual, *ladder[:2]]), rel=1e-6)
    _, sigma = clipped(be, put, get, [*usual, *ladder[:5]])
    assert sigma == pytest.approx(np.std(usual), rel=1e-6)


def test_the_last_bounds_may_take_back_what_was_left_out(be, put, get):
    # With two lows the median is 0, and 2.9 beyond 5 deviations of 0.52; without, it is 0.5 and 2.9 within 5 of 0.5.
    values = [-3.5] * 2 + [0.0] * 500 + [1.0] * 500 + [2.9]
    median, sigma = clipped(be, put, get, values)
    assert median == 1.0
    assert sigma == pytest.approx(np.std(np.float32(values[2:]).astype(float)), rel=1e-6)


def smoothed(be, put, get, arrays, threshold, **ring):
    return get(be.kernel("shower").extended_emission(*map(put, arrays), **(ring or RING), threshold=threshold))


def test_a_point_becomes_the_ring(be, put, get):
    arrays = quiet()
    arrays[0][1, 3, 18, 26] += 36
    found = smoothed(be, put, get, arrays, 0.99)
    dy, dx = np.indices(SHAPE[2:]) - np.array([18, 26]).reshape(2, 1, 1)
    ring = (dy**2 + dx**2 >= 1) & (dy**2 + dx**2 <= 3.6**2)
    assert np.argwhere(found.any(axis=(2, 3))).tolist() == [[1, 2], [1, 3]]
    np.testing.assert_array_equal(found[1, 2], ring)
    # The ring has 36 pixels: each of them sees a mean ratio of 1.
    assert not smoothed(be, put, get, arrays, 1.0).any()


def test_the_mean_is_over_pixels_that_count(be, put, get):
    arrays = quiet()
    arrays[0][0, 3, 18, 26] += 18
    arrays[1][0, 3, 12:18] = SATURATED
    arrays[2][19:26] = DO_NOT_USE
    found = smoothed(be, put, get, arrays, 1.0)[0, 2]
    # Along the one row that is left the ring holds six pixels, and 18 / 6 is 3.
    assert np.argwhere(found).tolist() == [[18, x] for x in (23, 24, 25, 27, 28, 29)]


def test_beyond_the_frame_lie_zeros(be, put, get):
    arrays = quiet()
    arrays[0][0, 1:] += 2
    corner = smoothed(be, put, get, arrays, 1.0)[0, 0]
    count = ndimage.convolve(np.ones(SHAPE[2:]), ring_of(**RING), mode="constant")
    np.testing.assert_array_equal(corner, 2 * count / 36 > 1)
    assert not corner[0, 0]


def test_flagged_pixels_and_reference_pixels_are_not_found(be, put, get):
    arrays = quiet()
    arrays[0][0, 3] += 9
    arrays[1][0, 3, 5, 5] = JUMP_DET | CHARGELOSS
    arrays[2][7, 7], arrays[2][9, 9], arrays[2][11, 11] = REFERENCE_PIXEL, REFERENCE_PIXEL | HOT, HOT
    arrays[3][13, 13] = np.nan
    arrays[5][0, 15, 15] = 0
    found = smoothed(be, put, get, arrays, 0.5)[0, 2]
    assert [found[k, k] for k in (5, 7, 9, 11, 13, 15, 17)] == [0, 0, 1, 1, 0, 0, 1]


def ring_of(inner, outer):
    radius = int(outer)
    dy, dx = np.indices((2 * radius + 1,) * 2) - radius
    return (dy**2 + dx**2 >= inner**2) & (dy**2 + dx**2 <= outer**2)


def test_acceptance(be, put, get):
    data, _, pixeldq, gain, _, _ = quiet((1, 6, 37, 53))
    pixeldq[0, 7] = REFERENCE_PIXEL
    data[0, 3:, 1] += 8  # flagged, the mean falls from 13 / 5 to 1
    data[0, 3:, 2] += 9
    groupdq = np.zeros(data.shape, np.uint8)
    groupdq[0, :, 3] = DO_NOT_USE
    groupdq[0, 2:, 4] = JUMP_DET
    marks = np.zeros_like(groupdq)
    marks[0, 3, :5] = JUMP_DET
    marks[0, 1, 4] = JUMP_DET
    marks[0, 1:, 5] = JUMP_DET
    after = put(groupdq)
    be.kernel("shower").accept_inplace(after, put(marks), put(data), put(pixeldq), put(gain), limit=1.65)
    taken = (get(after) != groupdq).any(axis=1)[0]
    assert not taken[0, 7]
    taken[0, 7] = True
    # Small, just within, beyond the limit; no mean before; none after, twice.
    assert taken.all(axis=1)[:6].tolist() == [True, True, False, False, False, False]
    assert not taken[2:].any()
    np.testing.assert_array_equal(get(after)[0, :, :2, 8:], marks[0, :, :2, 8:])


def marked(seed):
    rng = np.random.default_rng(seed)
    marks = np.zeros(SHAPE, np.uint8)
    marks[0, 2:5, 3:9, 40:53] = JUMP_DET
    marks[1, 1:, 18:30, 20:40] = JUMP_DET
    return marks * (rng.random(SHAPE) < 0.7).astype(np.uint8)


@pytest.mark.parametrize("shape", [SHAPE, (1, 2, 1, 1), (3, 3, 1, 131), (1, 4, 71, 2)])
def test_equals_the_reference(be, put, get, shape):
    large = made((3, 7, 71, 131))
    data, groupdq = (array[: shape[0], : shape[1], : shape[2], : shape[3]] for array in large[:2])
    pixeldq, gain, readnoise = (array[: shape[2], : shape[3]] for array in large[2:])
    kernel = be.kernel("shower")
    noise = reference.noise(data, groupdq, gain, readnoise, nframes=2)
    found = kernel.noise(*map(put, (data, groupdq, gain, readnoise)), nframes=2)
    np.testing.assert_array_equal([get(array) for array in found], noise)
    for ring in ((1.0, 3.6), (0.0, 1.0), (2.0, 5.0), (0.5, 0.9), (0.2, 4.1)):
        settings = {"inner": ring[0], "outer": ring[1], "threshold": 0.95}
        found = kernel.extended_emission(*map(put, (data, groupdq, pixeldq, gain, *noise)), **settings)
        expected = reference.extended_emission(data, groupdq, pixeldq, gain, *noise, **settings)
        np.testing.assert_array_equal(get(found), expected)


def test_clipped_noise_equals_the_reference(be, put, get):
    data, groupdq, pixeldq, gain, _ = made((31, 4, 37, 53), seed=6)
    data[3, 2] += 1e4
    data[:, 1, 8, 8] = data[0, 1, 8, 8]
    expected = reference.clipped_noise(data, groupdq, gain)
    found = be.kernel("shower").clipped_noise(put(data), put(groupdq), put(gain))
    for one, other in zip(found, expected, strict=True):
        # Sums in another order: float64 rounding, and then that to float32.
        np.testing.assert_allclose(get(one), other, rtol=2e-7)
    settings = {**RING, "threshold": 0.9}
    smooth = be.kernel("shower").extended_emission(*map(put, (data, groupdq, pixeldq, gain, *expected)), **settings)
    np.testing.assert_array_equal(
        get(smooth), reference.extended_emission(data, groupdq, pixeldq, gain, *expected, **settings)
    )


@pytest.mark.parametrize("limit", [0.0, 0.5, 5.0])
def test_acceptance_equals_the_reference(be, put, get, limit):
    data, groupdq, pixeldq, gain, _ = made()
    found, expected = put(groupdq), groupdq.copy()
    be.kernel("shower").accept_inplace(found, *map(put, (marked(4), data, pixeldq, gain)), limit=limit)
    reference.accept_inplace(expected, marked(4), data, pixeldq, gain, limit=limit)
    np.testing.assert_array_equal(get(found), expected)
    assert (expected != groupdq).any()
