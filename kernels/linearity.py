"""Per-pixel linearity polynomial."""

from __future__ import annotations

import numpy as np

from gpujw.kernels._load import launch


def linearize_inplace(data, groupdq, coeffs):
    """Replace counts by a polynomial in the counts, pixel by pixel; saturated groups stay as they are.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape, ``coeffs[ny, ncoeff, nx]`` from the constant term
    up. Float32 Horner.
    """
    ny, ncoeff, nx = coeffs.shape
    sizes = [np.int64(size) for size in (data.size, ny, nx, ncoeff)]
    launch("linearity", "linearize", data.size, data, groupdq, coeffs, *sizes)
