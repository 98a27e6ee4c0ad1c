"""Convolution of frames with a small kernel."""

from __future__ import annotations

import numpy as np

from gpujw.kernels._load import launch


def convolve_inplace(data, kernel, *, bottom=0, top=0, left=0, right=0):
    """Convolve each group of a ramp with ``kernel``; pixels beyond the edge count as zero.

    ``data[nint, ngroup, ny, nx]``; ``kernel[ky, kx]``, sides odd. ``bottom`` and ``top`` rows, ``left`` and ``right``
    columns at the edges are neither changed nor used. Float32, products added in the kernel's order, its middle last.
    """
    nint, ngroup, ny, nx = data.shape
    ky, kx = kernel.shape
    n = ngroup * ny * nx
    sizes = [np.int64(size) for size in (n, ny, nx, ky, kx, bottom, top, left, right)]
    for frames in data:  # a copy of one integration's groups, not of the exposure
        launch("convolve", "convolve", n, frames.copy(), frames, kernel, *sizes)
