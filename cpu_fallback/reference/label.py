"""Connected components of flagged pixels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

TOUCHING = np.ones((3, 3), bool)


def components(flags, *, bit, min_area):
    """List the 8-connected components of flagged pixels that fill at least ``min_area`` pixels.

    ``flags[n, ny, nx]`` uint8; a pixel counts where it holds ``bit``. Returns int64 ``table[k, 7]``, on the host on
    either side, ordered by frame and by first pixel in reading order: frame, area, and the sums of x, y, x^2, x y and
    y^2 over the pixels (their moments: Hu 1962, IRE Trans. Inf. Theory 8, 179). The area that must reach ``min_area``
    includes holes: other pixels that no 8-connected path leads out of.
    """
    table = [
        (frame, x.size, x.sum(), y.sum(), (x * x).sum(), (x * y).sum(), (y * y).sum())
        for frame, plane in enumerate(flags & bit != 0)
        for y, x in _components(plane, min_area)
    ]
    return np.array(table, np.int64).reshape(-1, 7)


def _components(plane, min_area):
    """The coordinates ``y, x`` of the pixels of each component of ``plane`` that is large enough."""
    labels, _ = ndimage.label(plane, TOUCHING)
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        pixels = labels[rows, columns] == label
        if ndimage.binary_fill_holes(pixels, TOUCHING).sum() >= min_area:
            y, x = np.nonzero(pixels)
            yield y + rows.start, x + columns.start
