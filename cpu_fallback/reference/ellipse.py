"""Flags inside ellipses."""

from __future__ import annotations

import numpy as np

from gpujw.dq import JUMP_DET, SATURATED


def saturate_inplace(groupdq, ellipses):
    """Make SATURATED the one flag of every pixel inside an ellipse, from the ellipse's group to the integration's last.

    ``groupdq[nint, ngroup, ny, nx]`` uint8. ``ellipses[k, 12]`` float64, on the host on either side: integration,
    group; first row, row after the last, first column, column after the last (in the frame: pixels beyond stay); row y
    and column x of the center; sine and cosine of the angle; and two radii a, b. Pixel (y + dy, x + dx) is inside where
    ((dy cos + dx sin) / a)^2 + ((dy sin - dx cos) / b)^2 < 1.
    """
    for ellipse in ellipses:
        i, g, rows, columns, inside = _rasterize(ellipse)
        groupdq[i, g:, rows, columns][:, inside] = SATURATED


def flag_inplace(marks, groupdq, ellipses, *, after, spare):
    """Set JUMP_DET in ``marks`` inside ellipses, in the ellipse's group and in the ``after`` groups that follow it.

    ``marks[nint, ngroup, ny, nx]`` uint8, which may be ``groupdq``; a pixel is left alone from the first of these
    groups on in which its ``groupdq`` holds a bit of ``spare``. ``ellipses[k, 12]`` as for ``saturate_inplace``.
    """
    for ellipse in ellipses:
        i, g, rows, columns, inside = _rasterize(ellipse)
        for k in range(g, min(g + after + 1, marks.shape[1])):
            inside &= groupdq[i, k, rows, columns] & spare == 0
            marks[i, k, rows, columns][inside] |= JUMP_DET


def _rasterize(ellipse):
    """Integration, group, rows, columns, and which pixels of that box are inside."""
    i, g, y0, y1, x0, x1 = (int(value) for value in ellipse[:6])
    y, x, sine, cosine, a, b = ellipse[6:]
    dy, dx = np.arange(y0, y1)[:, np.newaxis] - y, np.arange(x0, x1) - x
    inside = ((dy * cosine + dx * sine) / a) ** 2 + ((dy * sine - dx * cosine) / b) ** 2 < 1
    return i, g, slice(y0, y1), slice(x0, x1), inside
