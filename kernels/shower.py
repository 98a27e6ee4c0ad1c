"""Faint extended emission of cosmic-ray showers."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.dq import DO_NOT_USE
from gpujw.kernels._load import launch


def unused_groups(groupdq):
    """Which groups of ``groupdq[nint, ngroup, ny, nx]`` hold DO_NOT_USE in every pixel: bool, on the host."""
    # The host waits: it must know whether there is enough to go on.
    return (groupdq & DO_NOT_USE).all(axis=(2, 3)).get()


def noise(data, groupdq, gain, readnoise, *, nframes):
    """Median difference of successive groups of each pixel, over all integrations, and the noise of one difference.

    ``data[nint, ngroup, ny, nx]`` DN; ``groupdq`` of the same shape: a group counts unless its flags are just
    DO_NOT_USE, SATURATED or JUMP_DET, the latter with or without DO_NOT_USE, and nothing else. ``gain[ny, nx]``
    electrons/DN, ``readnoise[ny, nx]`` electrons, of a difference of two frames. Returns ``median[1, ny, nx]`` and
    ``sigma[1, ny, nx]``, electrons, float32: sigma^2 = |median| + readnoise^2 / nframes.
    """
    nint, ngroup, ny, nx = data.shape
    median, sigma = cp.empty((1, ny, nx), cp.float32), cp.empty((1, ny, nx), cp.float32)
    sizes = np.int64(nint), np.int64(ngroup), np.int64(ny * nx), np.float32(nframes)
    launch("shower", "noise", ny * nx, data, groupdq, gain, readnoise, median, sigma, *sizes)
    return median, sigma


def clipped_noise(data, groupdq, gain):
    """Median of each difference of successive groups over the integrations, and its scatter there, outliers left out.

    Arguments as for ``noise``. Returns ``median[ngroup - 1, ny, nx]`` and ``sigma`` of the same shape, electrons,
    float32. Values beyond 5 standard deviations from the median are left out, in at most 5 passes.
    """
    nint, ngroup, ny, nx = data.shape
    median, sigma = cp.empty((ngroup - 1, ny, nx), cp.float32), cp.empty((ngroup - 1, ny, nx), cp.float32)
    sizes = np.int64(median.size), np.int32(nint), np.int64(ngroup), np.int64(ny * nx)
    launch("shower", "clipped_noise", median.size, data, groupdq, gain, median, sigma, *sizes)
    return median, sigma


def extended_emission(data, groupdq, pixeldq, gain, median, sigma, *, inner, outer, threshold):
    """Where the mean of |difference - median| / sigma over a ring around a pixel exceeds ``threshold``.

    ``data``, ``groupdq``, ``gain``, ``median``, ``sigma`` as for ``noise`` and ``clipped_noise``; ``pixeldq[ny, nx]``
    uint32. The ring holds the pixels at ``inner`` to ``outer`` pixels from the center. A pixel does not count, in the
    mean or as a center, where it is a reference pixel, where its ratio is not finite, or where ``pixeldq`` or the later
    group's flags have DO_NOT_USE, SATURATED or JUMP_DET; pixels beyond the frame count as zeros. Returns
    ``found[nint, ngroup - 1, ny, nx]`` uint8, 1 or 0. Float32, rows of the ring first.
    """
    nint, ngroup, ny, nx = data.shape
    found = cp.empty((nint, ngroup - 1, ny, nx), cp.uint8)
    ratio = cp.empty((ngroup - 1, ny, nx), cp.float32)
    n, plane = np.int64(ratio.size), np.int64(ny * nx)
    noise_step = np.int64(ny * nx if len(median) > 1 else 0)
    ring = np.float64(inner), np.float64(outer), np.float32(threshold)
    for i in range(nint):
        sizes = n, np.int64(ngroup), plane, np.int64(i), noise_step
        launch("shower", "weigh", ratio.size, data, groupdq, pixeldq, gain, median, sigma, ratio, *sizes)
        launch("shower", "smooth", ratio.size, ratio, found[i], n, np.int64(ny), np.int64(nx), *ring)
    return found


def accept_inplace(groupdq, marks, data, pixeldq, gain, *, limit):
    """Flag JUMP_DET where ``marks`` does, in pixels whose mean difference of groups that changes by at most ``limit``.

    ``groupdq``, ``marks`` uint8 and ``data`` DN, all ``[nint, ngroup, ny, nx]``; ``pixeldq[ny, nx]`` uint32;
    ``gain[ny, nx]`` electrons/DN; ``limit`` electrons a group. The mean is one over an integration, without groups
    flagged DO_NOT_USE, SATURATED or JUMP_DET; a pixel that would have no mean, or has none, is left as it is, and so is
    a reference pixel.
    """
    nint, ngroup, ny, nx = data.shape
    n, sizes = nint * ny * nx, (np.int64(ngroup), np.int64(ny * nx))
    launch("shower", "accept", n, groupdq, marks, data, pixeldq, gain, np.int64(n), *sizes, np.float32(limit))
