"""Saturated and empty groups."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import launch


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
    nint, ngroup, ny, nx = data.shape
    first = cp.empty((nint, ny, nx), np.int16)
    partial = cp.empty((nint, ny, nx), np.int16)
    sizes = [np.int64(size) for size in (first.size, ngroup, ny, nx)]
    reach, frames = np.int64(grow), np.int64(nframes)
    launch("saturation", "find_first", first.size, data, groupdq, threshold, first, *sizes)
    arrays = (data, groupdq, threshold, dq, bias, first, partial)
    launch("saturation", "flag_saturated", first.size, *arrays, *sizes, reach, frames)
    if nframes > 1:
        launch("saturation", "flag_partial", first.size, groupdq, partial, *sizes, reach)
