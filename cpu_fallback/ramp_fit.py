"""Count rates from ramps: segments between flagged groups, each fitted by optimally weighted least squares."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import middle, sort_columns_inplace
from gpujw.dq import CHARGELOSS, DO_NOT_USE, JUMP_DET, NO_GAIN_VALUE, PERSISTENCE, SATURATED

INVALID = DO_NOT_USE | SATURATED
NOT_PERSISTENCE = 0xFF ^ PERSISTENCE
LARGE_VARIANCE = 1e6  # variances from here on mean that nothing was measured; they are written as 0
CACHE = 24576  # bytes for the groups of a chunk of pixels
LONE = 1  # the role of a first group that is all there is


def usable_groups(groupdq, *, suppress_one_group):
    """Which groups any ramp may use: ``used[ngroup]``, False where DO_NOT_USE covers the whole exposure.

    ``groupdq[nint, ngroup, ny, nx]``. With ``suppress_one_group``, ramps with one good group use none.
    """
    used = np.zeros(groupdq.shape[1], np.bool_)
    for g in range(len(used)):
        used[g] = _is_used(groupdq, g, suppress_one_group)
    return used


def fit_slopes(
    data, groupdq, pixeldq, gain, read_noise, coeffs, *, rows, groups, times, suppress_one_group, zeroframe=None, dark_rate=None
):
    """Count rates of an exposure and of each of its integrations, for some of its rows.

    ``data[nint, ngroup, ny, nx]`` DN and ``groupdq`` of the same shape; ``pixeldq[ny, nx]``; ``gain[ny, nx]`` e-/DN;
    ``read_noise[ny, nx]`` e-, of a group; ``zeroframe[nint, ny, nx]`` DN, 0 where there is none; ``dark_rate[ny, nx]``
    DN/s; ``coeffs[ngroup + 1, npower, ngroup // 2]``: the slope of ``n`` groups f at weights of power ``p`` is the sum of
    ``coeffs[n, p, k] * (f[n-1-k] - f[k])``. ``rows`` and ``groups`` are the first to fit and the first beyond them.
    ``times``, s: between groups, of a first group that is alone, of the zero frame. With ``suppress_one_group``, ramps
    with one good group are not fitted.

    Returns two tuples, for the exposure ``[ny, nx]`` and its integrations ``[nint, ny, nx]``: slope and error (DN/s),
    flags, variances by photons and by read noise ((DN/s)^2). Weights: Fixsen et al. 2000, PASP 112, 1350; segments:
    Robberto 2008, JWST-STScI-0001490.
    """
    nint, _, ny, nx = data.shape
    shape = (rows[1] - rows[0], nx)
    rate, rate_dq = np.empty((4, *shape), np.float32), np.empty(shape, np.uint32)
    ints, ints_dq = np.empty((4, nint, *shape), np.float32), np.empty((nint, *shape), np.uint32)
    zeroframe = np.zeros((0, 0, 0), np.float32) if zeroframe is None else zeroframe
    dark_rate = np.zeros((ny, nx), np.float32) if dark_rate is None else dark_rate
    ramps = (data, groupdq, zeroframe)
    how = (rows[0], *groups, bool(suppress_one_group))
    _fit(ramps, pixeldq, (gain, read_noise, dark_rate), coeffs, how, times, rate, rate_dq, ints, ints_dq)
    return (rate[0], rate[1], rate_dq, rate[2], rate[3]), (ints[0], ints[1], ints_dq, ints[2], ints[3])


@helper
def _is_used(groupdq, g, suppress):
    nint, ngroup, ny, nx = groupdq.shape
    for i in range(nint):
        for y in range(ny):
            for x in range(nx):
                if not groupdq[i, g, y, x] & DO_NOT_USE and not (suppress and _is_alone(groupdq, i, y, x)):
                    return True
    return False


@helper
def _is_alone(groupdq, i, y, x):
    """Whether a ramp has exactly one good group."""
    good = 0
    for g in range(groupdq.shape[1]):
        good += (groupdq[i, g, y, x] & NOT_PERSISTENCE) == 0
    return good == 1


@kernel
def _fit(ramps, pixeldq, pixels, coeffs, how, times, rate, rate_dq, ints, ints_dq):
    for row in prange(rate_dq.shape[0]):
        _fit_row(ramps, pixeldq, pixels, coeffs, how, times, rate, rate_dq, ints, ints_dq, np.int64(row))


@helper
def _fit_row(ramps, pixeldq, pixels, coeffs, how, times, rate, rate_dq, ints, ints_dq, row):
    """Chunks of a row: medians of all integrations first, for the variances; then the slopes."""
    nint, _, _, nx = ramps[0].shape
    n, y = how[2] - how[1], how[0] + row
    width = min(max(CACHE // (9 * n) // 16 * 16, 64), 512)
    f, q, steps = np.empty((n, width), np.float32), np.empty((n, width), np.uint8), np.empty((n - 1, width), np.float32)
    signal, sums, total = np.empty(width), np.empty((4, width)), np.empty((4, width))
    odd, role, time = np.empty(width, np.uint8), np.empty(width, np.uint8), np.empty(width)
    base, flags, seen = np.empty(width, np.uint32), np.empty(width, np.uint32), np.empty(width, np.uint32)
    g, r = np.empty(width), np.empty(width)
    for x0 in range(0, nx, width):
        w = min(width, nx - x0)
        for x in range(w):
            signal[x] = 0
            seen[x] = DO_NOT_USE
            g[x], r[x] = pixels[0][y, x0 + x], pixels[1][y, x0 + x]
            base[x] = pixeldq[y, x0 + x] | np.uint32(0 if g[x] > 0 else DO_NOT_USE | NO_GAIN_VALUE)
            for k in range(4):
                total[k, x] = 0
        s, e = 0, 0
        for i in range(nint):
            s, e = _load(ramps, i, y, x0, w, how, times, f, q, odd, role, time, flags)
            _add_median(f, q, w, s, e, times, odd, role, time, steps, signal)
        for x in range(w):
            signal[x] = (signal[x] / nint if signal[x] > 0 else 0.0) + pixels[2][y, x0 + x]
        for i in range(nint):
            if nint > 1:
                s, e = _load(ramps, i, y, x0, w, how, times, f, q, odd, role, time, flags)
            _sum_plain(f, w, s, e, coeffs, times, g, r, signal, sums)
            for x in range(w):
                if odd[x]:
                    _sum_odd(f, q, x, times, time[x], coeffs, g[x], r[x], signal[x], flags[x], sums)
            _add_integration(x0, w, sums, base, flags, total, seen, ints, ints_dq, i, row)
        _write_exposure(x0, w, total, base, seen, rate, rate_dq, row)
        for x in range(w):
            if seen[x] & CHARGELOSS:
                _restore_chargeloss(ramps, y, x0 + x, how, times, g[x], r[x], f, q, time, flags, rate, ints, row)


@helper
def _load(ramps, i, y, x0, w, how, times, f, q, odd, role, time, flags):
    """Copy a chunk's groups; ``odd[w]``: pixels with other flags than most, or NaN; the groups ``s`` to ``e`` most use."""
    data, groupdq, _ = ramps
    n, g0 = len(f), how[1]
    for k in range(n):
        for x in range(w):
            f[k, x] = data[i, g0 + k, y, x0 + x]
            q[k, x] = groupdq[i, g0 + k, y, x0 + x]
    s, e = 0, n
    while s < n - 2 and _most_unused(q, s, w):
        s += 1
    while e > s + 2 and _most_unused(q, e - 1, w):
        e -= 1
    for x in range(w):
        odd[x] = e - s < 2
        flags[x] = 0
    for k in range(n):
        used = s <= k < e
        expected = np.uint8(0) if used else np.uint8(DO_NOT_USE)
        for x in range(w):
            odd[x] |= (q[k, x] ^ expected) | (used & (f[k, x] != f[k, x]))
    for x in range(w):
        if odd[x]:
            flags[x] = _prepare(ramps, i, y, x0 + x, how, times, f, q, x, role, time)
    return s, e


@helper
def _most_unused(q, k, w):
    unused = 0
    for x in range(w):
        unused += q[k, x] == DO_NOT_USE
    return 2 * unused > w


@helper
def _prepare(ramps, i, y, x0, how, times, f, q, x, role, time):
    """Suppress a ramp of one group, or time it, or replace one of none by the zero frame; the integration's flags."""
    _, groupdq, zeroframe = ramps
    n = len(f)
    if how[1] > 0:  # a jump from a group that is not used is none
        q[0, x] &= 0xFF ^ JUMP_DET
    seen, good, saturated = 0, 0, 0
    for k in range(n):
        seen |= q[k, x]
        good += q[k, x] == 0
        saturated += (q[k, x] & SATURATED) != 0
    role[x], time[x] = 0, times[0]
    if how[3]:
        if _is_alone(groupdq, i, y, x0):
            for k in range(n):
                q[k, x] |= DO_NOT_USE
    elif good == 1 and q[0, x] == 0:
        role[x], time[x] = LONE, times[1]
    elif good == 0 and zeroframe.size and zeroframe[i, y, x0] != 0:
        role[x], time[x] = LONE, times[2]
        f[0, x], q[0, x] = zeroframe[i, y, x0], 0
        saturated -= saturated == n
    invalid = 0
    for k in range(n):
        invalid += (q[k, x] & INVALID) != 0
    blind = invalid == n or (q[0, x] & SATURATED) != 0
    flags = seen & (JUMP_DET | PERSISTENCE | CHARGELOSS)
    return np.uint32(flags | (SATURATED if saturated else 0) | (DO_NOT_USE if blind else 0))


@helper
def _add_median(f, q, w, s, e, times, odd, role, time, steps, signal):
    """Add to ``signal[w]`` the median rate of an integration: of its first differences between groups in use."""
    n = len(f)
    if n == 1:
        for x in range(w):
            signal[x] += np.nan if q[0, x] & SATURATED else f[0, x] / times[1]
        return
    for k in range(n - 1):
        used = s <= k < e - 1
        for x in range(w):
            steps[k, x] = f[k + 1, x] - f[k, x] if used else np.float32(np.nan)
    for x in range(w):
        if odd[x]:
            for k in range(n - 1):
                unused = (q[k, x] & INVALID) | (q[k + 1, x] & (INVALID | JUMP_DET))
                steps[k, x] = np.float32(np.nan) if unused else f[k + 1, x] - f[k, x]
    sort_columns_inplace(steps)
    for x in range(w):
        count = e - s - 1
        if odd[x]:
            count = 0
            while count < n - 1 and not np.isnan(steps[count, x]):
                count += 1
        rate = middle(steps, x, 0, count) / times[0]
        if odd[x] and role[x] == LONE:
            rate = f[0, x] / time[x]
        elif count == 0:
            rate = 0.0 if q[0, x] & INVALID else f[0, x] / times[0]
        signal[x] += 0.0 if np.isnan(rate) else rate


@helper
def _sum_plain(f, w, s, e, coeffs, times, g, r, signal, sums):
    """Sums of 1 / variance by read noise, by photons, by both, and of slope / variance: of one segment for all pixels."""
    n = e - s
    for x in range(w):
        sums[2, x] = _snr(f[s, x], f[e - 1, x], g[x], r[x])
        sums[3, x] = 0
    for k in range(n // 2):
        c0, c1, c2 = coeffs[n, 0, k], coeffs[n, 1, k], coeffs[n, 2, k]
        c3, c4, c5 = coeffs[n, 3, k], coeffs[n, 4, k], coeffs[n, 5, k]
        for x in range(w):
            snr = sums[2, x]
            low = c0 if snr < 5 else c1 if snr < 10 else c2
            high = c3 if snr < 50 else c4 if snr < 100 else c5
            sums[3, x] += (low if snr < 20 else high) * (np.float64(f[e - 1 - k, x]) - np.float64(f[s + k, x]))
    for x in range(w):
        sums[0, x], sums[1, x], sums[2, x] = _weights(n, times[0], g[x], r[x], signal[x])
        sums[3, x] = sums[3, x] / times[0] * sums[0, x]


@helper
def _snr(first, last, gain, read_noise):
    """Signal to noise of a segment, from its ends."""
    rise = (np.float64(last) - np.float64(first)) * gain
    variance = read_noise * read_noise + rise
    snr = rise / np.sqrt(variance)
    return 0.0 if variance <= 0 or snr < 0 else snr


@helper
def _weights(n, time, gain, read_noise, signal):
    """1 / variance of the slope of ``n`` groups by read noise, by photons (0: none), by both; a group alone is as two."""
    r = read_noise / time
    n = max(n, 2)
    var_read = 12 * r * r / (np.float64(n * n * n - n) * gain * gain)
    var_photon = signal / (time * gain * (n - 1))
    return 1 / var_read, 1 / var_photon if var_photon > 0 else 0.0, 1 / (var_read + var_photon)


@helper
def _next_segment(q, x, g):
    """The next segment from group ``g`` on, ``(start, end)``: a run of good groups; start -1 where there is none.

    It begins with the group before it where that is flagged as a jump and nothing else: the jump lies before it.
    """
    start, before = -1, 0
    while g < len(q):
        flags = q[g, x] & NOT_PERSISTENCE
        if flags == 0:
            if start < 0:
                start = g - 1 if before == JUMP_DET else g
        elif start >= 0:
            break
        before = flags
        g += 1
    return start, g


@helper
def _sum_odd(f, q, x, times, time, coeffs, gain, read_noise, signal, flags, sums):
    """The sums of :func:`_sum_plain` for a ramp with flags: over all segments of two groups or more, or the first of one."""
    for k in range(4):
        sums[k, x] = 0
    single, fitted, start, g = -1, False, 0, 0
    while not flags & DO_NOT_USE:
        start, g = _next_segment(q, x, g)
        n = g - start
        if start < 0:
            if fitted or single < 0:
                break
            start, n, g = single, 1, len(q)
        elif n == 1:
            single = start if single < 0 else single
            continue
        fitted = True
        t = time if n == 1 else times[0]
        read, photon, both = _weights(n, t, gain, read_noise, signal)
        sums[0, x] += read
        sums[1, x] += photon
        sums[2, x] += both
        sums[3, x] += _slope(f, x, start, n, gain, read_noise, coeffs) / t * read


@helper
def _slope(f, x, start, n, gain, read_noise, coeffs):
    """Slope of ``n`` groups from ``start`` on, DN a group; of one, its counts. NaN counts as 0 among three or more."""
    first, last = np.float64(f[start, x]), np.float64(f[start + n - 1, x])
    if n < 3:
        return first if n == 1 else last - first
    snr = _snr(first, last, gain, read_noise)
    power = 5 - ((snr < 5) + (snr < 10) + (snr < 20) + (snr < 50) + (snr < 100))
    slope = 0.0
    for k in range(n // 2):
        low, high = np.float64(f[start + k, x]), np.float64(f[start + n - 1 - k, x])
        slope += coeffs[n, power, k] * ((0.0 if np.isnan(high) else high) - (0.0 if np.isnan(low) else low))
    return slope


@helper
def _variance(total):
    """Variance from the sum of its inverses, 0 where there is next to nothing in the sum."""
    variance = 1 / total
    return 0.0 if variance >= LARGE_VARIANCE else variance


@helper
def _add_integration(x0, w, sums, base, flags, total, seen, ints, ints_dq, i, row):
    """Write the planes of one integration, and add it to the exposure; DO_NOT_USE stays in ``seen`` where all have it."""
    for x in range(w):
        invalid = ((base[x] & INVALID) | (flags[x] & DO_NOT_USE)) != 0
        read, both = _variance(sums[0, x]), 1 / sums[2, x]
        ints[0, i, row, x0 + x] = np.nan if invalid else sums[3, x] * read
        ints[1, i, row, x0 + x] = 0.0 if invalid or both > LARGE_VARIANCE else np.sqrt(both)
        ints[2, i, row, x0 + x] = 0.0 if invalid else _variance(sums[1, x])
        ints[3, i, row, x0 + x] = 0.0 if invalid else read
        ints_dq[i, row, x0 + x] = base[x] | (flags[x] & np.uint32(0xFF ^ CHARGELOSS))
        seen[x] = ((seen[x] | flags[x]) & np.uint32(0xFF ^ DO_NOT_USE)) | (seen[x] & flags[x] & np.uint32(DO_NOT_USE))
        for k in range(4):
            total[k, x] += sums[k, x]


@helper
def _write_exposure(x0, w, total, base, seen, rate, rate_dq, row):
    for x in range(w):
        invalid = ((base[x] & INVALID) | (seen[x] & DO_NOT_USE)) != 0
        read, photon = _variance(total[0, x]), _variance(total[1, x])
        rate[0, row, x0 + x] = np.nan if invalid else total[3, x] * read
        rate[1, row, x0 + x] = 0.0 if invalid else np.sqrt(photon + read)
        rate[2, row, x0 + x] = 0.0 if invalid else photon
        rate[3, row, x0 + x] = 0.0 if invalid else read
        rate_dq[row, x0 + x] = base[x] | (seen[x] & np.uint32(0xFF ^ CHARGELOSS))


@helper
def _restore_chargeloss(ramps, y, x, how, times, gain, read_noise, f, q, time, flags, rate, ints, row):
    """Variances by read noise as if no group had been flagged for charge loss: the groups were read all the same."""
    _, groupdq, _ = ramps
    total = 0.0
    for i in range(ints.shape[1]):
        lost = False
        for k in range(len(q)):
            q[k, 0] = groupdq[i, how[1] + k, y, x]
            lost |= (q[k, 0] & CHARGELOSS) != 0
        var_read = np.float64(ints[3, i, row, x])
        inverse = 1 / var_read if var_read > 0 else 0.0
        if lost:
            _prepare(ramps, i, y, x, how, times, f, q, 0, flags, time)
            for k in range(len(q)):
                flag = groupdq[i, how[1] + k, y, x]
                q[k, 0] = flag ^ (CHARGELOSS | DO_NOT_USE) if flag & CHARGELOSS else flag
            inverse = _read_weight(q, time[0], times, gain, read_noise)
            ints[3, i, row, x] = _variance(inverse)
        total += inverse
    if total > 0:
        rate[3, row, x] = _variance(total)


@helper
def _read_weight(q, time, times, gain, read_noise):
    """Sum of 1 / variance by read noise over the segments of column 0 of ``q``."""
    total, alone, fitted, start, g = 0.0, 0.0, False, 0, 0
    while start >= 0:
        start, g = _next_segment(q, 0, g)
        n = g - start
        if start < 0:
            break
        weight = _weights(n, time if n == 1 else times[0], gain, read_noise, 0.0)[0]
        weight = weight if weight < np.inf and (gain > 0 or n < 3) else 0.0
        if n > 1:
            total += weight
            fitted = True
        elif alone == 0:
            alone = weight
    return total if fitted else alone
