"""Cosmic-ray jumps by the two-point difference, their neighbors and the groups after them."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import launch

#: The most differences of a pixel that a thread sorts in memory of its own, of which a device has not much more.
SORTED = 256


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
    nint, ngroup, ny, nx = data.shape
    count = cp.zeros(ny, np.int64)
    sizes = [np.int64(size) for size in data.shape]
    limits = [np.float64(limit) for limit in (nframes, *thresholds)]
    differences = nint * (ngroup - 1)
    # A power of two, so that few variants are compiled; the smallest has room for three groups.
    places = max(4, 1 << (differences - 1).bit_length()) if 0 < differences <= SORTED else 0
    arguments = (data, groupdq, gain, readnoise, *sizes, *limits, np.int64(single_pass), count)
    launch("jump", "find_outliers", ny * nx, *arguments, macros=(f"NSORT={places}",))
    return count


def flag_neighbors_inplace(data, groupdq, gain, readnoise, *, nframes, low, high):
    """Flag the four neighbors of the jumps of ``low`` to ``high`` sigma (both excluded), where they are usable.

    Arrays as in :func:`flag_outliers_inplace`; a jump is measured from the median of the pixel's differences.
    """
    marks = cp.zeros(groupdq.shape, np.uint8)
    nint, ngroup, ny, nx = sizes = [np.int64(size) for size in data.shape]
    limits = [np.float64(limit) for limit in (nframes, low, high)]
    launch("jump", "mark_jumps", int(ny * nx), data, groupdq, gain, readnoise, *sizes, *limits, marks)
    launch("jump", "spread_marks", groupdq.size, marks, groupdq, np.int64(groupdq.size), ngroup, ny, nx)


def flag_after_jumps_inplace(data, groupdq, gain, *, electrons, ngroups):
    """Flag the ``ngroups`` usable groups that follow a jump of ``electrons`` or more; two pairs of these numbers.

    Arrays as in :func:`flag_outliers_inplace`; a jump is measured from the median of the pixel's differences.
    """
    ny, nx = gain.shape
    sizes = [np.int64(size) for size in data.shape]
    limits = [*map(np.float64, electrons), *map(np.int64, ngroups)]
    launch("jump", "flag_after", ny * nx, data, groupdq, gain, *sizes, *limits)
