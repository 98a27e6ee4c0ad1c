"""Faint extended emission of cosmic-ray showers."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import count_numbers, middle, sort_columns_inplace
from gpujw.dq import DO_NOT_USE, JUMP_DET, REFERENCE_PIXEL, SATURATED

BAD = DO_NOT_USE | SATURATED | JUMP_DET
USELESS = JUMP_DET | DO_NOT_USE  # flags 1 to this are those of a useless group, and no others
PART = 128  # columns that are sorted together
BAND = 64  # rows that one thread smooths together
CHUNK = 64  # columns that are passed over together where none is marked


def unused_groups(groupdq):
    """Which groups of ``groupdq[nint, ngroup, ny, nx]`` hold DO_NOT_USE in every pixel: bool, on the host."""
    unused = np.empty(groupdq.shape[:2], np.bool_)
    _find_unused(groupdq, unused)
    return unused


@kernel
def _find_unused(groupdq, unused):
    nint, ngroup = unused.shape
    for frame in prange(nint * ngroup):
        unused[frame // ngroup, frame % ngroup] = _is_unused(groupdq[frame // ngroup, frame % ngroup])


@helper
def _is_unused(flags):
    ny, nx = flags.shape
    for y in range(ny):
        for x in range(nx):
            if not flags[y, x] & DO_NOT_USE:
                return False
    return True


def noise(data, groupdq, gain, readnoise, *, nframes):
    """Median difference of successive groups of each pixel, over all integrations, and the noise of one difference.

    ``data[nint, ngroup, ny, nx]`` DN; ``groupdq`` of the same shape: a group counts unless its flags are just
    DO_NOT_USE, SATURATED or JUMP_DET, the latter with or without DO_NOT_USE, and nothing else. ``gain[ny, nx]``
    electrons/DN, ``readnoise[ny, nx]`` electrons, of a difference of two frames. Returns ``median[1, ny, nx]`` and
    ``sigma[1, ny, nx]``, electrons, float32: sigma^2 = |median| + readnoise^2 / nframes.
    """
    median, sigma = np.empty((2, 1, *gain.shape), np.float32)
    _noise(data, groupdq, gain, readnoise, np.float32(nframes), median, sigma)
    return median, sigma


@kernel
def _noise(data, groupdq, gain, readnoise, nframes, median, sigma):
    for y in prange(data.shape[2]):
        _noise_row(data, groupdq, gain[y], readnoise[y], nframes, np.int64(y), median[0, y], sigma[0, y])


@helper
def _noise_row(data, groupdq, gain, readnoise, nframes, y, median, sigma):
    nint, ngroup, _, nx = data.shape
    n = nint * (ngroup - 1)
    values = np.empty((n, min(nx, PART)), np.float32)
    for x0 in range(0, nx, PART):
        for i in range(nint):
            for g in range(1, ngroup):
                _subtract(data, groupdq, gain, i, g, y, x0, values[i * (ngroup - 1) + g - 1])
        sort_columns_inplace(values)
        for x in range(x0, min(x0 + PART, nx)):
            median[x] = middle(values, x - x0, 0, count_numbers(values, x - x0))
            sigma[x] = np.sqrt(abs(median[x]) + readnoise[x] * readnoise[x] / nframes)


@helper
def _subtract(data, groupdq, gain, i, g, y, x0, out):
    """Group ``g`` less the one before it, electrons, from column ``x0`` on; NaN where either does not count."""
    e, e0, q, q0 = data[i, g, y, x0:], data[i, g - 1, y, x0:], groupdq[i, g, y, x0:], groupdq[i, g - 1, y, x0:]
    scale = gain[x0:]
    for x in range(min(out.size, e.size)):
        counts = ((q[x] == 0) | (q[x] > USELESS)) & ((q0[x] == 0) | (q0[x] > USELESS))
        out[x] = e[x] * scale[x] - e0[x] * scale[x] if counts else np.float32(np.nan)


def clipped_noise(data, groupdq, gain):
    """Median of each difference of successive groups over the integrations, and its scatter there, outliers left out.

    Arguments as for ``noise``. Returns ``median[ngroup - 1, ny, nx]`` and ``sigma`` of the same shape, electrons,
    float32. Values beyond 5 standard deviations from the median are left out, in at most 5 passes.
    """
    median, sigma = np.empty((2, data.shape[1] - 1, *gain.shape), np.float32)
    _clipped_noise(data, groupdq, gain, median, sigma)
    return median, sigma


@kernel
def _clipped_noise(data, groupdq, gain, median, sigma):
    for y in prange(data.shape[2]):
        for d in range(median.shape[0]):
            _clipped_row(data, groupdq, gain[y], d, np.int64(y), median[d, y], sigma[d, y])


@helper
def _clipped_row(data, groupdq, gain, d, y, median, sigma):
    nint, _, _, nx = data.shape
    values = np.empty((nint, min(nx, PART)), np.float32)
    for x0 in range(0, nx, PART):
        for i in range(nint):
            _subtract(data, groupdq, gain, i, d + 1, y, x0, values[i])
            for x in range(values.shape[1]):
                values[i, x] = values[i, x] if np.isfinite(values[i, x]) else np.float32(np.nan)
        sort_columns_inplace(values)
        for x in range(x0, min(x0 + PART, nx)):
            median[x], sigma[x] = _clip(values, x - x0)


@helper
def _clip(values, x):
    """Median and standard deviation of the sorted column ``x`` of ``values`` without its outliers."""
    count = count_numbers(values, x)
    first, last = 0, count
    low, high = -np.inf, np.inf
    for _ in range(5):
        center, scatter = middle(values, x, first, last), _deviation(values, x, first, last)
        low, high = center - 5 * scatter, center + 5 * scatter
        first, last = _inside(values, x, first, last, low, high)
    # The last bounds apply to all: what an earlier pass left out may be inside them.
    first, last = _inside(values, x, 0, count, low, high)
    return middle(values, x, first, last), _deviation(values, x, first, last)


@helper
def _inside(values, x, first, last, low, high):
    """Rows ``first`` to ``last`` (not included) of the sorted column ``x`` without those out of bounds."""
    while first < last and values[first, x] < low:
        first += 1
    while first < last and values[last - 1, x] > high:
        last -= 1
    return first, last


@helper
def _deviation(values, x, first, last):
    total = 0.0
    for k in range(first, last):
        total += values[k, x]
    mean = total / (last - first)
    squares = 0.0
    for k in range(first, last):
        squares += (values[k, x] - mean) ** 2
    return np.sqrt(squares / (last - first))


def extended_emission(data, groupdq, pixeldq, gain, median, sigma, *, inner, outer, threshold):
    """Where the mean of |difference - median| / sigma over a ring around a pixel exceeds ``threshold``.

    ``data``, ``groupdq``, ``gain``, ``median``, ``sigma`` as for ``noise`` and ``clipped_noise``; ``pixeldq[ny, nx]``
    uint32. The ring holds the pixels at ``inner`` to ``outer`` pixels from the center. A pixel does not count, in the
    mean or as a center, where it is a reference pixel, where its ratio is not finite, or where ``pixeldq`` or the later
    group's flags have DO_NOT_USE, SATURATED or JUMP_DET; pixels beyond the frame count as zeros. Returns
    ``found[nint, ngroup - 1, ny, nx]`` uint8, 1 or 0. Float32, rows of the ring first.
    """
    radius = int(outer)
    dy, dx = np.ogrid[: radius + 1, : radius + 1]
    inside = (inner * inner <= dy * dy + dx * dx) & (dy * dy + dx * dx <= outer * outer)
    found = np.empty((data.shape[0], data.shape[1] - 1, *gain.shape), np.uint8)
    _find(data, groupdq, pixeldq, gain, median, sigma, inside, np.float32(threshold), found)
    return found


@kernel
def _find(data, groupdq, pixeldq, gain, median, sigma, inside, threshold, found):
    bands = (gain.shape[0] + BAND - 1) // BAND
    for job in prange(found.shape[0] * bands):
        i, start = job // bands, job % bands * BAND
        _find_band(data[i], groupdq[i], pixeldq, gain, median, sigma, inside, threshold, start, found[i])


@helper
def _find_band(data, groupdq, pixeldq, gain, median, sigma, inside, threshold, start, found):
    ndifference, ny, nx = found.shape
    radius = inside.shape[0] - 1
    depth = 2 * radius + 1
    # Arrays one by one: those that numba unpacks from one are not known to be contiguous.
    ratio = np.empty(nx + 2 * radius, np.float32)
    valid = np.empty(nx + 2 * radius, np.float32)
    # Of the last `depth` rows: whether pixels count, and what they add to the sums of rows at a distance of dy.
    good = np.empty((depth, nx), np.float32)
    sums = np.empty((depth, radius + 1, nx), np.float32)
    counts = np.empty((depth, radius + 1, nx), np.float32)
    total = np.empty(nx, np.float32)
    count = np.empty(nx, np.float32)
    for d in range(ndifference):
        m = min(d, median.shape[0] - 1)
        _fill(ratio, np.float32(0))
        _fill(valid, np.float32(1))
        for y in range(start - radius, min(start + BAND, ny) + radius):
            k = (y + radius) % depth
            if 0 <= y < ny:
                flags = groupdq[d, y], groupdq[d + 1, y], pixeldq[y]
                noise = gain[y], median[m, y], sigma[m, y]
                _weigh(data[d, y], data[d + 1, y], flags, noise, ratio[radius:], valid[radius:])
            else:
                _fill(ratio, np.float32(0))
                _fill(valid, np.float32(1))
            _copy(valid[radius:], good[k])
            _sum_row(ratio, inside, sums[k])
            _sum_row(valid, inside, counts[k])
            if y - radius >= start:
                _sum_ring(sums, y - radius, total)
                _sum_ring(counts, y - radius, count)
                _compare(total, count, good[y % depth], threshold, found[d, y - radius])


@helper
def _fill(values, value):
    for x in range(values.size):
        values[x] = value


@helper
def _copy(values, out):
    for x in range(out.size):
        out[x] = values[x]


@helper
def _weigh(e0, e, flags, noise, ratio, valid):
    """The ratio of each pixel of a row, and 1; both 0 where it does not count."""
    q0, q, p = flags
    gain, median, sigma = noise
    for x in range(e.size):
        value = abs(e[x] * gain[x] - e0[x] * gain[x] - median[x]) / sigma[x]
        useful = (q0[x] == 0) | (q0[x] > USELESS)
        usable = ((q[x] | p[x]) & BAD == 0) & (p[x] != REFERENCE_PIXEL)
        counts = useful & usable & (value < np.float32(np.inf))
        ratio[x] = value if counts else np.float32(0)
        valid[x] = np.float32(1) if counts else np.float32(0)


@helper
def _sum_row(padded, inside, sums):
    """``sums[dy, x]``: the sum over the pixels of one row that are ``inside`` the ring, its center ``dy`` rows away."""
    radius = inside.shape[0] - 1
    for dy in range(radius, -1, -1):
        # Away from the hole a row goes on from the one farther out, which is shorter.
        longer = dy < radius and inside[dy, 0] and inside[dy + 1, 0]
        if longer:
            _copy(sums[dy + 1], sums[dy])
        elif inside[dy, 0]:
            _copy(padded[radius:], sums[dy])
        else:
            _fill(sums[dy], np.float32(0))
        for dx in range(1, radius + 1):
            if inside[dy, dx] and not (longer and inside[dy + 1, dx]):
                _add_pair(padded[radius - dx :], padded[radius + dx :], sums[dy])


@helper
def _add_pair(left, right, out):
    for x in range(out.size):
        out[x] += left[x] + right[x]


@helper
def _sum_ring(rows, y, out):
    """The sum over the rows of the ring around row ``y``; row y + dy is at ``(y + radius + dy) % depth``."""
    depth, radius = rows.shape[0], rows.shape[1] - 1
    for x in range(out.size):
        out[x] = np.float32(0)
    for dy in range(-radius, radius + 1):
        row = rows[(y + radius + dy) % depth, abs(dy)]
        for x in range(out.size):
            out[x] += row[x]


@helper
def _compare(total, count, good, threshold, found):
    for x in range(found.size):
        found[x] = (good[x] != 0) & (total[x] / count[x] > threshold)


def accept_inplace(groupdq, marks, data, pixeldq, gain, *, limit):
    """Flag JUMP_DET where ``marks`` does, in pixels whose mean difference of groups that changes by at most ``limit``.

    ``groupdq``, ``marks`` uint8 and ``data`` DN, all ``[nint, ngroup, ny, nx]``; ``pixeldq[ny, nx]`` uint32;
    ``gain[ny, nx]`` electrons/DN; ``limit`` electrons a group. The mean is one over an integration, without groups
    flagged DO_NOT_USE, SATURATED or JUMP_DET; a pixel that would have no mean, or has none, is left as it is, and so is
    a reference pixel.
    """
    _accept(groupdq, marks, data, pixeldq, gain, np.float32(limit))


@kernel
def _accept(groupdq, marks, data, pixeldq, gain, limit):
    nint, ngroup, ny, nx = data.shape
    for row in prange(nint * ny):
        i, y = row // ny, row % ny
        for x0 in range(0, nx, CHUNK):
            stop = min(x0 + CHUNK, nx)
            some = np.uint8(0)
            for g in range(ngroup):
                for x in range(x0, stop):
                    some = np.uint8(some | marks[i, g, y, x])
            for x in range(x0, stop if some else x0):
                before = _mean_difference(data, groupdq, groupdq, gain, i, y, x)
                after = _mean_difference(data, groupdq, marks, gain, i, y, x)
                if abs(before - after) <= limit and pixeldq[y, x] != REFERENCE_PIXEL:
                    for g in range(ngroup):
                        groupdq[i, g, y, x] |= marks[i, g, y, x]


@helper
def _mean_difference(data, groupdq, marks, gain, i, y, x):
    """The mean of the differences of successive groups, without those flagged in either; NaN of none."""
    total, count = np.float32(0), np.float32(0)
    last = np.float32(np.nan)
    for g in range(data.shape[1]):
        flagged = (groupdq[i, g, y, x] | marks[i, g, y, x]) & BAD
        e = np.float32(np.nan) if flagged else data[i, g, y, x] * gain[y, x]
        if not np.isnan(e - last):
            total += e - last
            count += np.float32(1)
        last = e
    return total / count
