"""Cosmic-ray jumps by the two-point difference, their neighbors and their afterglow."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import count_numbers, middle, sort_columns_inplace, width_of
from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED

BAD = np.uint8(DO_NOT_USE | SATURATED)
JUMP = np.uint8(JUMP_DET)


def flag_outliers_inplace(data, groupdq, gain, readnoise, *, nframes, thresholds, single_pass):
    """Flag the groups that end a difference too far from the pixel's median one; how many groups of each row have the flag.

    ``data[nint, ngroup, ny, nx]`` DN, ``groupdq`` of the same shape; ``gain[ny, nx]`` e-/DN; ``readnoise[ny, nx]`` e-, of
    a pair of frames. The differences of all integrations of a pixel are one set, without those from or to a group that
    is saturated or not to be used; sigma^2 = \\|median\\| + readnoise^2 / nframes. ``single_pass`` flags all that lie more
    than ``thresholds[0]`` sigma from their median. Otherwise the sizes of the differences are searched for one at a time,
    until none stands out from the median of the others by more than ``thresholds``: [0] while four or more are left, [1]
    of three, [2] of two. A jump flag on an unusable group is counted, and taken away. Anderson & Gordon 2011, PASP 123,
    1237.
    """
    count = np.zeros(data.shape[2], np.int64)
    _flag_outliers(data, groupdq, gain, readnoise, float(nframes), tuple(map(float, thresholds)), single_pass, count)
    return count


def flag_neighbors_inplace(data, groupdq, gain, readnoise, *, nframes, low, high):
    """Flag the four neighbors of the jumps of ``low`` to ``high`` sigma (both excluded), where they are usable.

    Arrays as in :func:`flag_outliers_inplace`; a jump is measured from the median of the pixel's differences.
    """
    marks = np.empty(groupdq.shape, np.uint8)
    _mark_jumps(data, groupdq, gain, readnoise, float(nframes), float(low), float(high), marks)
    _spread_marks(marks, groupdq)


def flag_afterglow_inplace(data, groupdq, gain, *, electrons, ngroups):
    """Flag the ``ngroups`` usable groups that follow a jump of ``electrons`` or more; two pairs of them, each on its own.

    Arrays as in :func:`flag_outliers_inplace`; a jump is measured from the median of the pixel's differences.
    """
    _flag_afterglow(data, groupdq, gain, tuple(map(float, electrons)), tuple(map(int, ngroups)))


@kernel
def _flag_outliers(data, groupdq, gain, readnoise, nframes, thresholds, single_pass, count):
    nint, ngroup, ny, nx = data.shape
    npair = nint * (ngroup - 1)
    width = _even_width(npair, nx)
    for y in prange(ny):
        values = np.empty((npair, width), np.float32)
        pairs = np.empty((npair, 2), np.int64)
        state = np.empty((nint, ngroup), np.uint8)
        suspect = np.empty(width, np.uint8)
        for x0 in range(0, nx, width):
            size = min(width, nx - x0)
            count[y] += _look_at_flags(groupdq, y, x0, size, state, suspect)
            n = _pairs_in_use(state, pairs)
            _difference(data, groupdq, gain, y, x0, size, state, pairs[:n], values)
            if not single_pass:
                _absolute_inplace(values[:n])
            sort_columns_inplace(values[:n])
            _suspect(values[:n], readnoise[y, x0 : x0 + size], nframes, thresholds, single_pass, suspect)
            for x in range(size):
                if suspect[x]:
                    variance = np.float64(readnoise[y, x0 + x] * readnoise[y, x0 + x]) / nframes
                    kept = _usual(values[:n], x, variance, thresholds, single_pass)
                    count[y] += _flag_beyond(data, groupdq, gain, y, x0 + x, pairs[:n], kept, thresholds[0], single_pass)


@helper
def _even_width(npair, nx):
    """Pixels of a row to take at once: as ``width_of`` says, but in parts of one size."""
    parts = -(-nx // width_of(npair))
    return -(-nx // max(parts, 1))


@helper
def _look_at_flags(groupdq, y, x0, size, state, suspect):
    """Which groups none (0), some (1) or all (2) of these pixels lack; which pixels have some and lack some of the same.

    Counts the jumps that are there already, and takes away those of unusable groups.
    """
    nint, ngroup = state.shape
    suspect[:] = 0
    count = 0
    for i in range(nint):
        for g in range(ngroup):
            any_bit = np.uint8(0)
            all_bad = np.uint8(1)
            for x in range(x0, x0 + size):
                any_bit |= groupdq[i, g, y, x]
                all_bad &= groupdq[i, g, y, x] | (groupdq[i, g, y, x] >> np.uint8(1))
            state[i, g] = 0 if not any_bit & BAD else 2 if all_bad else 1
            if state[i, g] == 1:
                for x in range(size):
                    suspect[x] |= groupdq[i, g, y, x0 + x] & BAD
            if any_bit & JUMP:
                for x in range(x0, x0 + size):
                    flags = groupdq[i, g, y, x]
                    count += flags & JUMP != 0
                    groupdq[i, g, y, x] = flags & ~JUMP if flags & BAD else flags
    return count


@helper
def _pairs_in_use(state, pairs):
    """List the integrations and first groups of the differences that some of the pixels have; how many there are."""
    nint, ngroup = state.shape
    n = 0
    for i in range(nint):
        for g in range(ngroup - 1):
            if state[i, g] < 2 and state[i, g + 1] < 2:
                pairs[n, 0] = i
                pairs[n, 1] = g
                n += 1
    return n


@helper
def _difference(data, groupdq, gain, y, x0, size, state, pairs, values):
    """Differences of successive groups in electrons, one a row of ``values``, NaN where a group is unusable."""
    for k in range(pairs.shape[0]):
        i, g = pairs[k]
        for x in range(size):
            electrons = data[i, g, y, x0 + x] * gain[y, x0 + x]
            values[k, x] = data[i, g + 1, y, x0 + x] * gain[y, x0 + x] - electrons
        if state[i, g] or state[i, g + 1]:
            for x in range(size):
                if (groupdq[i, g, y, x0 + x] | groupdq[i, g + 1, y, x0 + x]) & BAD:
                    values[k, x] = np.nan
        values[k, size:] = 0


@helper
def _absolute_inplace(values):
    for k in range(values.shape[0]):
        for x in range(values.shape[1]):
            values[k, x] = abs(values[k, x])


@helper
def _suspect(values, readnoise, nframes, thresholds, single_pass, suspect):
    """Add to ``suspect`` the pixels that may have a jump; none that has is left out.

    Float32, with a margin for its rounding: a part in a million of the largest difference, and a thousandth of sigma^2.
    """
    n = values.shape[0]
    if n == 0:
        return
    lower, upper, threshold = (n - 1) // 2, n // 2, thresholds[0]
    largest = -1
    if not single_pass:
        lower, upper = (0, 0) if n < 3 else (1, 1) if n == 3 else ((n - 2) // 2, (n - 1) // 2)
        threshold = thresholds[0] if n > 3 else thresholds[4 - n] if n > 1 else np.inf
        # Of four or more all that equal the largest are left out of the median; the rest then has another middle.
        largest = n - 2 if n > 3 else -1
    limit = np.float32(0.999 * threshold * threshold)
    per_frame = np.float32(1 / nframes)
    for x in range(readnoise.size):
        median = np.float32(0.5) * (values[lower, x] + values[upper, x])
        smallest, greatest = values[0, x], values[n - 1, x]
        margin = np.float32(1e-6) * max(abs(smallest), abs(greatest))
        off = max(greatest - median, median - smallest) + margin
        poisson = max(abs(median) - margin, np.float32(0))
        within = off * off <= limit * (readnoise[x] * readnoise[x] * per_frame + poisson)
        suspect[x] |= not within
    if largest > 0:
        for x in range(readnoise.size):
            suspect[x] |= (values[largest, x] == values[n - 1, x]) & (values[largest, x] > 0)


@helper
def _usual(values, x, variance, thresholds, single_pass):
    """What a difference of the pixel in column ``x`` is held against: least, greatest, center and reach.

    An iterative search keeps the sizes from least to greatest, a single pass what lies within reach of the center.
    """
    n = count_numbers(values, x)
    if single_pass:
        median = middle(values, x, 0, n)
        sigma = np.sqrt(abs(median) + variance)
        return np.float32(0), np.float32(0), median, sigma if sigma > 0 else np.nan
    first, last = _search(values, x, n, variance, thresholds)
    if first == last:
        return np.float32(np.inf), np.float32(-np.inf), 0.0, 0.0
    return values[first, x], values[last - 1, x], 0.0, 0.0


@helper
def _search(values, x, n, variance, thresholds):
    """The rows of the sorted column ``x`` that are left when one outlier after the other has been taken off its ends."""
    first, last = 0, n
    while last - first >= 2:
        left = last - first
        median = _median_without_largest(values, x, first, last)
        if left < n:
            # The peer keeps the medians of all but the first round in single precision.
            median = np.float64(np.float32(median))
        sigma = np.sqrt(abs(median) + variance)
        above = abs(np.float32(values[last - 1, x] - median))
        below = abs(np.float32(values[first, x] - median))
        worst = above if above >= below else below
        threshold = thresholds[0] if left > 3 else thresholds[4 - left]
        if not (sigma > 0 and worst / sigma > threshold):
            break
        while last > first and abs(np.float32(values[last - 1, x] - median)) == worst:
            last -= 1
        while last > first and abs(np.float32(values[first, x] - median)) == worst:
            first += 1
    return first, last


@helper
def _median_without_largest(values, x, first, last):
    """Of four or more, the median without the largest and its equals; of three their median; of two the lesser."""
    if last - first == 2:
        return np.float64(values[first, x])
    if last - first == 3:
        return np.float64(values[first + 1, x])
    end = last
    while end > first and values[end - 1, x] == values[last - 1, x]:
        end -= 1
    return middle(values, x, first, end)


@helper
def _flag_beyond(data, groupdq, gain, y, x, pairs, kept, threshold, single_pass):
    """Flag the pixel's groups whose difference from the last is not as usual; how many."""
    least, greatest, center, reach = kept
    count = 0
    for k in range(pairs.shape[0]):
        i, g = pairs[k]
        if (groupdq[i, g, y, x] | groupdq[i, g + 1, y, x]) & BAD:
            continue
        value = data[i, g + 1, y, x] * gain[y, x] - data[i, g, y, x] * gain[y, x]
        if single_pass:
            beyond = np.isfinite(value) and abs(value - center) / reach > threshold
        else:
            beyond = abs(value) > greatest or abs(value) < least
        if beyond and not groupdq[i, g + 1, y, x] & JUMP:
            groupdq[i, g + 1, y, x] |= JUMP
            count += 1
    return count


