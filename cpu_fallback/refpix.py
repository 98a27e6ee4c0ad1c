"""Reference pixels: their clipped means, their running medians, and taking both off the data."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange

FINITE = float(np.finfo(np.float32).max)


def clipped_means(values, order, starts, *, siglimit):
    """Mean of each segment of each frame's samples, clipped at ``siglimit`` sigma until nothing more is clipped.

    ``values[nframe, nsample]`` DN float32; segment ``c`` holds the samples ``order[starts[c] : starts[c + 1]]`` (both
    int64), of which those not finite are left out. Returns ``means[nframe, nsegment]`` float64, NaN where no sample is
    left. Bounds are inclusive and the deviation is the samples' own, as in scipy.stats.sigmaclip; float64.
    """
    means = np.empty((values.shape[0], starts.size - 1))
    _clipped_means(values, order, starts, siglimit, means)
    return means


def running_medians(values, good, *, window, first, length):
    """Median of the good values of ``window`` rows (odd) about each row.

    ``values[nframe, nrow, nvalue]`` float64, of which those with ``good[nrow, nvalue]`` (uint8) count where finite. The
    rows are ``first`` to ``first + nrow`` of a detector of ``length`` rows; beyond its ends it is mirrored about its
    first and last row, ``window <= 2 length - 1``. Returns ``medians[nframe, nrow]``, NaN where no value is good.
    """
    medians = np.empty(values.shape[:2])
    _running_medians(values, good, window // 2, first, length, medians)
    return medians


def subtract_inplace(data, columns, rows, *, row_start, keep_zeros):
    """Subtract a level for each column and one for each row from every frame of a block of rows.

    ``data[nint, ngroup, ny, nx]`` float32; ``columns[nint, ngroup, nparity, nx]`` float64, one line of levels for each
    row of the exposure modulo ``nparity``; ``rows[nint, ngroup, nrow]`` float64 for all rows of the exposure, of which
    the block's are ``row_start`` onwards. Float64, rounded once. With ``keep_zeros`` data that are exactly 0 stay 0.
    """
    _subtract(data, columns, rows, row_start, keep_zeros)


@kernel
def _clipped_means(values, order, starts, siglimit, means):
    nframe, nsegment = means.shape
    for i in prange(nframe * nsegment):
        frame = i // nsegment
        segment = i % nsegment
        sample = values[frame][order[starts[segment] : starts[segment + 1]]]
        low = -FINITE
        high = FINITE
        before = -1
        n, mean = _mean(sample, low, high)
        while n != before:
            std = np.sqrt(_variance(sample, low, high, mean, n))
            low = max(low, mean - siglimit * std)
            high = min(high, mean + siglimit * std)
            before = n
            n, mean = _mean(sample, low, high)
        means[frame, segment] = mean


@helper
def _mean(sample, low, high):
    n = 0
    total = 0.0
    for value in sample:
        inside = low <= value <= high
        n += inside
        total += value if inside else 0.0
    return n, total / n


@helper
def _variance(sample, low, high, mean, n):
    total = 0.0
    for value in sample:
        total += (value - mean) ** 2 if low <= value <= high else 0.0
    return total / n


@kernel
def _running_medians(values, good, half, first, length, medians):
    nframe, nrow, nvalue = values.shape
    for frame in prange(nframe):
        # The window's values in order, between sentinels: each enters and leaves in a pass that vectorises.
        ordered = np.full((2 * half + 1) * nvalue + 2, np.inf)
        ordered[0] = -np.inf
        n = 0
        for y in range(-2 * half, nrow):
            enters = _mirrored(first + y + half, length) - first
            for k in range(nvalue):
                if 0 <= enters < nrow and good[enters, k] and np.isfinite(values[frame, enters, k]):
                    _enter(ordered, values[frame, enters, k])
                    n += 1
            if y < 0:
                continue
            medians[frame, y] = 0.5 * (ordered[1 + (n - 1) // 2] + ordered[1 + n // 2]) if n else np.nan
            leaves = _mirrored(first + y - half, length) - first
            for k in range(nvalue):
                if 0 <= leaves < nrow and good[leaves, k] and np.isfinite(values[frame, leaves, k]):
                    _leave(ordered, values[frame, leaves, k])
                    n -= 1


@helper
def _mirrored(y, length):
    y = abs(y)
    return min(y, 2 * (length - 1) - y)


@helper
def _enter(ordered, value):
    for j in range(ordered.size - 1, 0, -1):
        at = value if ordered[j] > value else ordered[j]
        ordered[j] = ordered[j - 1] if ordered[j - 1] > value else at


@helper
def _leave(ordered, value):
    for j in range(ordered.size - 1):
        ordered[j] = ordered[j] if ordered[j] < value else ordered[j + 1]


@kernel
def _subtract(data, columns, rows, row_start, keep_zeros):
    nint, ngroup, ny, nx = data.shape
    nparity = columns.shape[2]
    for y in prange(ny):
        for i in range(nint):
            for g in range(ngroup):
                line = data[i, g, y]
                column = columns[i, g, (row_start + y) % nparity]
                row = rows[i, g, row_start + y]
                for x in range(nx):
                    value = np.float32(line[x] - column[x] - row)
                    line[x] = np.float32(0) if keep_zeros and line[x] == 0 else value
