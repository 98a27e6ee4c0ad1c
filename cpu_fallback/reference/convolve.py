"""Convolution of frames with a small kernel."""

from __future__ import annotations

import numpy as np


def convolve_inplace(data, kernel, *, bottom=0, top=0, left=0, right=0):
    """Convolve each group of a ramp with ``kernel``; pixels beyond the edge count as zero.

    ``data[nint, ngroup, ny, nx]``; ``kernel[ky, kx]``, sides odd. ``bottom`` and ``top`` rows, ``left`` and ``right``
    columns at the edges are neither changed nor used. Float32, products added in the kernel's order, its middle last.
    """
    ky, kx = kernel.shape
    inside = data[:, :, bottom : data.shape[2] - top, left : data.shape[3] - right]
    height, width = inside.shape[2:]
    padded = np.pad(inside, ((0, 0), (0, 0), (ky // 2, ky // 2), (kx // 2, kx // 2)))
    inside[:] = 0
    terms = list(np.ndindex(ky, kx))
    terms.append(terms.pop(ky * kx // 2))
    for j, i in terms:
        y, x = ky - 1 - j, kx - 1 - i
        inside += kernel[j, i] * padded[:, :, y : y + height, x : x + width]
