"""Cosmic-ray jumps by sigma clipping, where an exposure has integrations enough."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._difference import BAD, JUMP, NAN, count_jumps_inplace, difference_to
from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import count_numbers, middle, sort_columns_inplace

#: How often a set is clipped at most.
ROUNDS = 5
#: Differences that are looked at together, within the second-level cache.
BATCH = 65536


def flag_clipped_inplace(data, groupdq, gain, *, threshold, by_group):
    """Flag the groups that end a difference which sigma clipping rejects; how many groups of each row have the flag.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape; ``gain[ny, nx]`` e-/DN. ``by_group`` compares
    each difference with the same one of the other integrations; otherwise all differences of a pixel are one set.
    Those from or to a group that is saturated or not to be used are left out. What lies more than ``threshold``
    standard deviations from the median is clipped, up to five times, and judged by the last bounds. A jump flag on an
    unusable group is counted, and taken away.
    """
    count = np.zeros(data.shape[2], np.int64)
    _flag_clipped(data, groupdq, gain, float(threshold), by_group, count)
    return count


@kernel
def _flag_clipped(data, groupdq, gain, threshold, by_group, count):
    for y in prange(data.shape[2]):
        count[y] = _clip_row(data, groupdq, gain[y], y, threshold, by_group)


@helper
def _clip_row(data, groupdq, gain, y, threshold, by_group):
    """Flag the clipped groups of row ``y``; how many jumps it then has."""
    nint, ngroup, _, nx = data.shape
    count = count_jumps_inplace(groupdq, y)
    per_set = 1 if by_group else max(ngroup - 1, 1)
    width = min(max(BATCH // max(nint * per_set, 1), 64), 512)
    values = np.empty((nint * per_set, width), np.float32)
    lower, upper = np.empty(width, np.float64), np.empty(width, np.float64)
    for first in range(1, ngroup, per_set):
        for x0 in range(0, nx, width):
            size = min(width, nx - x0)
            for i in range(nint):
                for g in range(first, first + per_set):
                    _difference_row(
                        data[i, g - 1, y, x0 : x0 + size],
                        data[i, g, y, x0 : x0 + size],
                        groupdq[i, g - 1, y, x0 : x0 + size],
                        groupdq[i, g, y, x0 : x0 + size],
                        gain[x0 : x0 + size],
                        values[i * per_set + g - first],
                    )
            sort_columns_inplace(values)
            _first_bounds(values, threshold, lower, upper)
            for x in range(size):
                n = count_numbers(values, x)
                if n > 0 and (values[0, x] < lower[x] or values[n - 1, x] > upper[x]):
                    low, high = _last_bounds(values, x, n, lower[x], upper[x], threshold)
                    for g in range(first, first + per_set):
                        count += _flag_outside(data, groupdq, gain[x0 + x], g, y, x0 + x, low, high)
    return count


@helper
def _difference_row(before, after, flags_before, flags_after, gain, row):
    """Finite differences in electrons of some pixels into the head of ``row``, all else NaN."""
    for x in range(gain.size):
        value = after[x] * gain[x] - before[x] * gain[x]
        row[x] = NAN if (flags_before[x] | flags_after[x]) & BAD or not abs(value) < np.inf else value
    row[gain.size :] = NAN


@helper
def _first_bounds(values, threshold, lower, upper):
    """What sets, the sorted columns of ``values``, are held against in the first round."""
    n, width = values.shape
    number, mean, square = np.zeros(width), np.zeros(width), np.zeros(width)
    for k in range(n):
        row = values[k]
        for x in range(width):
            number[x] += 0.0 if np.isnan(row[x]) else 1.0
            mean[x] += 0.0 if np.isnan(row[x]) else np.float64(row[x])
    for x in range(width):
        mean[x] /= number[x]
    for k in range(n):
        row = values[k]
        for x in range(width):
            off = np.float64(row[x]) - mean[x]
            square[x] += 0.0 if np.isnan(row[x]) else off * off
    for x in range(width):
        median = middle(values, x, 0, np.int64(number[x]))
        reach = threshold * np.sqrt(square[x] / number[x])
        lower[x], upper[x] = median - reach, median + reach


@helper
def _last_bounds(values, x, n, lower, upper, threshold):
    """The bounds of the last round for the sorted column ``x`` of ``n`` numbers, from those of the first."""
    first, last = 0, n
    for _ in range(1, ROUNDS):
        left = last - first
        while last > first and values[last - 1, x] > upper:
            last -= 1
        while last > first and values[first, x] < lower:
            first += 1
        if last - first in (0, left):
            break
        median, reach = middle(values, x, first, last), threshold * _deviation(values, x, first, last)
        lower, upper = median - reach, median + reach
    return lower, upper


@helper
def _deviation(values, x, first, last):
    """Standard deviation, with no degree of freedom taken off, of rows ``first`` to ``last`` (not included)."""
    mean, square = 0.0, 0.0
    for k in range(first, last):
        mean += values[k, x]
    mean /= last - first
    for k in range(first, last):
        square += (values[k, x] - mean) * (values[k, x] - mean)
    return np.sqrt(square / (last - first))


@helper
def _flag_outside(data, groupdq, gain, g, y, x, lower, upper):
    """Flag a pixel's group ``g`` in the integrations where its difference is out of bounds; how many are new."""
    count = 0
    for i in range(data.shape[0]):
        value = difference_to(data, groupdq, gain, i, g, y, x)
        if np.isfinite(value) and (value < lower or value > upper) and not groupdq[i, g, y, x] & JUMP:
            groupdq[i, g, y, x] |= JUMP
            count += 1
    return count
