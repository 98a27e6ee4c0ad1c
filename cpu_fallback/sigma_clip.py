"""Cosmic-ray jumps by sigma clipping, where an exposure has integrations enough."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._difference import BAD, JUMP, NAN, count_jumps_inplace
from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import count_numbers, middle, sort_columns_inplace

#: How often a set is clipped at most.
ROUNDS = 5
#: Differences that are looked at together, within the second-level cache.
BATCH = 131072


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
    n = nint * per_set
    suspects, columns = np.empty((nx, n), np.float32), np.empty(nx, np.int64)
    for first in range(1, ngroup, per_set):
        found = _find_suspects(data, groupdq, gain, y, first, per_set, threshold, suspects, columns)
        ranked = suspects[:found].T.copy()
        sort_columns_inplace(ranked)
        for j in range(found):
            lower, upper = _bounds(ranked, j, threshold)
            for k in range(n):
                if suspects[j, k] < lower or suspects[j, k] > upper:
                    i, g = k // per_set, first + k % per_set
                    count += not groupdq[i, g, y, columns[j]] & JUMP
                    groupdq[i, g, y, columns[j]] |= JUMP
    return count


@helper
def _find_suspects(data, groupdq, gain, y, first, per_set, threshold, suspects, columns):
    """Copy the sets of row ``y`` that may lose a number, one a row of ``suspects``, and list their columns; how many."""
    nx, n = suspects.shape
    width = min(max(BATCH // max(n, 1), 64), 512)
    values, suspect = np.empty((n, width), np.float32), np.empty(width, np.bool_)
    found = 0
    for x0 in range(0, nx, width):
        size = min(width, nx - x0)
        for k in range(n):
            i, g = k // per_set, first + k % per_set
            _difference_row(
                data[i, g - 1, y, x0 : x0 + size],
                data[i, g, y, x0 : x0 + size],
                groupdq[i, g - 1, y, x0 : x0 + size],
                groupdq[i, g, y, x0 : x0 + size],
                gain[x0 : x0 + size],
                values[k],
            )
        _suspect(values, size, threshold, suspect)
        for x in range(size):
            if suspect[x]:
                columns[found] = x0 + x
                for k in range(n):
                    suspects[found, k] = values[k, x]
                found += 1
    return found


@helper
def _difference_row(before, after, flags_before, flags_after, gain, row):
    """Finite differences in electrons of some pixels, NaN of others."""
    for x in range(gain.size):
        value = after[x] * gain[x] - before[x] * gain[x]
        finite = abs(value) < np.inf
        row[x] = value if finite and not (flags_before[x] | flags_after[x]) & BAD else NAN


@helper
def _suspect(values, size, threshold, suspect):
    """Which of the first ``size`` sets, columns of ``values``, may lose a number: found without sorting them.

    None is lost where all lie within ``threshold`` less a little, in standard deviations from the mean, and the median
    within that little: three times its own error in normal deviates.
    """
    n = values.shape[0]
    little = 3 / np.sqrt(max(n, 1))
    number, mean, square = np.zeros(size, np.int32), np.zeros(size), np.zeros(size)
    below, above, far = np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(size, np.int32)
    for k in range(n):
        row = values[k]
        for x in range(size):
            number[x] += row[x] == row[x]
            mean[x] += row[x]
    for x in range(size):
        mean[x] /= n
    for k in range(n):
        row = values[k]
        for x in range(size):
            square[x] += (row[x] - mean[x]) * (row[x] - mean[x])
    for x in range(size):
        square[x] = np.sqrt(square[x] / n)
    for k in range(n):
        row = values[k]
        for x in range(size):
            off, near, limit = row[x] - mean[x], little * square[x], 0.999 * (threshold - little) * square[x]
            below[x] += off < -near
            above[x] += off > near
            far[x] += not abs(off) <= limit
    half = (n - 1) // 2
    for x in range(size):
        suspect[x] = number[x] and (number[x] < n or far[x] or below[x] > half or above[x] > half)


@helper
def _bounds(values, x, threshold):
    """The bounds of the last round for the sorted column ``x``."""
    first, last = 0, count_numbers(values, x)
    lower, upper = -np.inf, np.inf
    for _ in range(ROUNDS):
        left = last - first
        mean, square = 0.0, 0.0
        for k in range(first, last):
            mean += values[k, x]
        mean /= left
        for k in range(first, last):
            square += (values[k, x] - mean) * (values[k, x] - mean)
        median, reach = middle(values, x, first, last), threshold * np.sqrt(square / left)
        lower, upper = median - reach, median + reach
        while last > first and values[last - 1, x] > upper:
            last -= 1
        while last > first and values[first, x] < lower:
            first += 1
        if last - first in (0, left):
            break
    return lower, upper
