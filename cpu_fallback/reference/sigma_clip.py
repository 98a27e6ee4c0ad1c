"""Cosmic-ray jumps by sigma clipping, where an exposure has integrations enough."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback.reference.jump import BAD, JUMP, electrons_between, nanmedian

#: How often a set is clipped at most.
ROUNDS = 5


def flag_clipped_inplace(data, groupdq, gain, *, threshold, by_group):
    """Flag the groups that end a difference which sigma clipping rejects; how many groups of each row have the flag.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape; ``gain[ny, nx]`` e-/DN. ``by_group`` compares
    each difference with the same one of the other integrations; otherwise all differences of a pixel are one set.
    Those from or to a group that is saturated or not to be used are left out. What lies more than ``threshold``
    standard deviations from the median is clipped, up to five times, and judged by the last bounds. A jump flag on an
    unusable group is counted, and taken away.
    """
    difference = electrons_between(data, groupdq, gain)
    difference[~np.isfinite(difference)] = np.nan
    with np.errstate(all="ignore"):
        for group in (slice(g, g + 1) for g in range(difference.shape[1])) if by_group else [slice(None)]:
            values = difference[:, group]
            lower, upper = bounds(values, threshold)
            groupdq[:, 1:][:, group][(values < lower) | (values > upper)] |= JUMP
    count = ((groupdq & JUMP) > 0).sum(axis=(0, 1, 3))
    groupdq[(groupdq & BAD) > 0] &= ~JUMP
    return count


def bounds(values, threshold):
    """The last bounds of clipping each pixel's ``[nint, ndifference, ny, nx]``, ``[ny, nx]`` both."""
    kept = values.copy()
    for _ in range(ROUNDS):
        number = (~np.isnan(kept)).sum(axis=(0, 1))
        mean = np.nansum(kept, axis=(0, 1)) / number
        deviation = np.sqrt(np.nansum((kept - mean) ** 2, axis=(0, 1)) / number)
        median = nanmedian(kept)
        lower, upper = median - threshold * deviation, median + threshold * deviation
        within = (kept >= lower) & (kept <= upper)
        # Where all would go the set stays as it is, and so do its bounds.
        kept[~within & within.any(axis=(0, 1))] = np.nan
    return lower, upper
