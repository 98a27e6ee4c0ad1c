"""NIRSpec's IRS2 frames: their samples in the order of time, and the correction taken off them."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import launch


def sample_means(data, sources):
    """Mean over the groups of an integration of every sample of a frame, bad reference samples replaced.

    ``data[ngroup, nrow, nx]`` DN float32; ``sources[nrow, 2]`` int32, the two rows whose mean stands for each row, the
    row itself twice where it is good, -1 for zero. Returns ``means[nrow, nx]`` float64.
    """
    means = cp.empty(data.shape[1:])
    sizes = [np.int64(size) for size in (means.size, data.shape[0], data.shape[2])]
    launch("irs2", "sample_means", means.size, data, sources, means, *sizes)
    return means


def lay_out_inplace(frame, means, sources, lines, series, *, reverse):
    """Samples of one frame less their mean over the groups and a line in time, in the order in which they were read.

    ``frame[nrow, nx]`` DN, ``means`` and ``sources`` as for ``sample_means``; ``lines[5, 2]`` float32, of each output
    the level in the middle of the frame and the slope per tick; samples that equal their mean are missing and stay
    zero. ``series[5, nx, ntick]`` float32, zero before: ``series[0]`` takes the reference output, sample by sample, the
    others the samples that their amplifier took at its references, each twice, so that a step of 4 fills 8 ticks about
    its middle, first those of its first two reads. ``reverse``: lines and columns run backwards.
    """
    sizes = [np.int64(size) for size in (*frame.shape, series.shape[2], reverse)]
    launch("irs2", "lay_out", _threads(frame.shape), frame, means, sources, lines, series, *sizes)


def fill_gaps(series, window):
    """Samples that are missing, 0, interpolated: weighted means of those about them.

    ``series[nsample]`` float32, its ends joined; ``window[nwindow]`` float32 weights, an odd number. Returns
    ``filled[nsample]``; zero where all samples under the window are missing. Sums in float64.
    """
    filled = cp.empty_like(series)
    sizes = np.int64(series.size), np.int64(window.size)
    launch("irs2", "fill_gaps", series.size, series, window, filled, *sizes)
    return filled


def subtract(frame, means, sources, lines, series, target, out, *, reverse):
    """One frame less its lines and the correction of each amplifier, row by row of what is kept.

    ``frame``, ``means``, ``sources`` and ``lines`` as for ``lay_out_inplace``; ``series[5, nx, ntick]`` float32, the
    corrections of the amplifiers, and in ``series[0]`` what the reference output itself is to become; ``target[nrow]``
    int32, the row of ``out[nout, nx]`` float32 that each row becomes, -1 for none. Pixels and the reference output are
    given back their means; the amplifiers' reference samples are not.
    """
    sizes = [np.int64(size) for size in (*frame.shape, series.shape[2], reverse)]
    arrays = (frame, means, sources, lines, series, target, out)
    launch("irs2", "subtract", _threads(frame.shape), *arrays, *sizes)


def _threads(shape):
    # Tiles of 8 rows by 32 columns, one a block: what is turned comes and goes in whole sectors of memory.
    return -(-shape[0] // 8) * -(-shape[1] // 32) * 256
