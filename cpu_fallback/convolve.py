"""Convolution of frames with a small kernel."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import kernel as compiled
from gpujw.cpu_fallback._jit import prange


def convolve_inplace(data, kernel, *, bottom=0, top=0, left=0, right=0):
    """Convolve each group of a ramp with ``kernel``; pixels beyond the edge count as zero.

    ``data[nint, ngroup, ny, nx]``; ``kernel[ky, kx]``, sides odd. ``bottom`` and ``top`` rows, ``left`` and ``right``
    columns at the edges are neither changed nor used. Float32, products added in the kernel's order, its middle last.
    """
    _convolve(data, kernel, bottom, top, left, right)


@compiled
def _convolve(data, kernel, bottom, top, left, right):
    nint, ngroup, ny, nx = data.shape
    ky, kx = kernel.shape
    height, width, middle = ny - bottom - top, nx - left - right, ky * kx // 2
    for frame in prange(nint * ngroup):
        plane = data[frame // ngroup, frame % ngroup]
        padded = np.empty((height + ky - 1, width + kx - 1), np.float32)
        for y in range(padded.shape[0]):
            for x in range(padded.shape[1]):
                padded[y, x] = 0
        for y in range(height):
            for x in range(width):
                padded[y + ky // 2, x + kx // 2] = plane[y + bottom, x + left]
        for y in range(height):
            out = plane[y + bottom, left : left + width]
            for x in range(width):
                out[x] = 0
            for term in range(ky * kx):
                k = term + (term >= middle) if term < ky * kx - 1 else middle
                weight = kernel[k // kx, k % kx]
                row = padded[y + ky - 1 - k // kx, kx - 1 - k % kx :]
                for x in range(width):
                    out[x] += weight * row[x]
