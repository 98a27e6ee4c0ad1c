"""Saturated and empty groups."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.dq import AD_FLOOR, DO_NOT_USE, NO_SAT_CHECK, SATURATED

CHUNK = 128  # columns that are passed over together where none of them saturates


def flag_saturation_inplace(data, groupdq, threshold, dq, bias, *, grow, nframes):
    """Flag groups at or above saturation, those at or below zero, and those that saturation reached in part.

    ``data[nint, ngroup, ny, nx]`` DN. ``groupdq`` of the same shape is OR-ed in place: SATURATED from a pixel's first
    saturated group on, ``grow`` pixels around included (a group that is flagged SATURATED already is saturated);
    DO_NOT_USE and AD_FLOOR where a group is at or below zero; DO_NOT_USE where only the last of the ``nframes`` frames
    averaged to a group may have been saturated (0: no such check). ``threshold[ny, nx]`` DN, never NaN; ``dq[ny, nx]``,
    of which NO_SAT_CHECK counts; ``bias[ny, nx]`` DN, what a pixel reads when it is reset.

    A saturated pixel stays saturated, so the plain flags of a ramp are told by one number, its first saturated group,
    the grown ones by the least of these numbers in the box around it; and at most one group, that before, can be
    saturated in part.
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
    """``first``: a pixel's first saturated group, ngroup where none is; flags groups at or below zero."""
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
            before = np.uint8(0)
            for x in range(nx):
                found[x] = now if counts[x] >= full[x] else found[x]
                low |= counts[x] <= np.float32(0)
            for x in range(nx):
                before = np.uint8(before | flags[x])
            if before & SATURATED:
                for x in range(nx):
                    found[x] = now if flags[x] & np.uint8(SATURATED) else found[x]
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
        padded = np.empty(nx + 2 * grow, np.int16)
        for x in range(padded.size):
            padded[x] = ngroup
        column = padded[grow : grow + nx]
        for k in range(max(y - grow, 0), min(y + grow + 1, ny)):
            other = first[i, k]
            for x in range(nx):
                column[x] = min(column[x], other[x])
        near = nearest[i, y]
        for x in range(nx):
            near[x] = padded[x]
        for shift in range(1, 2 * grow + 1):
            other = padded[shift : shift + nx]
            for x in range(nx):
                near[x] = min(near[x], other[x])
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
    """List groups saturated in part, as ``g * nx + x``; flag second groups that leapt, where the first did not tell."""
    nint, ngroup, ny, nx = data.shape
    for row in prange(nint * ny):
        i, y = row // ny, row % ny
        for x in range(nx):
            g = nearest[i, y, x] - 1
            if 0 <= g < ngroup - 1:
                counts, full = data[i, g, y, x], threshold[y, x]
                if nframes > 1 and not groupdq[i, g, y, x] & DO_NOT_USE and not dq[y, x] & NO_SAT_CHECK:
                    dilution = (g * nframes + (nframes + 1) / 2) / ((g + 1) * nframes)
                    if counts >= np.float64(full) * dilution:
                        partial[i, y, hits[i, y]] = g * nx + x
                        hits[i, y] += 1
                if g == 1:
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
