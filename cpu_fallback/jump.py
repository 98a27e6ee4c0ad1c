"""Cosmic-ray jumps by the two-point difference, their neighbors and the groups after them."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._difference import BAD, JUMP, NAN, count_jumps_inplace, difference_to
from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import count_numbers, middle, sort_columns_inplace


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
    """Flag the ``ngroups`` usable groups that follow a jump of ``electrons`` or more; two pairs of these numbers.

    Arrays as in :func:`flag_outliers_inplace`; a jump is measured from the median of the pixel's differences.
    """
    _flag_after_jumps(data, groupdq, gain, tuple(map(float, electrons)), tuple(map(int, ngroups)))


@kernel
def _flag_outliers(data, groupdq, gain, readnoise, nframes, thresholds, single_pass, count):
    nint, ngroup, ny, nx = data.shape
    for y in prange(ny):
        store = np.empty((nint * (ngroup - 1), nx), np.float32)
        suspect = np.empty(nx, np.uint8)
        count[y] = count_jumps_inplace(groupdq, y)
        n = _take_differences(data, groupdq, gain[y], y, not single_pass, store, suspect)
        values = store[:n]
        sort_columns_inplace(values)
        _suspect_outliers(values, readnoise[y], nframes, thresholds, single_pass, suspect)
        for x in range(nx):
            if suspect[x]:
                variance = np.float64(readnoise[y, x] * readnoise[y, x]) / nframes
                first, last = _usual(values, x, variance, thresholds, single_pass)
                least = values[first, x] if first < last else np.float32(np.inf)
                greatest = values[last - 1, x] if first < last else np.float32(-np.inf)
                count[y] += _flag_beyond(data, groupdq, gain[y, x], y, x, least, greatest, single_pass)


@helper
def _take_differences(data, groupdq, gain, y, sizes, values, suspect):
    """Differences of row ``y`` in electrons, or their sizes, NaN where a group is unusable; how many the row has.

    A difference that no pixel of the row has is left out, and makes none of them ``suspect``.
    """
    nint, ngroup, _, nx = data.shape
    for x in range(nx):
        suspect[x] = 0
    n = 0
    for i in range(nint):
        for g in range(1, ngroup):
            before, after, row = data[i, g - 1, y], data[i, g, y], values[n]
            flags_before, flags_after = groupdq[i, g - 1, y], groupdq[i, g, y]
            some, every = np.uint8(0), np.uint8(1)
            for x in range(nx):
                bad = np.uint8((flags_before[x] | flags_after[x]) & BAD)
                some = np.uint8(some | bad)
                every = np.uint8(every & np.uint8(bad | np.uint8(bad >> np.uint8(1))))
                value = after[x] * gain[x] - before[x] * gain[x]
                value = abs(value) if sizes else value
                row[x] = NAN if bad else value
            if some and not every:
                for x in range(nx):
                    suspect[x] |= (flags_before[x] | flags_after[x]) & BAD
            n += not every
    return n


@helper
def _suspect_outliers(values, readnoise, nframes, thresholds, single_pass, suspect):
    """Add to ``suspect`` the pixels that may have an outlier; none that has is left out.

    Float32, with a margin for its rounding: a part in a million of the largest difference, and a thousandth of sigma^2.
    """
    n, nx = values.shape
    if n == 0:
        return
    # The rows that hold the median, and one that must differ from the last: of four sizes or more the median is that
    # without all that equal the largest.
    a, b, c, threshold = (n - 1) // 2, n // 2, 0, thresholds[0]
    if not single_pass:
        a, b, c = (n // 3, n // 3, 0) if n < 4 else ((n - 2) // 2, (n - 1) // 2, n - 2)
        threshold = thresholds[min(max(4 - n, 0), 2)]
    lower, upper, second, least, greatest = values[a], values[b], values[c], values[0], values[n - 1]
    limit, per_frame, untied = np.float32(0.999 * threshold * threshold), np.float32(1 / nframes), c == 0
    for x in range(nx):
        median = np.float32(0.5) * (lower[x] + upper[x])
        margin = np.float32(1e-6) * max(abs(least[x]), abs(greatest[x]))
        off = max(greatest[x] - median, median - least[x]) + margin
        poisson = max(abs(median) - margin, np.float32(0))
        within = off * off <= limit * (readnoise[x] * readnoise[x] * per_frame + poisson)
        within &= untied | (second[x] < greatest[x]) | (greatest[x] == 0)
        suspect[x] |= not within


@helper
def _usual(values, x, variance, thresholds, single_pass):
    """First and last (not included) of the rows of the sorted column ``x`` that are no outliers."""
    n = count_numbers(values, x)
    first, last = 0, n
    while last > first:
        left = last - first
        if single_pass:
            threshold, median = thresholds[0], middle(values, x, 0, n)
        else:
            threshold, median = thresholds[min(max(4 - left, 0), 2)], _median_of_sizes(values, x, first, last)
            if left < n:
                # The peer keeps the medians of all rounds but the first in single precision.
                median = np.float64(np.float32(median))
        sigma = np.sqrt(abs(median) + variance)
        above, below = _excess(values[last - 1, x], median, single_pass), _excess(values[first, x], median, single_pass)
        worst = max(above, below)
        if not (sigma > 0 and worst / sigma > threshold):
            break
        while last > first and _excess(values[last - 1, x], median, single_pass) == worst:
            last -= 1
        while last > first and _excess(values[first, x], median, single_pass) == worst:
            first += 1
    return first, last


@helper
def _excess(value, median, single_pass):
    """How far a difference is off the median; an iterative search has it in single precision, as the peer."""
    return abs(value - median) if single_pass else np.float64(np.float32(abs(value - median)))


@helper
def _median_of_sizes(values, x, first, last):
    """Of four sizes or more the median without the largest and its equals, of three theirs, of two the lesser."""
    left = last - first
    if left < 4:
        return np.float64(values[first + left // 3, x]) if left > 1 else np.nan
    end = last
    while end > first and values[end - 1, x] == values[last - 1, x]:
        end -= 1
    return middle(values, x, first, end)


@helper
def _flag_beyond(data, groupdq, gain, y, x, least, greatest, single_pass):
    """Flag the groups of a pixel that end a difference (iterative: its size) beyond these; how many are new."""
    nint, ngroup = data.shape[:2]
    count = 0
    for i in range(nint):
        for g in range(1, ngroup):
            value = difference_to(data, groupdq, gain, i, g, y, x)
            if single_pass:
                value = value if np.isfinite(value) else NAN
            else:
                value = abs(value)
            if (value < least or value > greatest) and not groupdq[i, g, y, x] & JUMP:
                groupdq[i, g, y, x] |= JUMP
                count += 1
    return count


@kernel
def _mark_jumps(data, groupdq, gain, readnoise, nframes, low, high, marks):
    nint, ngroup, ny, nx = data.shape
    for y in prange(ny):
        columns = np.empty(nx, np.int64)
        columns = columns[: _find_jumps(groupdq, y, columns)]
        values = np.empty((nint * (ngroup - 1), columns.size), np.float32)
        _sort_differences(data, groupdq, gain[y], y, columns, values)
        for i in range(nint):
            for g in range(ngroup):
                for x in range(nx):
                    marks[i, g, y, x] = 0
        for k in range(columns.size):
            x = columns[k]
            median = middle(values, k, 0, count_numbers(values, k))
            sigma = np.sqrt(abs(median) + np.float64(readnoise[y, x] * readnoise[y, x]) / nframes)
            for i in range(nint):
                for g in range(1, ngroup):
                    if groupdq[i, g, y, x] & JUMP:
                        ratio = abs(difference_to(data, groupdq, gain[y, x], i, g, y, x) - median) / sigma
                        if low < ratio < high and sigma > 0:
                            marks[i, g, y, x] = JUMP


@helper
def _find_jumps(groupdq, y, columns):
    """List the columns of row ``y`` that have a jump in any group but the first; how many there are."""
    nint, ngroup, _, nx = groupdq.shape
    found = np.zeros(nx, np.uint8)
    for i in range(nint):
        for g in range(1, ngroup):
            flags = groupdq[i, g, y]
            for x in range(nx):
                found[x] |= flags[x]
    n = 0
    for x in range(nx):
        if found[x] & JUMP:
            columns[n] = x
            n += 1
    return n


@helper
def _sort_differences(data, groupdq, gain, y, columns, values):
    """The differences of some pixels of row ``y``, sorted, a pixel a column."""
    nint, ngroup = data.shape[:2]
    for i in range(nint):
        for g in range(1, ngroup):
            for k in range(columns.size):
                x = columns[k]
                values[i * (ngroup - 1) + g - 1, k] = difference_to(data, groupdq, gain[x], i, g, y, x)
    sort_columns_inplace(values)


@kernel
def _spread_marks(marks, groupdq):
    nint, ngroup, ny, nx = groupdq.shape
    for y in prange(ny):
        near = np.empty(nx, np.uint8)
        for i in range(nint):
            for g in range(1, ngroup):
                # Where there is no row above or below, this one stands in: its own marks are on jumps already.
                above, below = marks[i, g, min(y + 1, ny - 1)], marks[i, g, max(y - 1, 0)]
                _spread_row(marks[i, g, y], above, below, near, groupdq[i, g, y])


@helper
def _spread_row(here, above, below, near, flags):
    """Give the usable pixels of a row the marks (JUMP or 0) of their four neighbors."""
    nx = flags.size
    left, right, near_left, near_right = here[: nx - 1], here[1:], near[: nx - 1], near[1:]
    for x in range(nx):
        near[x] = above[x] | below[x]
    for x in range(nx - 1):
        near_left[x] |= right[x]
    for x in range(nx - 1):
        near_right[x] |= left[x]
    for x in range(nx):
        usable = np.uint8(
            np.uint8(~(flags[x] | flags[x] >> np.uint8(1)) & 1) * JUMP
        )  # no branch: DO_NOT_USE, SATURATED
        flags[x] |= near[x] & usable


@kernel
def _flag_after_jumps(data, groupdq, gain, electrons, ngroups):
    nint, ngroup, ny, nx = data.shape
    for y in prange(ny):
        columns = np.empty(nx, np.int64)
        columns = columns[: _find_jumps(groupdq, y, columns)]
        values = np.empty((nint * (ngroup - 1), columns.size), np.float32)
        _sort_differences(data, groupdq, gain[y], y, columns, values)
        for k in range(columns.size):
            median = middle(values, k, 0, count_numbers(values, k))
            for i in range(nint):
                _flag_tail(data, groupdq, gain[y, columns[k]], i, y, columns[k], median, electrons, ngroups)


@helper
def _flag_tail(data, groupdq, gain, i, y, x, median, electrons, ngroups):
    """Flag the usable groups that follow the large jumps of one integration of a pixel."""
    reach = 0
    for g in range(1, data.shape[1]):
        if groupdq[i, g, y, x] & JUMP:
            size = difference_to(data, groupdq, gain, i, g, y, x) - median
            for k in range(2):
                if size >= electrons[k]:
                    reach = max(reach, g + ngroups[k])
        elif g <= reach and not groupdq[i, g, y, x] & BAD:
            groupdq[i, g, y, x] |= JUMP
