"""Per-pixel linearity polynomials, of groups or of the reads that were averaged into them."""

from __future__ import annotations

from functools import cache

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.dq import SATURATED


def linearize_inplace(data, groupdq, coeffs):
    """Replace counts by a polynomial in the counts, pixel by pixel; saturated groups stay as they are.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape, ``coeffs[ny, ncoeff, nx]`` from the constant term
    up. Float32 Horner.
    """
    _linearize(coeffs.shape[1])(data, groupdq, coeffs)


def linearize_reads_inplace(data, groupdq, coeffs, inverse, *, nframe):
    """Correct the ``nframe`` reads that were averaged into each group, and average them anew, in float64.

    The rate between the first and the last good group predicts the reads; ``inverse[ny, ninverse, nx]`` takes them back
    to measured counts, where they are shifted to average to the measured group. Reads are counted as if no frames were
    dropped between groups. Other arguments as in ``linearize_inplace``; saturated groups stay as they are.
    """
    _linearize_reads(coeffs.shape[1], inverse.shape[1])(data, groupdq, coeffs, inverse, nframe)


@cache
def _polynomial(ncoeff):
    # The number of terms is a constant of the compiled code: the polynomial unrolls, and loops over x run in vectors.
    @helper
    def polynomial(c, x, f):
        value = c[ncoeff - 1, x] * f + c[ncoeff - 2, x]
        for k in range(ncoeff - 3, -1, -1):
            value = value * f + c[k, x]
        return value

    return polynomial


@cache
def _linearize(ncoeff):
    polynomial = _polynomial(ncoeff)

    @kernel
    def linearize(data, groupdq, coeffs):
        nint, ngroup, ny, nx = data.shape
        for y in prange(ny):
            c = coeffs[y]
            value = np.empty(nx, np.float32)
            for i in range(nint):
                for g in range(ngroup):
                    for x in range(nx):
                        f = data[i, g, y, x]
                        value[x] = f if groupdq[i, g, y, x] & SATURATED else polynomial(c, x, f)
                    # Straight into data, LLVM would store under a mask, which costs more than the polynomial.
                    for x in range(nx):
                        data[i, g, y, x] = value[x]

    return linearize


@cache
def _linearize_reads(ncoeff, ninverse):
    polynomial, inverted = _polynomial(ncoeff), _polynomial(ninverse)

    @kernel
    def linearize_reads(data, groupdq, coeffs, inverse, nframe):
        nint, ngroup, ny, nx = data.shape
        for y in prange(ny):
            c, d = coeffs[y], inverse[y]
            first, rate, total = np.empty(nx), np.empty(nx), np.empty(nx)
            good = np.empty(nx, np.int32)
            reads = np.empty((nframe, nx))
            for i in range(nint):
                good[:] = 0
                for g in range(ngroup):
                    for x in range(nx):
                        good[x] += (groupdq[i, g, y, x] & SATURATED) == 0
                for x in range(nx):
                    last = min(max(good[x] - 1, 2) - 1, ngroup - 1)
                    f, l = data[i, 0, y, x], data[i, last, y, x]
                    start = f if groupdq[i, 0, y, x] & SATURATED else polynomial(c, x, f)
                    stop = l if groupdq[i, last, y, x] & SATURATED else polynomial(c, x, l)
                    first[x] = start
                    rate[x] = np.float64(stop - start) / max(last * nframe, 1)
                for g in range(ngroup):
                    total[:] = 0
                    for j in range(nframe):
                        t = g * nframe + j - (nframe - 1) / 2
                        for x in range(nx):
                            reads[j, x] = inverted(d, x, first[x] + rate[x] * t)
                            total[x] += reads[j, x]
                    for x in range(nx):
                        total[x] = data[i, g, y, x] - total[x] / nframe
                    for j in range(nframe):
                        for x in range(nx):
                            reads[j, x] = polynomial(c, x, reads[j, x] + total[x])
                    total[:] = 0
                    for j in range(nframe):
                        for x in range(nx):
                            total[x] += reads[j, x]
                    for x in range(nx):
                        f = data[i, g, y, x]
                        total[x] = f if groupdq[i, g, y, x] & SATURATED else np.float32(total[x] / nframe)
                    for x in range(nx):
                        data[i, g, y, x] = total[x]

    return linearize_reads
