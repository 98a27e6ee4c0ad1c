"""Saturated and empty groups."""

from __future__ import annotations

import numpy as np

from gpujw.dq import AD_FLOOR, DO_NOT_USE, NO_SAT_CHECK, SATURATED


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
    for counts, flags in zip(data, groupdq, strict=True):
        saturated = np.logical_or.accumulate((counts >= threshold) | (flags & SATURATED > 0), axis=0)
        near = np.stack([_grown(group, grow) for group in saturated])
        flags[near] |= SATURATED
        flags[counts <= 0] |= AD_FLOOR | DO_NOT_USE
        if nframes > 1:
            _flag_partial(counts, flags, near, np.where(dq & NO_SAT_CHECK, np.inf, threshold), grow, nframes)
        if nframes > 0 and len(counts) > 2:
            leap = _leaps(counts, threshold, bias, nframes) & near[2] & ~near[1]
            flags[1][leap] |= DO_NOT_USE


def _grown(mask, grow):
    """``mask[ny, nx]`` and all within ``grow`` pixels of it, along either axis."""
    for axis in (0, 1):
        mask = np.moveaxis(mask, axis, 0)
        wide = mask.copy()
        for shift in range(1, min(grow, len(mask) - 1) + 1):
            wide[shift:] |= mask[:-shift]
            wide[:-shift] |= mask[shift:]
        mask = np.moveaxis(wide, 0, axis)
    return mask


def _flag_partial(counts, flags, near, threshold, grow, nframes):
    """Flag groups before a saturated one that reach the threshold, as their average of frames dilutes it."""
    for g in range(len(counts) - 1):
        frames = np.arange(g * nframes, (g + 1) * nframes) + 1
        partial = counts[g] >= threshold * (frames.mean() / frames[-1])
        partial &= near[g + 1] & ~near[g] & (flags[g] & DO_NOT_USE == 0)
        flags[g][_grown(partial, grow)] |= DO_NOT_USE


def _leaps(counts, threshold, bias, nframes):
    """Where the first group does not foretell saturation by the third, and the second leapt."""
    start = counts[0]
    expected = (start - bias).astype(np.float64) / ((nframes + 1) / 2) * (3 * nframes) + bias
    leap = (threshold - start) / np.float32(nframes)
    return (expected < threshold) & (counts[1] - start > leap)
