"""Reference pixels: their clipped means, their running medians, and taking both off the data."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import THREADS, launch


def clipped_means(values, order, starts, *, siglimit):
    """Mean of each segment of each frame's samples, clipped at ``siglimit`` sigma until nothing more is clipped.

    ``values[nframe, nsample]`` DN float32; segment ``c`` holds the samples ``order[starts[c] : starts[c + 1]]`` (both
    int64), of which those not finite are left out. Returns ``means[nframe, nsegment]`` float64, NaN where no sample is
    left. Bounds are inclusive and the deviation is the samples' own, as in scipy.stats.sigmaclip; float64.
    """
    nframe, nsample = values.shape
    means = cp.empty((nframe, starts.size - 1))
    sizes = np.int64(starts.size - 1), np.int64(nsample)
    # One block a mean.
    launch("refpix", "clipped_means", means.size * THREADS, values, order, starts, means, *sizes, np.float64(siglimit))
    return means


def running_medians(values, good, *, window, first, length):
    """Median of the good values of ``window`` rows (odd) about each row.

    ``values[nframe, nrow, nvalue]`` float64, of which those with ``good[nrow, nvalue]`` (uint8) count where finite. The
    rows are ``first`` to ``first + nrow`` of a detector of ``length`` rows; beyond its ends it is mirrored about its
    first and last row, ``window <= 2 length - 1``. Returns ``medians[nframe, nrow]``, NaN where no value is good.
    """
    medians = cp.empty(values.shape[:2])
    sizes = [np.int64(size) for size in (*values.shape, window // 2, first, length)]
    launch("refpix", "running_medians", medians.size, values, good, medians, *sizes)
    return medians


def subtract_inplace(data, columns, rows, *, row_start, keep_zeros):
    """Subtract a level for each column and one for each row from every frame of a block of rows.

    ``data[nint, ngroup, ny, nx]`` float32; ``columns[nint, ngroup, nparity, nx]`` float64, one line of levels for each
    row of the exposure modulo ``nparity``; ``rows[nint, ngroup, nrow]`` float64 for all rows of the exposure, of which
    the block's are ``row_start`` onwards. Float64, rounded once. With ``keep_zeros`` data that are exactly 0 stay 0.
    """
    ny, nx = data.shape[2:]
    sizes = [np.int64(size) for size in (data.size, ny, nx, columns.shape[2], rows.shape[2], row_start)]
    launch("refpix", "subtract", data.size, data, columns, rows, *sizes, np.int64(keep_zeros))
