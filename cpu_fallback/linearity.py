"""Per-pixel linearity polynomial."""

from __future__ import annotations

from gpujw.cpu_fallback._jit import kernel, prange
from gpujw.dq import SATURATED


def linearize_inplace(data, groupdq, coeffs):
    """Replace counts by a polynomial in the counts, pixel by pixel; saturated groups stay as they are.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape, ``coeffs[ny, ncoeff, nx]`` from the constant term
    up. Float32 Horner.
    """
    _linearize(data, groupdq, coeffs)


@kernel
def _linearize(data, groupdq, coeffs):
    nint, ngroup, ny, nx = data.shape
    ncoeff = coeffs.shape[1]
    for y in prange(ny):
        for i in range(nint):
            for g in range(ngroup):
                for x in range(nx):
                    f = data[i, g, y, x]
                    value = coeffs[y, ncoeff - 1, x]
                    for k in range(ncoeff - 2, -1, -1):
                        value = value * f + coeffs[y, k, x]
                    data[i, g, y, x] = f if groupdq[i, g, y, x] & SATURATED else value
