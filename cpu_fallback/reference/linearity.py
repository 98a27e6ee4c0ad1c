"""Per-pixel linearity polynomials, of groups or of the reads that were averaged into them."""

from __future__ import annotations

import numpy as np

from gpujw.dq import SATURATED


def linearize_inplace(data, groupdq, coeffs):
    """Replace counts by a polynomial in the counts, pixel by pixel; saturated groups stay as they are.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape, ``coeffs[ny, ncoeff, nx]`` from the constant term
    up. Float32 Horner.
    """
    data[:] = np.where(groupdq & SATURATED, data, _polynomial(coeffs, data))


def linearize_reads_inplace(data, groupdq, coeffs, inverse, *, nframe):
    """Correct the ``nframe`` reads that were averaged into each group, and average them anew, in float64.

    The rate between the first and the last good group predicts the reads; ``inverse[ny, ninverse, nx]`` takes them back
    to measured counts, where they are shifted to average to the measured group. Reads are counted as if no frames were
    dropped between groups. Other arguments as in ``linearize_inplace``; saturated groups stay as they are.
    """
    ngroup = data.shape[1]
    good = ((groupdq & SATURATED) == 0).sum(axis=1)
    last = np.minimum(np.maximum(good - 1, 2) - 1, ngroup - 1)[:, None]
    ends = data[:, :1].copy(), np.take_along_axis(data, last, axis=1)
    linearize_inplace(ends[0], groupdq[:, :1], coeffs)
    linearize_inplace(ends[1], np.take_along_axis(groupdq, last, axis=1), coeffs)
    first = ends[0][:, 0].astype(np.float64)
    rate = ((ends[1] - ends[0]) / np.maximum(last * float(nframe), 1))[:, 0]
    for g in range(ngroup):
        times = g * nframe + np.arange(nframe) - (nframe - 1) / 2
        reads = [_polynomial(inverse, first + rate * t) for t in times]
        shift = data[:, g] - sum(reads) / nframe
        corrected = sum(_polynomial(coeffs, read + shift) for read in reads) / nframe
        data[:, g] = np.where(groupdq[:, g] & SATURATED, data[:, g], corrected)


def _polynomial(coeffs, f):
    value = coeffs[:, -1]
    for k in range(coeffs.shape[1] - 2, -1, -1):
        value = value * f + coeffs[:, k]
    return value
