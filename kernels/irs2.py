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
    zero. ``series[5, radix, nx, nstep]`` float32, zero before: tick ``t`` of line ``y`` lies at ``[t % radix, y,
    t // radix]``. ``series[0]`` takes the reference output, sample by sample, the others the samples that their
    amplifier took at its references, each twice, so that a step of 4 fills 8 ticks about its middle. ``reverse``: rows
    and columns run backwards in time.
    """
    n, sizes = _sizes(frame, series, reverse)
    launch("irs2", "lay_out", int(n), frame, means, sources, lines, series, *sizes)


def fill_gaps(series, window):
    """Samples that are missing, 0, interpolated: weighted means of those about them.

    ``series[radix, nrow]`` float32, sample ``i`` at ``[i % radix, i // radix]``, its ends joined; ``window[nwindow]``
    float32 weights, an odd number. Returns ``filled`` of the same shape; zero where all samples under the window are
    missing. Sums in float64.
    """
    filled = cp.empty_like(series)
    sizes = [np.int64(size) for size in (*series.shape, window.size)]
    launch("irs2", "fill_gaps", series.size, series, window, filled, *sizes)
    return filled


def subtract(frame, means, sources, lines, series, target, out, *, reverse):
    """One frame less its lines and the correction of each amplifier, row by row of what is kept.

    ``frame``, ``means``, ``sources`` and ``lines`` as for ``lay_out_inplace``; ``series``, laid out alike, the corrections
    of the amplifiers, and in ``series[0]`` what the reference output itself is to become; ``target[nrow]`` int32, the
    row of ``out[nout, nx]`` float32 that each row becomes, -1 for none. Pixels and the reference output are given back
    their means; the amplifiers' reference samples are not.
    """
    n, sizes = _sizes(frame, series, reverse)
    launch("irs2", "subtract", int(n), frame, means, sources, lines, series, target, out, *sizes)


def _sizes(frame, series, reverse):
    # Threads in tiles of 32 columns by all steps of a row of the series: what is turned goes in whole sectors of memory.
    _, radix, nx, nstep = series.shape
    n = 5 * radix * nstep * -(-nx // 32) * 32
    return n, [np.int64(size) for size in (n, *frame.shape, radix, nstep, reverse)]
