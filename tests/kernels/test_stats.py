"""The order statistics that the CPU twins share."""

import numpy as np
import pytest

from gpujw.cpu_fallback._stats import count_numbers, middle, sort_columns_inplace


def columns(n, width, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 100, (n, width)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = 7  # ties
    odd = rng.random(values.shape) < 0.1
    values[odd] = rng.choice(np.array([np.nan, -np.nan, np.inf, -np.inf, 0, -0.0, 1e-45], np.float32), odd.sum())
    return values


@pytest.mark.parametrize("width", [0, 1, 37, 613])
@pytest.mark.parametrize("n", [*range(1, 35), 100, 257])
def test_columns_are_sorted_and_nan_come_last(n, width):
    values = columns(n, width)
    found = values.copy()
    sort_columns_inplace(found)
    np.testing.assert_array_equal(found, np.sort(values, axis=0))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8])
def test_the_middle_is_the_median_of_those_that_are_numbers(n):
    values = columns(n, 53, seed=n)
    ranked = np.sort(values, axis=0)
    for x in range(53):
        numbers = values[~np.isnan(values[:, x]), x].astype(np.float64)
        assert count_numbers(ranked, x) == numbers.size
        expected = np.median(numbers) if numbers.size else np.nan
        np.testing.assert_array_equal(middle(ranked, x, 0, numbers.size), expected)