@kernel
def _mark_jumps(data, groupdq, gain, readnoise, nframes, low, high, marks):
    nint, ngroup, ny, nx = data.shape
    width = _even_width(nint * (ngroup - 1), nx)
    for y in prange(ny):
        marks[:, :, y] = 0
        hits = _pixels_with_jumps(groupdq, y)
        values = np.empty((nint * (ngroup - 1), width), np.float32)
        for first in range(0, hits.size, width):
            batch = hits[first : first + width]
            _sort_differences(data, groupdq, gain, y, batch, values)
            for k in range(batch.size):
                x = batch[k]
                median = middle(values, k, 0, count_numbers(values, k))
                sigma = np.sqrt(abs(median) + np.float64(readnoise[y, x] * readnoise[y, x]) / nframes)
                for i in range(nint):
                    for g in range(1, ngroup):
                        if groupdq[i, g, y, x] & JUMP and not groupdq[i, g - 1, y, x] & BAD:
                            value = data[i, g, y, x] * gain[y, x] - data[i, g - 1, y, x] * gain[y, x]
                            ratio = abs(value - median) / sigma
                            if low < ratio < high and sigma > 0:
                                marks[i, g, y, x] = JUMP


@helper
def _pixels_with_jumps(groupdq, y):
    """The columns of row ``y`` that have a jump in any group but the first."""
    nint, ngroup, ny, nx = groupdq.shape
    found = np.zeros(nx, np.uint8)
    for i in range(nint):
        for g in range(1, ngroup):
            for x in range(nx):
                found[x] |= groupdq[i, g, y, x]
    return np.nonzero(found & JUMP)[0]


