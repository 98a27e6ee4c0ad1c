"""Faint extended emission of cosmic-ray showers."""

from __future__ import annotations

import numpy as np

from gpujw.dq import DO_NOT_USE, JUMP_DET, REFERENCE_PIXEL, SATURATED

BAD = DO_NOT_USE | SATURATED | JUMP_DET


def unused_groups(groupdq):
    """Which groups of ``groupdq[nint, ngroup, ny, nx]`` hold DO_NOT_USE in every pixel: bool, on the host."""
    return (groupdq & DO_NOT_USE != 0).all(axis=(2, 3))


def noise(data, groupdq, gain, readnoise, *, nframes):
    """Median difference of successive groups of each pixel, over all integrations, and the noise of one difference.

    ``data[nint, ngroup, ny, nx]`` DN; ``groupdq`` of the same shape: a group counts unless its flags are just
    DO_NOT_USE, SATURATED or JUMP_DET, the latter with or without DO_NOT_USE, and nothing else. ``gain[ny, nx]``
    electrons/DN, ``readnoise[ny, nx]`` electrons, of a difference of two frames. Returns ``median[1, ny, nx]`` and
    ``sigma[1, ny, nx]``, electrons, float32: sigma^2 = |median| + readnoise^2 / nframes.
    """
    with np.errstate(invalid="ignore"):
        differences = np.diff(_electrons(data, groupdq, gain), axis=1)
        median = _median(differences.reshape(-1, *gain.shape))
        sigma = np.sqrt(np.abs(median) + readnoise * readnoise / np.float32(nframes))
    return median[np.newaxis], sigma[np.newaxis]


def clipped_noise(data, groupdq, gain):
    """Median of each difference of successive groups over the integrations, and its scatter there, outliers left out.

    Arguments as for ``noise``. Returns ``median[ngroup - 1, ny, nx]`` and ``sigma`` of the same shape, electrons,
    float32. Values beyond 5 standard deviations from the median are left out, in at most 5 passes.
    """
    differences = np.diff(_electrons(data, groupdq, gain), axis=1).astype(np.float64)
    differences[~np.isfinite(differences)] = np.nan
    low = high = np.zeros(differences.shape[1:])
    survivors = differences
    for _ in range(5):
        center, scatter = _median(survivors), _deviation(survivors)
        low, high = center - 5 * scatter, center + 5 * scatter
        survivors = np.where((survivors >= low) & (survivors <= high), survivors, np.nan)
    # The last bounds apply to all: what an earlier pass left out may be inside them.
    survivors = np.where((differences >= low) & (differences <= high), differences, np.nan)
    return _median(survivors).astype(np.float32), _deviation(survivors).astype(np.float32)


def extended_emission(data, groupdq, pixeldq, gain, median, sigma, *, inner, outer, threshold):
    """Where the mean of |difference - median| / sigma over a ring around a pixel exceeds ``threshold``.

    ``data``, ``groupdq``, ``gain``, ``median``, ``sigma`` as for ``noise`` and ``clipped_noise``; ``pixeldq[ny, nx]``
    uint32. The ring holds the pixels at ``inner`` to ``outer`` pixels from the center. A pixel does not count, in the
    mean or as a center, where it is a reference pixel, where its ratio is not finite, or where ``pixeldq`` or the later
    group's flags have DO_NOT_USE, SATURATED or JUMP_DET; pixels beyond the frame count as zeros. Returns
    ``found[nint, ngroup - 1, ny, nx]`` uint8, 1 or 0. Float32, rows of the ring first.
    """
    unusable = (groupdq[:, 1:] | pixeldq) & BAD != 0
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(np.diff(_electrons(data, groupdq, gain), axis=1) - median) / sigma
        good = np.isfinite(ratio) & ~unusable & (pixeldq != REFERENCE_PIXEL)
        total = _ring_sum(np.where(good, ratio, np.float32(0)), inner, outer, np.float32(0))
        count = _ring_sum(good.astype(np.float32), inner, outer, np.float32(1))
        return (good & (total / count > np.float32(threshold))).astype(np.uint8)


def accept_inplace(groupdq, marks, data, pixeldq, gain, *, limit):
    """Flag JUMP_DET where ``marks`` does, in pixels whose mean difference of groups that changes by at most ``limit``.

    ``groupdq``, ``marks`` uint8 and ``data`` DN, all ``[nint, ngroup, ny, nx]``; ``pixeldq[ny, nx]`` uint32;
    ``gain[ny, nx]`` electrons/DN; ``limit`` electrons a group. The mean is one over an integration, without groups
    flagged DO_NOT_USE, SATURATED or JUMP_DET; a pixel that would have no mean, or has none, is left as it is, and so is
    a reference pixel.
    """
    electrons = data * gain
    with np.errstate(invalid="ignore"):
        before = _mean_difference(np.where(groupdq & BAD, np.float32(np.nan), electrons))
        after = _mean_difference(np.where((groupdq | marks) & BAD, np.float32(np.nan), electrons))
        accepted = (np.abs(before - after) <= np.float32(limit)) & (pixeldq != REFERENCE_PIXEL)
    groupdq |= np.where(accepted[:, np.newaxis], marks, np.uint8(0))


def _electrons(data, groupdq, gain):
    """Counts in electrons, NaN where the flags are exactly some of those that make a group useless."""
    flagged = np.isin(groupdq, (DO_NOT_USE, SATURATED, JUMP_DET, SATURATED | DO_NOT_USE, JUMP_DET | DO_NOT_USE))
    return np.where(flagged, np.float32(np.nan), data * gain)


def _median(values):
    """The median along the first axis of what is not NaN; NaN of nothing."""
    ordered = np.sort(values, axis=0)
    count = np.count_nonzero(~np.isnan(values), axis=0)[np.newaxis]
    upper = np.take_along_axis(ordered, np.minimum(count // 2, len(values) - 1), axis=0)
    lower = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=0)
    return np.where(count > 0, (upper + lower) / 2, np.float32(np.nan))[0].astype(values.dtype)


def _deviation(values):
    count = np.count_nonzero(~np.isnan(values), axis=0)
    with np.errstate(invalid="ignore"):
        mean = np.nansum(values, axis=0) / count
        return np.sqrt(np.nansum((values - mean) ** 2, axis=0) / count)


def _ring_sum(values, inner, outer, beyond):
    """The sum over the ring around each pixel of ``values[..., ny, nx]``, which are ``beyond`` beyond the frame."""
    radius = int(outer)
    ny, nx = values.shape[-2:]
    widths = [(0, 0)] * (values.ndim - 2) + [(radius, radius)] * 2
    padded = np.pad(values, widths, constant_values=beyond)
    total = np.zeros_like(values)
    for dy in range(-radius, radius + 1):
        rows = padded[..., radius + dy : radius + dy + ny, :]
        row = np.zeros_like(values)
        for dx in range(radius + 1):
            if inner * inner <= dx * dx + dy * dy <= outer * outer:
                left, right = rows[..., radius - dx :][..., :nx], rows[..., radius + dx :][..., :nx]
                row += left + right if dx else left
        total += row
    return total


def _mean_difference(electrons):
    """The mean of the differences of successive groups that are not NaN, summed in order, float32."""
    total, count = np.zeros((2, *electrons[:, 0].shape), np.float32)
    for g in range(1, electrons.shape[1]):
        difference = electrons[:, g] - electrons[:, g - 1]
        known = ~np.isnan(difference)
        total = np.where(known, total + difference, total)
        count += known
    return total / count
