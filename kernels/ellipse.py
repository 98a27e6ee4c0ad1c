"""Flags inside ellipses."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import launch


def saturate_inplace(groupdq, ellipses):
    """Make SATURATED the one flag of every pixel inside an ellipse, from the ellipse's group to the integration's last.

    ``groupdq[nint, ngroup, ny, nx]`` uint8. ``ellipses[k, 12]`` float64, on the host on either side: integration,
    group; first row, row after the last, first column, column after the last (in the frame: pixels beyond stay); row y
    and column x of the center; sine and cosine of the angle; and two radii a, b. Pixel (y + dy, x + dx) is inside where
    ((dy cos + dx sin) / a)^2 + ((dy sin - dx cos) / b)^2 < 1.
    """
    largest = _largest(ellipses)
    n = len(ellipses) * largest
    launch("ellipse", "saturate", n, groupdq, cp.asarray(ellipses), *_sizes(groupdq, n, largest))


def flag_inplace(marks, groupdq, ellipses, *, after, spare):
    """Set JUMP_DET in ``marks`` inside ellipses, in the ellipse's group and in the ``after`` groups that follow it.

    ``marks[nint, ngroup, ny, nx]`` uint8, which may be ``groupdq``; a pixel is left alone from the first of these
    groups on in which its ``groupdq`` holds a bit of ``spare``. ``ellipses[k, 12]`` as for ``saturate_inplace``.
    """
    largest = _largest(ellipses)
    n = len(ellipses) * largest
    sizes = _sizes(groupdq, n, largest)
    launch("ellipse", "flag", n, marks, groupdq, cp.asarray(ellipses), *sizes, np.int64(after), np.uint8(spare))


def _largest(ellipses):
    """Pixels in the largest box."""
    height, width = ellipses[:, 3] - ellipses[:, 2], ellipses[:, 5] - ellipses[:, 4]
    return int((height * width).max(initial=0))


def _sizes(groupdq, n, largest):
    ngroup, ny, nx = groupdq.shape[1:]
    return [np.int64(size) for size in (n, largest, ngroup, ny * nx, nx)]
