"""Connected components of flagged pixels."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import THREADS, launch


def components(flags, *, bit, min_area):
    """List the 8-connected regions of flagged pixels that fill at least ``min_area`` pixels.

    ``flags[n, ny, nx]`` uint8; a pixel counts where it holds ``bit``. Returns float64 ``table[k, 7]``, on the host on
    either side, ordered by frame and by first pixel in reading order: frame, area, x and y of the center, and the sums
    of dx^2, dx dy and dy^2 about it (second moments: Hu 1962, IRE Trans. Inf. Theory 8, 179). The area that must reach
    ``min_area`` includes holes: other pixels that no 8-connected path leads out of. The sums run down each column, then
    over the columns with fused multiply-add, as in the matrix products by which scikit-image forms them: same bits.
    """
    labels = cp.empty(flags.shape, cp.int32)
    n, plane, nx = np.int64(flags.size), np.int64(flags.shape[1] * flags.shape[2]), np.int64(flags.shape[2])
    launch("label", "seed", flags.size, flags, labels, n, plane, np.uint8(bit))
    launch("label", "unite", flags.size, flags, labels, n, plane, nx, np.uint8(bit))
    # A root is its own parent. The host waits: how many there are is the size of the table.
    roots = cp.flatnonzero(labels.reshape(len(flags), -1) == cp.arange(plane, dtype=cp.int32))
    table = cp.zeros((roots.size, 8), cp.int64)
    launch("label", "number", roots.size, roots, labels, table, np.int64(roots.size), plane)
    launch("label", "measure", flags.size, labels, table, n, plane, nx)
    host = table.get()  # ellipses are made and chosen on the host: a few rows, not pixels
    kept = np.flatnonzero(_fill(labels, table, host, min_area) >= min_area)
    moments = cp.empty((kept.size, 3))
    # One block a component.
    launch("label", "moments", kept.size * THREADS, labels, table, cp.asarray(kept), moments, plane, nx)
    centers = host[kept, 2:4] / host[kept, 1:2]
    return np.concatenate([host[kept, :2], centers, moments.get()], axis=1)


def _fill(labels, table, host, min_area):
    """The area of each component, with its holes where these could lift it to ``min_area``.

    The wall around a hole takes eight pixels, and nothing outside the bounding box is filled.
    """
    area = host[:, 1].copy()
    height, width = host[:, 5] - host[:, 4], host[:, 7] - host[:, 6]
    short = (area < min_area) & (area >= 8) & (np.minimum(height, width) >= 3) & (height * width >= min_area)
    which = np.flatnonzero(short)
    if which.size:
        ends = np.cumsum((height[which] + 2) * (width[which] + 2))
        start = np.concatenate([[0], ends[:-1]])
        boxes, filled = cp.empty(int(ends[-1]), cp.uint8), cp.empty(which.size, cp.int64)
        sizes = np.int64(which.size), np.int64(labels.shape[1] * labels.shape[2]), np.int64(labels.shape[2])
        launch("label", "fill", which.size, labels, table, cp.asarray(which), cp.asarray(start), boxes, filled, *sizes)
        area[which] = filled.get()
    return area
