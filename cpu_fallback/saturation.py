"""Saturated and empty groups."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.dq import AD_FLOOR, DO_NOT_USE, NO_SAT_CHECK, SATURATED

CHUNK = 128  # columns that are passed over together where none of them saturates


def flag_saturation_inplace(data, groupdq, threshold, dq, bias, *, grow, nframes):
    """Flag groups at or above saturation, and the groups of averaged frames that saturation reached in part.

    ``data[nint, ngroup, ny, nx]`` DN; ``groupdq`` of the same shape, OR-ed in place: a SATURATED bit that it holds
    already stays and is not grown. ``threshold[ny, nx]`` DN, never NaN; ``dq[ny, nx]`` the reference's flags (of which
    NO_SAT_CHECK matters); ``bias[ny, nx]`` DN, what a reset pixel reads, zero where it is not known. ``grow`` pixels
    around a saturated one are flagged with it. ``nframes`` were averaged to each group; 0: not known, no check of
    groups that are saturated in part.

    A pixel saturates once: the flags of an integration follow from its first saturated group alone, and of those
    grown from its neighbours from the least of theirs.
    """
    nint, _, ny, nx = data.shape
    first = np.empty((nint, ny, nx), np.int16)
    nearest = np.empty((nint, ny, nx), np.int16)
    partial = np.empty((nint, ny, nx if nframes > 1 else 0), np.int32)
    hits = np.zeros((nint, ny), np.int64)
    _find_first(data, groupdq, threshold, first)
    _flag_saturated(groupdq, first, nearest, grow)
    if nframes > 0:
        _check(data, groupdq, threshold, dq, bias, nearest, hits, partial, nframes)
        _flag_partial(groupdq, hits, partial, grow)


@kernel
def _find_first(data, groupdq, threshold, first):
    """``first[i, y, x]``: the first group at or above the threshold, ngroup where none is; flags groups at or below zero."""
    nint, ngroup, ny, nx = data.shape
    for row in prange(nint * ny):
        i, y = row // ny, row % ny
        full = threshold[y]
        found = np.empty(nx, np.int32)
        for x in range(nx):
            found[x] = ngroup
        for g in range(ngroup - 1, -1, -1):
            counts, flags = data[i, g, y], groupdq[i, g, y]
            now = np.int32(g)
            low = False
            for x in range(nx):
                found[x] = now if counts[x] >= full[x] else found[x]
                low |= counts[x] <= np.float32(0)
            if low:
                for x in range(nx):
                    flags[x] |= np.uint8(AD_FLOOR | DO_NOT_USE) if counts[x] <= np.float32(0) else np.uint8(0)
        for x in range(nx):
            first[i, y, x] = found[x]


@kernel
def _flag_saturated(groupdq, first, nearest, grow):
    """``nearest``: the least of ``first`` in a box around each pixel; flags that group and those after it."""
    nint, ngroup, ny, nx = groupdq.shape
    for row in prange(nint * ny):
        i, y = row // ny, row % ny
        near = nearest[i, y]
        column = np.empty(nx, np.int16)
        for x in range(nx):
            column[x] = first[i, y, x]
        for k in range(max(y - grow, 0), min(y + grow + 1, ny)):
            other = first[i, k]
            for x in range(nx):
                column[x] = min(column[x], other[x])
        for x in range(nx):
            near[x] = column[x]
        for shift in range(1, min(grow, nx - 1) + 1):
            for x in range(nx - shift):
                near[x] = min(near[x], column[x + shift])
            for x in range(shift, nx):
                near[x] = min(near[x], column[x - shift])
        for x0 in range(0, nx, CHUNK):
            part = near[x0 : x0 + CHUNK]
            least = np.int16(ngroup)
            for x in range(part.size):
                least = min(least, part[x])
            for g in range(least, ngroup):
                flags, now = groupdq[i, g, y, x0 : x0 + CHUNK], np.int16(g)
                for x in range(part.size):
                    flags[x] |= np.uint8(SATURATED) if part[x] <= now else np.uint8(0)


@kernel
def _check(data, groupdq, threshold, dq, bias, nearest, hits, partial, nframes):
    """List, as ``g * nx + x``, the groups before the first flagged whose last frames may have been saturated."""
    nint, ngroup, ny, nx = data.shape
    for row in prange(nint * ny):
        i, y = row // ny, row % ny
        for x in range(nx):
            g = nearest[i, y, x] - 1
            if 0 <= g < ngroup - 1:
                counts, full, flags = data[i, g, y, x], threshold[y, x], groupdq[i, g, y, x]
                if nframes > 1 and not flags & (SATURATED | DO_NOT_USE) and not dq[y, x] & NO_SAT_CHECK:
                    dilution = (g * nframes + (nframes + 1) / 2) / ((g + 1) * nframes)
                    if counts >= np.float64(full) * dilution:
                        partial[i, y, hits[i, y]] = g * nx + x
                        hits[i, y] += 1
                if g == 1 and not flags & SATURATED:
                    start, zero = data[i, 0, y, x], bias[y, x]
                    expected = np.float64(start - zero) / ((nframes + 1) / 2) * (3 * nframes) + np.float64(zero)
                    if expected < full and counts - start > (full - start) / np.float32(nframes):
                        groupdq[i, 1, y, x] |= np.uint8(DO_NOT_USE)


@helper
def _flag_partial(groupdq, hits, partial, grow):
    """Flag what surrounds the groups listed."""
    nint, _, ny, nx = groupdq.shape
    for i in range(nint):
        for y in range(ny):
            for hit in range(hits[i, y]):
                g, x = partial[i, y, hit] // nx, partial[i, y, hit] % nx
                for row in range(max(y - grow, 0), min(y + grow + 1, ny)):
                    for column in range(max(x - grow, 0), min(x + grow + 1, nx)):
                        groupdq[i, g, row, column] |= np.uint8(DO_NOT_USE)
