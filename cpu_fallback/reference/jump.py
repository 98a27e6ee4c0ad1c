"""Cosmic-ray jumps by the two-point difference, their neighbors and the groups after them."""

from __future__ import annotations

import numpy as np

from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED

BAD = np.uint8(DO_NOT_USE | SATURATED)
JUMP = np.uint8(JUMP_DET)


def flag_outliers_inplace(data, groupdq, gain, readnoise, *, nframes, thresholds, single_pass):
    """Flag the groups that end a difference far from the pixel's median one; how many groups of each row have the flag.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape; ``gain[ny, nx]`` e-/DN; ``readnoise[ny, nx]``
    e-, of a pair of frames. The differences of all integrations of a pixel are one set, without those from or to a
    group that is saturated or not to be used; sigma^2 = abs(median) + readnoise^2 / nframes. ``single_pass`` flags all
    that lie more than ``thresholds[0]`` sigma from their median. Otherwise the sizes of the differences are searched
    for one at a time, until none stands out from the median of the others by more than ``thresholds``: [0] while four
    or more are left, [1] of three, [2] of two. A jump flag on an unusable group is counted, and taken away.
    Anderson & Gordon 2011, PASP 123, 1237.
    """
    difference = electrons_between(data, groupdq, gain)
    variance = (readnoise * readnoise).astype(np.float64) / nframes
    with np.errstate(all="ignore"):
        if single_pass:
            median = nanmedian(difference)
            sigma = np.sqrt(abs(median) + variance)
            outlier = np.isfinite(difference) & (abs(difference - median) / nonzero(sigma) > thresholds[0])
        else:
            outlier = search(abs(difference), variance, thresholds)
    groupdq[:, 1:][outlier] |= JUMP
    count = ((groupdq & JUMP) > 0).sum(axis=(0, 1, 3))
    groupdq[(groupdq & BAD) > 0] &= ~JUMP
    return count


def flag_neighbors_inplace(data, groupdq, gain, readnoise, *, nframes, low, high):
    """Flag the four neighbors of the jumps of ``low`` to ``high`` sigma (both excluded), where they are usable.

    Arrays as in :func:`flag_outliers_inplace`; a jump is measured from the median of the pixel's differences.
    """
    difference = electrons_between(data, groupdq, gain)
    variance = (readnoise * readnoise).astype(np.float64) / nframes
    with np.errstate(all="ignore"):
        median = nanmedian(difference)
        ratio = abs(difference - median) / nonzero(np.sqrt(abs(median) + variance))
        marked = ((groupdq[:, 1:] & JUMP) > 0) & (low < ratio) & (ratio < high)
    near = np.zeros_like(marked)
    near[:, :, 1:] |= marked[:, :, :-1]
    near[:, :, :-1] |= marked[:, :, 1:]
    near[..., 1:] |= marked[..., :-1]
    near[..., :-1] |= marked[..., 1:]
    groupdq[:, 1:][near & ((groupdq[:, 1:] & BAD) == 0)] |= JUMP


def flag_after_jumps_inplace(data, groupdq, gain, *, electrons, ngroups):
    """Flag the ``ngroups`` usable groups that follow a jump of ``electrons`` or more; two pairs of these numbers.

    Arrays as in :func:`flag_outliers_inplace`; a jump is measured from the median of the pixel's differences.
    """
    difference = electrons_between(data, groupdq, gain)
    jumped = (groupdq & JUMP) > 0
    after = np.zeros_like(jumped)
    with np.errstate(all="ignore"):
        size = difference - nanmedian(difference)
        for least, number in zip(electrons, ngroups, strict=True):
            large = jumped[:, 1:] & (size >= least)
            for later in range(1, min(number, data.shape[1] - 2) + 1):
                after[:, 1 + later :] |= large[:, :-later]
    groupdq[after & ((groupdq & BAD) == 0)] |= JUMP


def electrons_between(data, groupdq, gain):
    """Differences of successive groups in electrons, found in float32; NaN from or to an unusable group."""
    with np.errstate(all="ignore"):
        difference = np.diff(data * gain, axis=1).astype(np.float64)
    bad = (groupdq & BAD) > 0
    difference[bad[:, 1:] | bad[:, :-1]] = np.nan
    return difference


def nanmedian(values):
    """Median of all of a pixel's ``[nint, ndifference, ny, nx]`` that are not NaN; NaN of none."""
    nint, ndifference, ny, nx = values.shape
    if values.size == 0:
        return np.full((ny, nx), np.nan)
    values = np.sort(values.reshape(nint * ndifference, ny, nx), axis=0)  # NaN come last
    number = (~np.isnan(values)).sum(axis=0)
    lower, upper = (np.take_along_axis(values, rank[None], axis=0)[0] for rank in ((number - 1) // 2, number // 2))
    # An odd number has one middle, which is kept as it is; of none, row -1 is NaN too.
    return np.where(lower == upper, lower, 0.5 * (lower + upper))


def nonzero(sigma):
    """Sigma, NaN where it is zero: nothing stands out from there."""
    return np.where(sigma > 0, sigma, np.nan)


def search(size, variance, thresholds):
    """Which sizes ``[nint, ndifference, ny, nx]`` stand out, when the largest excess is taken away again and again."""
    size = size.copy()
    outlier = np.zeros(size.shape, bool)
    searched = np.ones(variance.shape, bool)
    for number in range(size.shape[0] * size.shape[1] if size.size else 0):
        left = (~np.isnan(size)).sum(axis=(0, 1))
        median = median_of_sizes(size, left)
        if number > 0:
            # The peer keeps the medians of all rounds but the first in single precision.
            median = median.astype(np.float32).astype(np.float64)
        excess = abs((size - median).astype(np.float32)) / nonzero(np.sqrt(abs(median) + variance))
        worst = np.fmax.reduce(excess, axis=(0, 1))
        threshold = np.select([left >= 4, left == 3, left == 2], thresholds, np.inf)
        found = (excess == worst) & (worst > threshold) & searched
        if not found.any():
            break
        outlier |= found
        size[found] = np.nan
        searched = found.any(axis=(0, 1))
    return outlier


def median_of_sizes(size, left):
    """Of four sizes or more the median without the largest and its equals, of three theirs, of two the lesser."""
    largest = np.fmax.reduce(size, axis=(0, 1))
    rest = np.where((size == largest) & (left >= 4), np.nan, size)
    median = np.where(left == 2, np.fmin.reduce(size, axis=(0, 1)), nanmedian(rest))
    return np.where(left < 2, np.nan, median)
