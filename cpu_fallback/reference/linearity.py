"""Per-pixel linearity polynomial."""

from __future__ import annotations

import numpy as np

from gpujw.dq import SATURATED


def linearize_inplace(data, groupdq, coeffs):
    """Replace counts by a polynomial in the counts, pixel by pixel; saturated groups stay as they are.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape, ``coeffs[ny, ncoeff, nx]`` from the constant term
    up. Float32 Horner.
    """
    value = np.zeros_like(data)
    for k in range(coeffs.shape[1] - 1, -1, -1):
        value = value * data + coeffs[:, k]
    data[:] = np.where(groupdq & SATURATED, data, value)