@helper
def _sort_differences(data, groupdq, gain, y, batch, values):
    """Sort the usable differences, in electrons, of some pixels of row ``y`` into the columns of ``values``."""
    nint, ngroup = data.shape[:2]
    values[:, batch.size :] = 0
    for k in range(batch.size):
        x = batch[k]
        for i in range(nint):
            for g in range(ngroup - 1):
                value = data[i, g + 1, y, x] * gain[y, x] - data[i, g, y, x] * gain[y, x]
                bad = (groupdq[i, g, y, x] | groupdq[i, g + 1, y, x]) & BAD
                values[i * (ngroup - 1) + g, k] = np.float32(np.nan) if bad else value
    sort_columns_inplace(values)


@kernel
def _spread_marks(marks, groupdq):
    nint, ngroup, ny, nx = groupdq.shape
    for y in prange(ny):
        nothing = np.zeros(nx, np.uint8)
        for i in range(nint):
            for g in range(1, ngroup):
                here = marks[i, g, y]
                above = marks[i, g, y + 1] if y + 1 < ny else nothing
                below = marks[i, g, y - 1] if y > 0 else nothing
                flags = groupdq[i, g, y]
                for x in range(nx):
                    near = above[x] | below[x]
                    flags[x] |= np.uint8(0) if flags[x] & BAD else near
                for x in range(nx - 1):
                    flags[x] |= np.uint8(0) if flags[x] & BAD else here[x + 1]
                for x in range(1, nx):
                    flags[x] |= np.uint8(0) if flags[x] & BAD else here[x - 1]


