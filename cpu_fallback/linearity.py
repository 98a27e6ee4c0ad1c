"""Per-pixel linearity polynomials, of groups or of the reads that were averaged into them."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.dq import SATURATED


def linearize_inplace(data, groupdq, coeffs):
    """Replace counts by a polynomial in the counts, pixel by pixel; saturated groups stay as they are.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape, ``coeffs[ny, ncoeff, nx]`` from the constant term
    up. Float32 Horner.
    """
    _linearize(data, groupdq, coeffs, _terms(coeffs))


def linearize_reads_inplace(data, groupdq, coeffs, inverse, *, nframe):
    """Correct the ``nframe`` reads that were averaged into each group, and average them anew, in float64.

    The rate between the first and the last good group predicts the reads; ``inverse[ny, ninverse, nx]`` takes them back
    to measured counts, where they are shifted to average to the measured group. Reads are counted as if no frames were
    dropped between groups. Other arguments as in ``linearize_inplace``; saturated groups stay as they are.
    """
    _linearize_reads(data, groupdq, coeffs, inverse, nframe, _terms(coeffs), _terms(inverse))


def _terms(coeffs):
    """A tuple as long as the polynomials: unlike a number, its length is a constant of the code compiled for it.

    LLVM then unrolls the polynomial, and runs the loop over x in vectors.
    """
    return (0,) * coeffs.shape[1]


@helper
def _polynomial(c, x, f, terms):
    value = c[len(terms) - 1, x]
    for k in range(len(terms) - 2, -1, -1):
        value = value * f + c[k, x]
    return value


@kernel
def _linearize(data, groupdq, coeffs, terms):
    nint, ngroup, ny, nx = data.shape
    for y in prange(ny):
        c, value = coeffs[y], np.empty(nx, np.float32)
        for i in range(nint):
            for g in range(ngroup):
                for x in range(nx):
                    f = data[i, g, y, x]
                    value[x] = f if groupdq[i, g, y, x] & SATURATED else _polynomial(c, x, f, terms)
                # Written to data above, they would go through a masked store, which takes longer than the polynomial.
                for x in range(nx):
                    data[i, g, y, x] = value[x]


@kernel
def _linearize_reads(data, groupdq, coeffs, inverse, nframe, terms, inverse_terms):
    nint, ngroup, ny, nx = data.shape
    for y in prange(ny):
        c, d = coeffs[y], inverse[y]
        first, rate, total, shift = np.empty(nx), np.empty(nx), np.empty(nx), np.empty(nx)
        reads = np.empty((nframe, nx))
        for i in range(nint):
            _predict(data, groupdq, i, y, c, nframe, terms, first, rate)
            for g in range(ngroup):
                total[:] = 0
                for j in range(nframe):
                    t = g * nframe + j - (nframe - 1) / 2
                    for x in range(nx):
                        reads[j, x] = _polynomial(d, x, first[x] + rate[x] * t, inverse_terms)
                    for x in range(nx):
                        total[x] += reads[j, x]
                for x in range(nx):
                    shift[x] = data[i, g, y, x] - total[x] / nframe
                total[:] = 0
                for j in range(nframe):
                    for x in range(nx):
                        total[x] += _polynomial(c, x, reads[j, x] + shift[x], terms)
                for x in range(nx):
                    f = data[i, g, y, x]
                    total[x] = f if groupdq[i, g, y, x] & SATURATED else np.float32(total[x] / nframe)
                for x in range(nx):
                    data[i, g, y, x] = total[x]


@helper
def _predict(data, groupdq, i, y, c, nframe, terms, first, rate):
    ngroup, nx = data.shape[1], data.shape[3]
    good = np.zeros(nx, np.int32)
    for g in range(ngroup):
        for x in range(nx):
            good[x] += (groupdq[i, g, y, x] & SATURATED) == 0
    for x in range(nx):
        last = min(max(good[x] - 1, 2) - 1, ngroup - 1)
        start, stop = data[i, 0, y, x], data[i, last, y, x]
        if not groupdq[i, 0, y, x] & SATURATED:
            start = _polynomial(c, x, start, terms)
        if not groupdq[i, last, y, x] & SATURATED:
            stop = _polynomial(c, x, stop, terms)
        first[x] = start
        rate[x] = np.float64(stop - start) / max(last * nframe, 1)
