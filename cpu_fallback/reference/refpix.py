"""Reference pixels: their clipped means, their running medians, and taking both off the data."""

from __future__ import annotations

import warnings

import numpy as np


def clipped_means(values, order, starts, *, siglimit):
    """Mean of each segment of each frame's samples, clipped at ``siglimit`` sigma until nothing more is clipped.

    ``values[nframe, nsample]`` DN float32; segment ``c`` holds the samples ``order[starts[c] : starts[c + 1]]`` (both
    int64), of which those not finite are left out. Returns ``means[nframe, nsegment]`` float64, NaN where no sample is
    left. Bounds are inclusive and the deviation is the samples' own, as in scipy.stats.sigmaclip; float64.
    """
    means = np.empty((values.shape[0], starts.size - 1))
    for frame in range(values.shape[0]):
        for segment in range(starts.size - 1):
            sample = values[frame, order[starts[segment] : starts[segment + 1]]].astype(np.float64)
            means[frame, segment] = _clipped_mean(sample[np.isfinite(sample)], siglimit)
    return means


def running_medians(values, good, *, window, first, length):
    """Median of the good values of ``window`` rows (odd) about each row.

    ``values[nframe, nrow, nvalue]`` float64, of which those with ``good[nrow, nvalue]`` (uint8) count where finite. The
    rows are ``first`` to ``first + nrow`` of a detector of ``length`` rows; beyond its ends it is mirrored about its
    first and last row, ``window <= 2 length - 1``. Returns ``medians[nframe, nrow]``, NaN where no value is good.
    """
    nframe, nrow, nvalue = values.shape
    half = window // 2
    full = np.full((nframe, length, nvalue), np.nan)
    full[:, first : first + nrow] = np.where(good & np.isfinite(values), values, np.nan)
    mirrored = np.pad(full, ((0, 0), (half, half), (0, 0)), mode="reflect")[:, first : first + nrow + 2 * half]
    windows = np.lib.stride_tricks.sliding_window_view(mirrored, window, axis=1)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return np.nanmedian(windows, axis=(2, 3))


def subtract_inplace(data, columns, rows, *, row_start, keep_zeros):
    """Subtract a level for each column and one for each row from every frame of a block of rows.

    ``data[nint, ngroup, ny, nx]`` float32; ``columns[nint, ngroup, nparity, nx]`` float64, one line of levels for each
    row of the exposure modulo ``nparity``; ``rows[nint, ngroup, nrow]`` float64 for all rows of the exposure, of which
    the block's are ``row_start`` onwards. Float64, rounded once. With ``keep_zeros`` data that are exactly 0 stay 0.
    """
    y = row_start + np.arange(data.shape[2])
    value = data - columns[:, :, y % columns.shape[2]] - rows[:, :, y, None]
    data[:] = np.where(keep_zeros & (data == 0), 0, value)


def _clipped_mean(sample, siglimit):
    while sample.size:
        mean, reach = sample.mean(), siglimit * sample.std()
        inside = (mean - reach <= sample) & (sample <= mean + reach)
        if inside.all():
            return mean
        sample = sample[inside]
    return np.nan
