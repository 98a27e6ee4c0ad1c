"""Connected components of flagged pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy import ndimage

TOUCHING = np.ones((3, 3), bool)


def components(flags, *, bit, min_area):
    """List the 8-connected regions of flagged pixels that fill at least ``min_area`` pixels.

    ``flags[n, ny, nx]`` uint8; a pixel counts where it holds ``bit``. Returns float64 ``table[k, 7]``, on the host on
    either side, ordered by frame and by first pixel in reading order: frame, area, x and y of the center, and the sums
    of dx^2, dx dy and dy^2 about it (second moments: Hu 1962, IRE Trans. Inf. Theory 8, 179). The area that must reach
    ``min_area`` includes holes: other pixels that no 8-connected path leads out of. The sums run down each column, then
    over the columns with fused multiply-add, as in the matrix products by which scikit-image forms them: same bits.
    """
    table = []
    for frame, plane in enumerate(flags & bit != 0):
        for y, x, pixels in _components(plane, min_area):
            rows, columns = np.nonzero(pixels)
            center = (columns + x).sum() / rows.size, (rows + y).sum() / rows.size
            table.append((frame, rows.size, *center, *_moments(pixels, rows.mean(), columns.mean())))
    return np.array(table, np.float64).reshape(-1, 7)


def _components(plane, min_area):
    """First row and column and the pixels ``[height, width]`` of each component of ``plane`` that is large enough."""
    labels, _ = ndimage.label(plane, TOUCHING)
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        pixels = labels[rows, columns] == label
        if ndimage.binary_fill_holes(pixels, TOUCHING).sum() >= min_area:
            yield rows.start, columns.start, pixels


def _moments(pixels, y, x):
    """The sums of dx^2, dx dy and dy^2 over ``pixels``."""
    dy, dx = np.arange(pixels.shape[0]) - y, np.arange(pixels.shape[1]) - x
    xx = xy = yy = 0.0
    for column in range(dx.size):
        inside = dy[pixels[:, column]]
        xx = _fma(inside.size, dx[column] ** 2, xx)
        xy = _fma(sum(inside), dx[column], xy)
        yy += sum(inside**2)
    return xx, xy, yy


def _fma(a, b, c):
    """``a * b + c``, rounded once."""
    return float(Fraction(a) * Fraction(b) + Fraction(c))
