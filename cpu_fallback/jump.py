"""Cosmic-ray jumps by the two-point difference, their neighbors and the groups after them."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import count_numbers, even_width, middle, sort_columns_inplace, sort_sizes_inplace
from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED

BAD = np.uint8(DO_NOT_USE | SATURATED)
JUMP = np.uint8(JUMP_DET)
NAN = np.float32(np.nan)


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


def flag_after_jumps_inplace(data, groupdq, gain, *, electrons, ngroups):
    """Flag the ``ngroups`` usable groups that follow a jump of ``electrons`` or more; two pairs of them, each on its own.

    Arrays as in :func:`flag_outliers_inplace`; a jump is measured from the median of the pixel's differences.
    """
    _flag_after_jumps(data, groupdq, gain, tuple(map(float, electrons)), tuple(map(int, ngroups)))


@kernel
def _flag_outliers(data, groupdq, gain, readnoise, nframes, thresholds, single_pass, count):
    for y in prange(data.shape[2]):
        count[y] = _flag_row(data, groupdq, gain[y], readnoise[y], y, nframes, thresholds, single_pass)


@helper
def _flag_row(data, groupdq, gain, readnoise, y, nframes, thresholds, single_pass):
    """Flag the outliers of row ``y``; how many jumps it then has."""
    nint, ngroup, _, nx = data.shape
    npair = nint * (ngroup - 1)
    width = even_width(npair, nx)
    store = np.empty(npair * width, np.float32)
    pairs = np.empty((npair, 2), np.int64)
    state = np.empty((nint, ngroup), np.uint8)
    suspects = np.empty(width, np.uint8)
    count = 0
    for x0 in range(0, nx, width):
        part = slice(x0, min(x0 + width, nx))
        suspect = suspects[: part.stop - x0]
        count += _look_at_flags(groupdq, y, part, state, suspect)
        n = _pairs_in_use(state, pairs)
        values = store[: n * suspect.size].reshape((n, suspect.size))
        _difference(data, groupdq, gain[part], y, part, pairs[:n], values, not single_pass)
        if single_pass:
            sort_columns_inplace(values)
        else:
            sort_sizes_inplace(values)
        _suspect(values, readnoise[part], nframes, thresholds, single_pass, suspect)
        for x in range(suspect.size):
            if suspect[x]:
                variance = np.float64(readnoise[x0 + x] * readnoise[x0 + x]) / nframes
                kept = _usual(values, x, variance, thresholds, single_pass)
                count += _flag_beyond(data, groupdq, gain[x0 + x], y, x0 + x, pairs[:n], kept, thresholds[0], single_pass)
    return count


@helper
def _look_at_flags(groupdq, y, part, state, suspect):
    """Which groups none (0), some (1) or all (2) of these pixels lack; which pixels lack some of those that others have.

    Counts the jumps that are there already, and takes away those of unusable groups.
    """
    nint, ngroup = state.shape
    suspect[:] = 0
    count = 0
    for i in range(nint):
        for g in range(ngroup):
            flags = groupdq[i, g, y, part]
            some, every = _bits_of(flags)
            state[i, g] = 0 if not some & BAD else 2 if every & BAD else 1
            if state[i, g] == 1:
                for x in range(flags.size):
                    suspect[x] |= flags[x] & BAD
            if some & JUMP:
                for x in range(flags.size):
                    count += flags[x] & JUMP != 0
                    flags[x] = flags[x] & ~JUMP if flags[x] & BAD else flags[x]
    return count


@helper
def _bits_of(flags):
    """The bits that any pixel has, and whether every one is unusable (then not 0)."""
    some = np.uint8(0)
    every = np.uint8(1)
    for x in range(flags.size):
        some = np.uint8(some | flags[x])
        every = np.uint8(every & np.uint8(flags[x] | np.uint8(flags[x] >> np.uint8(1))))
    return some, every


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
def _difference(data, groupdq, gain, y, part, pairs, values, sizes):
    """Differences of successive groups in electrons (or their sizes), one a row of ``values``; NaN of unusable groups."""
    for k in range(pairs.shape[0]):
        i, g = pairs[k, 0], pairs[k, 1]
        before, after = data[i, g, y, part], data[i, g + 1, y, part]
        flags_before, flags_after = groupdq[i, g, y, part], groupdq[i, g + 1, y, part]
        row = values[k]
        for x in range(row.size):
            value = after[x] * gain[x] - before[x] * gain[x]
            value = abs(value) if sizes else value
            row[x] = NAN if (flags_before[x] | flags_after[x]) & BAD else value


@helper
def _suspect(values, readnoise, nframes, thresholds, single_pass, suspect):
    """Add to ``suspect`` the pixels that may have a jump; none that has is left out.

    Float32, with a margin for its rounding: a part in a million of the largest difference, and a thousandth of sigma^2.
    """
    n = values.shape[0]
    if n == 0:
        return
    lower, upper, threshold, second = values[(n - 1) // 2], values[n // 2], thresholds[0], values[n - 1]
    if not single_pass and n > 3:
        # All that equal the largest are left out of the median, which then has another middle.
        lower, upper, second = values[(n - 2) // 2], values[(n - 1) // 2], values[n - 2]
    elif not single_pass:
        lower, upper, threshold = values[n // 3], values[n // 3], thresholds[min(4 - n, 2)]
    limit = np.float32(0.999 * threshold * threshold)
    per_frame = np.float32(1 / nframes)
    smallest, largest = values[0], values[n - 1]
    ties = not single_pass and n > 3
    for x in range(readnoise.size):
        median = np.float32(0.5) * (lower[x] + upper[x])
        margin = np.float32(1e-6) * max(abs(smallest[x]), abs(largest[x]))
        off = max(largest[x] - median, median - smallest[x]) + margin
        poisson = max(abs(median) - margin, np.float32(0))
        within = off * off <= limit * (readnoise[x] * readnoise[x] * per_frame + poisson)
        tied = ties & (second[x] == largest[x]) & (second[x] > 0)
        suspect[x] |= tied | (not within)


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
        i, g = pairs[k, 0], pairs[k, 1]
        value = _difference_to(data, groupdq, gain, i, g + 1, y, x)
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
    for y in prange(data.shape[2]):
        _mark_row(data, groupdq, gain[y], readnoise[y], y, nframes, low, high, marks)


@helper
def _mark_row(data, groupdq, gain, readnoise, y, nframes, low, high, marks):
    nint, ngroup, _, nx = data.shape
    for i in range(nint):
        for g in range(ngroup):
            marks[i, g, y] = 0
    width = even_width(nint * (ngroup - 1), nx)
    store = np.empty(nint * (ngroup - 1) * width, np.float32)
    hits = _pixels_with_jumps(groupdq, y)
    for first in range(0, hits.size, width):
        batch = hits[first : first + width]
        values = _sorted_differences(data, groupdq, gain, y, batch, store)
        for k in range(batch.size):
            x = batch[k]
            median = middle(values, k, 0, count_numbers(values, k))
            sigma = np.sqrt(abs(median) + np.float64(readnoise[x] * readnoise[x]) / nframes)
            for i in range(nint):
                for g in range(1, ngroup):
                    if groupdq[i, g, y, x] & JUMP:
                        ratio = abs(_difference_to(data, groupdq, gain[x], i, g, y, x) - median) / sigma
                        if low < ratio < high and sigma > 0:
                            marks[i, g, y, x] = JUMP


@helper
def _pixels_with_jumps(groupdq, y):
    """The columns of row ``y`` that have a jump in any group but the first."""
    nint, ngroup, _, nx = groupdq.shape
    found = np.zeros(nx, np.uint8)
    for i in range(nint):
        for g in range(1, ngroup):
            flags = groupdq[i, g, y]
            for x in range(nx):
                found[x] |= flags[x]
    columns = np.empty(nx, np.int64)
    n = 0
    for x in range(nx):
        if found[x] & JUMP:
            columns[n] = x
            n += 1
    return columns[:n]


@helper
def _difference_to(data, groupdq, gain, i, g, y, x):
    """Electrons that group ``g`` has more than the one before it; NaN where either is unusable."""
    if (groupdq[i, g - 1, y, x] | groupdq[i, g, y, x]) & BAD:
        return NAN
    return data[i, g, y, x] * gain - data[i, g - 1, y, x] * gain


@helper
def _sorted_differences(data, groupdq, gain, y, batch, store):
    """The differences of some pixels of row ``y``, sorted, a pixel a column."""
    nint, ngroup = data.shape[:2]
    npair = nint * (ngroup - 1)
    values = store[: npair * batch.size].reshape((npair, batch.size))
    for i in range(nint):
        for g in range(1, ngroup):
            for k in range(batch.size):
                x = batch[k]
                values[i * (ngroup - 1) + g - 1, k] = _difference_to(data, groupdq, gain[x], i, g, y, x)
    sort_columns_inplace(values)
    return values


@kernel
def _spread_marks(marks, groupdq):
    for y in prange(groupdq.shape[2]):
        _spread_row(marks, groupdq, y)


@helper
def _spread_row(marks, groupdq, y):
    nint, ngroup, ny, nx = groupdq.shape
    for i in range(nint):
        for g in range(1, ngroup):
            flags, here = groupdq[i, g, y], marks[i, g, y]
            # Where there is no row above or below, this one's own marks are on jumps already.
            above, below = marks[i, g, min(y + 1, ny - 1)], marks[i, g, max(y - 1, 0)]
            for x in range(nx):
                near = np.uint8(above[x] | below[x])
                flags[x] = flags[x] if flags[x] & BAD else flags[x] | near
            left, right = here[: nx - 1], here[1:]
            for x in range(nx - 1):
                flags[x] = flags[x] if flags[x] & BAD else flags[x] | right[x]
            rest = flags[1:]
            for x in range(nx - 1):
                rest[x] = rest[x] if rest[x] & BAD else rest[x] | left[x]


@kernel
def _flag_after_jumps(data, groupdq, gain, electrons, ngroups):
    for y in prange(data.shape[2]):
        _flag_after_row(data, groupdq, gain[y], y, electrons, ngroups)


@helper
def _flag_after_row(data, groupdq, gain, y, electrons, ngroups):
    nint, ngroup, _, nx = data.shape
    width = even_width(nint * (ngroup - 1), nx)
    store = np.empty(nint * (ngroup - 1) * width, np.float32)
    hits = _pixels_with_jumps(groupdq, y)
    for first in range(0, hits.size, width):
        batch = hits[first : first + width]
        values = _sorted_differences(data, groupdq, gain, y, batch, store)
        for k in range(batch.size):
            median = middle(values, k, 0, count_numbers(values, k))
            for i in range(nint):
                _flag_tail(data, groupdq, gain[batch[k]], i, y, batch[k], median, electrons, ngroups)


@helper
def _flag_tail(data, groupdq, gain, i, y, x, median, electrons, ngroups):
    reach = 0
    for g in range(1, data.shape[1]):
        if groupdq[i, g, y, x] & JUMP:
            size = _difference_to(data, groupdq, gain, i, g, y, x) - median
            for k in range(2):
                if size >= electrons[k]:
                    reach = max(reach, g + ngroups[k])
        elif g <= reach and not groupdq[i, g, y, x] & BAD:
            groupdq[i, g, y, x] |= JUMP
