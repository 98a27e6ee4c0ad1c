"""Per-pixel linearity polynomials, of groups or of the reads that were averaged into them."""

from __future__ import annotations

import numpy as np

from gpujw.kernels._load import launch


def linearize_inplace(data, groupdq, coeffs):
    """Replace counts by a polynomial in the counts, pixel by pixel; saturated groups stay as they are.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape, ``coeffs[ny, ncoeff, nx]`` from the constant term
    up. Float32 Horner.
    """
    nint, ngroup, ny, nx = data.shape
    n = nint * ny * nx
    sizes = [np.int64(size) for size in (n, ngroup, ny, nx, coeffs.shape[1])]
    launch("linearity", "linearize", n, data, groupdq, coeffs, *sizes)


def linearize_reads_inplace(data, groupdq, coeffs, inverse, *, nframe):
    """Correct the ``nframe`` reads that were averaged into each group, and average them anew, in float64.

    The rate between the first and the last good group predicts the reads; ``inverse[ny, ninverse, nx]`` takes them back
    to measured counts, where they are shifted to average to the measured group. Reads are counted as if no frames were
    dropped between groups. Other arguments as in ``linearize_inplace``; saturated groups stay as they are.
    """
    nint, ngroup, ny, nx = data.shape
    n = nint * ny * nx
    sizes = [np.int64(size) for size in (n, ngroup, ny, nx, coeffs.shape[1], inverse.shape[1], nframe)]
    launch("linearity", "linearize_reads", n, data, groupdq, coeffs, inverse, *sizes)