@kernel
def _flag_afterglow(data, groupdq, gain, electrons, ngroups):
    nint, ngroup, ny, nx = data.shape
    width = _even_width(nint * (ngroup - 1), nx)
    for y in prange(ny):
        hits = _pixels_with_jumps(groupdq, y)
        values = np.empty((nint * (ngroup - 1), width), np.float32)
        for first in range(0, hits.size, width):
            batch = hits[first : first + width]
            _sort_differences(data, groupdq, gain, y, batch, values)
            for k in range(batch.size):
                median = middle(values, k, 0, count_numbers(values, k))
                _flag_tails(data, groupdq, gain, y, batch[k], median, electrons, ngroups)


@helper
def _flag_tails(data, groupdq, gain, y, x, median, electrons, ngroups):
    nint, ngroup = data.shape[:2]
    for i in range(nint):
        reach = 0
        for g in range(1, ngroup):
            jumped = groupdq[i, g, y, x] & JUMP
            if g <= reach and not groupdq[i, g, y, x] & BAD:
                groupdq[i, g, y, x] |= JUMP
            if jumped and not (groupdq[i, g - 1, y, x] | groupdq[i, g, y, x]) & BAD:
                value = data[i, g, y, x] * gain[y, x] - data[i, g - 1, y, x] * gain[y, x]
                for k in range(2):
                    if value - median >= electrons[k]:
                        reach = max(reach, g + ngroups[k])
