import numpy as np
import pytest
from scipy.stats import sigmaclip

from gpujw.cpu_fallback.reference import refpix as reference

# Float64 sums of up to a few hundred samples, added in different orders.
SUM = 1e-13


@pytest.fixture
def kernel(be):
    return be.kernel("refpix")


def segments(lengths, rng):
    """Disjoint segments of these lengths, scattered among the samples; one sample in three belongs to none."""
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return rng.permutation(starts[-1] * 3 // 2)[: starts[-1]], starts


def samples(rng, nframe, nsample):
    values = rng.normal(1000, 8, (nframe, nsample))
    values[:, ::17] += 300
    return values.astype(np.float32)


def test_clipped_means_are_those_of_scipy(kernel, put, get):
    rng = np.random.default_rng(1)
    order, starts = segments([401, 37, 5, 300], rng)
    values = samples(rng, 3, order.size * 3 // 2)
    means = get(kernel.clipped_means(put(values), put(order), put(starts), siglimit=3.0))
    assert means.shape == (3, 4)
    for frame in range(3):
        for segment in range(4):
            sample = values[frame, order[starts[segment] : starts[segment + 1]]].astype(np.float64)
            clipped = sigmaclip(sample, 3.0, 3.0).clipped
            np.testing.assert_allclose(means[frame, segment], clipped.mean(), rtol=SUM)
    assert np.all(np.abs(means - 1000) < 20)


@pytest.mark.parametrize("siglimit", [0.5, 2.0, 3.0, 1e9])
def test_clipped_means_on_awkward_samples(kernel, put, get, siglimit):
    rng = np.random.default_rng(2)
    order, starts = segments([257, 0, 1, 2, 71], rng)
    values = samples(rng, 5, order.size * 3 // 2)
    values[1, order[::3]] = np.nan
    values[2, order[::5]] = np.inf
    values[2, order[1::5]] = -np.inf
    values[3] = 12.25
    values[4, order[starts[3] : starts[4]]] = np.nan
    arguments = put(values), put(order), put(starts)
    means = get(kernel.clipped_means(*arguments, siglimit=siglimit))
    expected = reference.clipped_means(values, order, starts, siglimit=siglimit)
    np.testing.assert_allclose(means, expected, rtol=SUM)
    assert np.isnan(means[:, 1]).all() and np.isnan(means[4, 3])
    np.testing.assert_array_equal(means[3, [0, 2, 3, 4]], 12.25)
    # Two samples lie one deviation from their mean each: a narrower bound leaves nothing.
    assert np.isnan(means[0, 3]) == (siglimit < 1)


def test_bounds_are_inclusive(kernel, put, get):
    values = np.array([[0, 0, 0, 4, 4, 4]], np.float32)  # mean 2, deviation 2
    order, starts = np.arange(6), np.array([0, 6])
    means = get(kernel.clipped_means(put(values), put(order), put(starts), siglimit=1.0))
    np.testing.assert_array_equal(means, [[2]])


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_clipped_does_not_come_back(kernel, put, get, sign):
    # The first bounds leave 0 out, the second would take it in again.
    values = sign * np.array([[0, 1, 4, 36, 81, 121, 121]], np.float32)
    order, starts = np.arange(7), np.array([0, 7])
    means = get(kernel.clipped_means(put(values), put(order), put(starts), siglimit=1.0))
    np.testing.assert_array_equal(means, [[sign * 2.5]])


@pytest.mark.parametrize(("first", "window"), [(0, 11), (0, 1), (3, 11), (63, 11), (20, 5), (0, 199), (40, 121)])
def test_running_medians(kernel, put, get, first, window):
    rng = np.random.default_rng(3)
    values = rng.normal(0, 5, (3, 37, 4)).round(1)  # with ties
    values[0, ::7, 1] = np.nan
    values[1, 3:25] = np.nan
    values[2, 3:6] = np.inf
    values[2, 30] = -np.inf
    good = (rng.random((37, 4)) > 0.3).astype(np.uint8)
    good[:, 2] = 0
    good[8:23] = 0
    where = {"window": window, "first": first, "length": 100}
    medians = get(kernel.running_medians(put(values), put(good), **where))
    np.testing.assert_array_equal(medians, reference.running_medians(values, good, **where))
    assert np.isnan(medians).any() == (window < 20)


def test_running_medians_are_medians(kernel, put, get):
    values = np.arange(20.0).reshape(1, 10, 2) ** 2
    every = np.ones((10, 2), np.uint8)
    medians = get(kernel.running_medians(put(values), put(every), window=3, first=0, length=10))
    assert medians[0, 4] == np.median(values[0, 3:6])
    assert medians[0, 0] == np.median(values[0, [1, 0, 1]])
    assert medians[0, 9] == np.median(values[0, [8, 9, 8]])
    # A subarray away from the detector's ends sees no mirror.
    away = get(kernel.running_medians(put(values), put(every), window=3, first=30, length=100))
    assert away[0, 0] == np.median(values[0, [0, 1]])


@pytest.mark.parametrize("keep_zeros", [False, True])
@pytest.mark.parametrize(("nparity", "row_start"), [(1, 0), (1, 13), (2, 0), (2, 13)])
def test_subtract(kernel, put, get, nparity, row_start, keep_zeros):
    rng = np.random.default_rng(4)
    counts = rng.normal(100, 60, (2, 7, 37, 53)).astype(np.float32)
    counts[..., ::5] = 0
    counts[0, 0, 0, 1] = np.nan
    columns, rows = rng.normal(30, 9, (2, 7, nparity, 53)), rng.normal(0, 9, (2, 7, 59))
    data = put(counts)
    kernel.subtract_inplace(data, put(columns), put(rows), row_start=row_start, keep_zeros=keep_zeros)
    expected = np.empty_like(counts)
    for y in range(37):
        level = columns[:, :, (row_start + y) % nparity], rows[:, :, row_start + y, None]
        expected[:, :, y] = (counts[:, :, y].astype(np.float64) - level[0]) - level[1]
    if keep_zeros:
        expected[counts == 0] = 0
    np.testing.assert_array_equal(get(data), expected)
