"""Cosmic-ray jumps by sigma clipping, where an exposure has integrations enough."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import launch


def flag_clipped_inplace(data, groupdq, gain, *, threshold, by_group):
    """Flag the groups that end a difference which sigma clipping rejects; how many groups of each row have the flag.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape; ``gain[ny, nx]`` e-/DN. ``by_group`` compares
    each difference with the same one of the other integrations; otherwise all differences of a pixel are one set.
    Those from or to a group that is saturated or not to be used are left out. What lies more than ``threshold``
    standard deviations from the median is clipped, up to five times, and judged by the last bounds. A jump flag on an
    unusable group is counted, and taken away.
    """
    nint, ngroup, ny, nx = data.shape
    count = cp.zeros(ny, np.int64)
    sizes = [np.int64(size) for size in data.shape]
    per_set = np.int64(1 if by_group else ngroup - 1)
    launch("sigma_clip", "flag_clipped", ny * nx, data, groupdq, gain, *sizes, np.float64(threshold), per_set, count)
    return count
