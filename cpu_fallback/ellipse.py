"""Flags inside ellipses."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper
from gpujw.dq import JUMP_DET, SATURATED


def saturate_inplace(groupdq, ellipses):
    """Make SATURATED the one flag of every pixel inside an ellipse, from the ellipse's group to the integration's last.

    ``groupdq[nint, ngroup, ny, nx]`` uint8. ``ellipses[k, 12]`` float64, on the host on either side: integration,
    group; first row, row after the last, first column, column after the last (in the frame: pixels beyond stay); row y
    and column x of the center; sine and cosine of the angle; and two radii a, b. Pixel (y + dy, x + dx) is inside where
    ((dy cos + dx sin) / a)^2 + ((dy sin - dx cos) / b)^2 < 1.
    """
    _saturate(groupdq, ellipses)


def flag_inplace(marks, groupdq, ellipses, *, after, spare):
    """Set JUMP_DET in ``marks`` inside ellipses, in the ellipse's group and in the ``after`` groups that follow it.

    ``marks[nint, ngroup, ny, nx]`` uint8, which may be ``groupdq``; a pixel is left alone from the first of these
    groups on in which its ``groupdq`` holds a bit of ``spare``. ``ellipses[k, 12]`` as for ``saturate_inplace``.
    """
    _flag(marks, groupdq, ellipses, after, np.uint8(spare))


# Not parallel: few pixels lie in ellipses, and ellipses overlap.
@helper
def _saturate(groupdq, ellipses):
    for ellipse in ellipses:
        i, g, y0, y1, x0, x1 = _box(ellipse)
        for y in range(y0, y1):
            for x in range(x0, x1):
                if _is_inside(ellipse, y, x):
                    for k in range(g, groupdq.shape[1]):
                        groupdq[i, k, y, x] = SATURATED


@helper
def _flag(marks, groupdq, ellipses, after, spare):
    for ellipse in ellipses:
        i, g, y0, y1, x0, x1 = _box(ellipse)
        last = min(g + after + 1, marks.shape[1])
        for y in range(y0, y1):
            for x in range(x0, x1):
                if _is_inside(ellipse, y, x):
                    k = g
                    while k < last and not groupdq[i, k, y, x] & spare:
                        marks[i, k, y, x] |= np.uint8(JUMP_DET)
                        k += 1


@helper
def _box(ellipse):
    return (
        np.int64(ellipse[0]),
        np.int64(ellipse[1]),
        np.int64(ellipse[2]),
        np.int64(ellipse[3]),
        np.int64(ellipse[4]),
        np.int64(ellipse[5]),
    )


@helper
def _is_inside(ellipse, row, column):
    y, x, sine, cosine, a, b = ellipse[6], ellipse[7], ellipse[8], ellipse[9], ellipse[10], ellipse[11]
    dy, dx = row - y, column - x
    u, v = (dy * cosine + dx * sine) / a, (dy * sine - dx * cosine) / b
    return u * u + v * v < 1
