"""Count rates from ramps: segments between flagged groups, each fitted by optimally weighted least squares."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import middle, sort_columns_inplace
from gpujw.dq import CHARGELOSS, DO_NOT_USE, JUMP_DET, NO_GAIN_VALUE, PERSISTENCE, SATURATED

INVALID = DO_NOT_USE | SATURATED
NOT_PERSISTENCE = 0xFF ^ PERSISTENCE
LARGE_VARIANCE = 1e6  # variances from here on mean that nothing was measured; they are written as 0
CACHE = 1 << 18  # bytes of ramps that are passed over twice, once for their medians and once for their slopes
LONE, SUPPRESSED = 1, 2  # roles of a ramp with one group


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
    """Chunks of a row: medians of all integrations first, for the variances; then the slopes."""
    nint, ngroup, _, nx = ramps[0].shape
    # Pixels that stay in the cache from the one pass to the other.
    width = min(max(CACHE // (5 * nint * ngroup) // 16 * 16, 64), 512)
    for row in prange(rate_dq.shape[0]):
        y = how[0] + row
        odd, stretch = np.empty((nint, width), np.uint8), np.empty((nint, 2), np.int64)
        steps = np.empty((max(ngroup - 1, 1), width), np.float32)
        signal, sums, total = np.empty(width), np.empty((4, width)), np.empty((4, width))
        base, flags, seen = np.empty(width, np.uint32), np.empty(width, np.uint32), np.empty(width, np.uint32)
        for x0 in range(0, nx, width):
            w = min(width, nx - x0)
            signal[:], total[:], seen[:] = 0, 0, DO_NOT_USE
            for i in range(nint):
                stretch[i] = _find_plain(ramps, i, y, x0, w, how, odd[i])
                _add_median(ramps, i, y, x0, w, how, times, stretch[i], odd[i], steps, signal)
            for x in range(w):
                signal[x] = (signal[x] / nint if signal[x] > 0 else 0.0) + pixels[2][y, x0 + x]
                q = pixeldq[y, x0 + x]
                base[x] = q if pixels[0][y, x0 + x] > 0 else q | np.uint32(DO_NOT_USE | NO_GAIN_VALUE)
            for i in range(nint):
                _sum_plain(ramps[0], i, y, x0, w, stretch[i], pixels, coeffs, times, signal, sums)
                flags[:] = 0
                for x in range(w):
                    if odd[i, x]:
                        flags[x] = _sum_odd(ramps, i, y, x0 + x, how, times, pixels, coeffs, signal[x], sums, x)
                _add_integration(x0, w, sums, base, flags, total, seen, ints, ints_dq, i, row)
            _write_exposure(x0, w, total, base, seen, rate, rate_dq, row)
            for x in range(w):
                if seen[x] & CHARGELOSS:
                    _restore_chargeloss(ramps, y, x0 + x, how, times, pixels, rate, ints, row)


@helper
def _find_plain(ramps, i, y, x0, w, how, odd):
    """The groups that most pixels of a chunk use, and in ``odd[w]`` which pixels have other flags, or NaN."""
    data, groupdq, _ = ramps
    _, g0, g1, _ = how
    s, e = g0, g1
    while s < g1 - 2 and _most_unused(groupdq[i, s, y], x0, w):
        s += 1
    while e > s + 2 and _most_unused(groupdq[i, e - 1, y], x0, w):
        e -= 1
    odd[:] = 0 if e - s > 1 else 1
    for g in range(g0, g1):
        q, f = groupdq[i, g, y], data[i, g, y]
        used = s <= g < e
        expected = np.uint8(0) if used else np.uint8(DO_NOT_USE)
        for x in range(w):
            odd[x] |= (q[x0 + x] ^ expected) | (used & (f[x0 + x] != f[x0 + x]))
    return s, e


@helper
def _most_unused(q, x0, w):
    unused = 0
    for x in range(w):
        unused += q[x0 + x] == DO_NOT_USE
    return 2 * unused > w


@helper
def _add_median(ramps, i, y, x0, w, how, times, stretch, odd, steps, signal):
    """Add to ``signal[w]`` the median rate of integration ``i``: of its first differences between groups in use."""
    data, groupdq, _ = ramps
    _, g0, g1, _ = how
    nstep = g1 - g0 - 1
    for k in range(nstep):
        f, after = data[i, g0 + k, y], data[i, g0 + k + 1, y]
        q, q_after = groupdq[i, g0 + k, y], groupdq[i, g0 + k + 1, y]
        step = steps[k]
        for x in range(w):
            unused = (q[x0 + x] & np.uint8(INVALID)) | (q_after[x0 + x] & np.uint8(INVALID | JUMP_DET))
            step[x] = np.float32(np.nan) if unused else after[x0 + x] - f[x0 + x]
    sort_columns_inplace(steps[:nstep])
    plain = stretch[1] - stretch[0] - 1
    for x in range(w):
        if odd[x]:
            signal[x] += _median_of_odd(ramps, i, y, x0 + x, how, times, steps, x)
        else:
            signal[x] += middle(steps, x, 0, plain) / times[0]


@helper
def _median_of_odd(ramps, i, y, x, how, times, steps, column):
    """The same for a ramp with flags: of its first group where that is alone, or where there is no difference to use."""
    nstep = how[2] - how[1] - 1
    q0, f0, time, role, _ = _head(ramps, i, y, x, how, times)
    if nstep == 0:
        return f0 / times[1]
    count = 0
    while count < nstep and not np.isnan(steps[count, column]):
        count += 1
    if role == LONE:
        rate = f0 / time
    elif role == SUPPRESSED or (count == 0 and q0 & DO_NOT_USE):
        rate = 0.0
    else:
        rate = (middle(steps, column, 0, count) if count else f0) / times[0]
    return 0.0 if np.isnan(rate) else rate


@helper
def _head(ramps, i, y, x, how, times):
    """A ramp's first group, flags and counts, and its time and role if it is alone; the flags of the integration."""
    data, groupdq, zeroframe = ramps
    _, g0, g1, suppress = how
    n = g1 - g0
    q0 = np.int64(groupdq[i, g0, y, x])
    if g0 > 0:  # a jump from a group that is not used is none
        q0 &= 0xFF ^ JUMP_DET
    f0 = np.float64(data[i, g0, y, x])
    seen, good, saturated, invalid = q0, 0, 0, 0
    for g in range(g0, g1):
        q = q0 if g == g0 else np.int64(groupdq[i, g, y, x])
        seen |= q
        good += q == 0
        saturated += (q & SATURATED) != 0
        invalid += (q & INVALID) != 0
    time, role = times[0], 0
    if suppress:
        if _is_alone(groupdq, i, y, x):
            role, invalid = SUPPRESSED, n
    elif good == 1 and q0 == 0:
        time, role = times[1], LONE
    elif good == 0 and zeroframe.size and zeroframe[i, y, x] != 0:
        time, role = times[2], LONE
        q0, f0 = 0, np.float64(zeroframe[i, y, x])
        invalid = 0
        saturated -= saturated == n
    if q0 & SATURATED:
        f0, invalid = np.nan, n
    flags = seen & (JUMP_DET | PERSISTENCE | CHARGELOSS)
    flags |= (SATURATED if saturated > 0 else 0) | (DO_NOT_USE if invalid == n else 0)
    return q0, f0, time, role, np.uint32(flags)


@helper
def _sum_plain(data, i, y, x0, w, stretch, pixels, coeffs, times, signal, sums):
    """Sums of 1 / variance by read noise, by photons, by both, and of slope / variance: of one segment for all pixels."""
    gain, read_noise = pixels[0][y], pixels[1][y]
    s, e = stretch
    n = e - s
    time = times[0]
    slope, snr = sums[3], sums[2]
    f, last = data[i, s, y], data[i, e - 1, y]
    for x in range(w):
        snr[x] = _snr(np.float64(f[x0 + x]), np.float64(last[x0 + x]), gain[x0 + x], read_noise[x0 + x])
        slope[x] = 0
    for k in range(n // 2):
        f, mirror = data[i, s + k, y], data[i, e - 1 - k, y]
        c = coeffs[n, :, k]
        c0, c1, c2, c3, c4, c5 = c[0], c[1], c[2], c[3], c[4], c[5]
        for x in range(w):
            z = snr[x]
            low = c0 if z < 5 else c1 if z < 10 else c2
            high = c3 if z < 50 else c4 if z < 100 else c5
            slope[x] += (low if z < 20 else high) * (np.float64(mirror[x0 + x]) - np.float64(f[x0 + x]))
    for x in range(w):
        read, photon, both = _weights(n, time, gain[x0 + x], read_noise[x0 + x], signal[x])
        sums[0, x] = read
        sums[1, x] = photon
        sums[2, x] = both
        slope[x] = slope[x] / time * read


@helper
def _snr(first, last, gain, read_noise):
    """Signal to noise of a segment, from its ends."""
    rise = (last - first) * np.float64(gain)
    variance = np.float64(read_noise) * np.float64(read_noise) + rise
    snr = rise / np.sqrt(variance)
    return 0.0 if variance <= 0 or snr < 0 else snr


@helper
def _weights(n, time, gain, read_noise, signal):
    """1 / variance of the slope of ``n`` groups by read noise, by photons (0: none), by both; a group alone is as two."""
    g, r = np.float64(gain), np.float64(read_noise) / time
    n = max(n, 2)
    var_read = 12 * r * r / (np.float64(n * n * n - n) * g * g)
    var_photon = signal / (time * g * (n - 1))
    return 1 / var_read, 1 / var_photon if var_photon > 0 else 0.0, 1 / (var_read + var_photon)


@helper
def _next_segment(groupdq, i, y, x, how, q0, restore, g):
    """The next segment from group ``g`` on, ``(start, end)``: a run of good groups; start -1 where there is none.

    It begins with the group before it where that is flagged as a jump and nothing else: the jump lies before it.
    ``restore``: as if groups flagged for charge loss were not.
    """
    start, before = -1, 0
    while g < how[2]:
        q = q0 if g == how[1] else np.int64(groupdq[i, g, y, x])
        if restore and q & CHARGELOSS:
            q ^= CHARGELOSS | DO_NOT_USE
        q &= NOT_PERSISTENCE
        if q == 0:
            if start < 0:
                start = g - 1 if before == JUMP_DET else g
        elif start >= 0:
            break
        before = q
        g += 1
    return start, g


@helper
def _sum_odd(ramps, i, y, x, how, times, pixels, coeffs, signal, sums, column):
    """The sums of :func:`_sum_plain` for a ramp with flags; returns the flags of the integration."""
    data, groupdq, _ = ramps
    q0, f0, time, _, flags = _head(ramps, i, y, x, how, times)
    gain, read_noise = pixels[0][y, x], pixels[1][y, x]
    sums[:, column] = 0
    if flags & DO_NOT_USE:
        return flags
    start, single, fitted, g = 0, -1, False, how[1]
    while start >= 0:
        start, g = _next_segment(groupdq, i, y, x, how, q0, False, g)
        n = g - start
        if start < 0 and not fitted and single >= 0:  # no segment of two groups or more: the first of those of one
            start, g, n = single, how[2], 1
        elif n == 1 and start >= 0:
            single = start if single < 0 else single
            continue
        if start >= 0:
            slope = _slope(data, i, y, x, start, n, how[1], f0, gain, read_noise, coeffs) / (time if n == 1 else times[0])
            read, photon, both = _weights(n, time if n == 1 else times[0], gain, read_noise, signal)
            sums[0, column] += read
            sums[1, column] += photon
            sums[2, column] += both
            sums[3, column] += slope * read
            fitted = True
    return flags


@helper
def _slope(data, i, y, x, start, n, g0, f0, gain, read_noise, coeffs):
    """Slope of ``n`` groups from ``start`` on, DN a group; of one, its counts. NaN counts as 0 among three or more."""
    first = f0 if start == g0 else np.float64(data[i, start, y, x])
    if n == 1:
        return first
    last = np.float64(data[i, start + n - 1, y, x])
    snr = _snr(first, last, gain, read_noise)
    power = 5 - ((snr < 5) + (snr < 10) + (snr < 20) + (snr < 50) + (snr < 100))
    slope = 0.0
    for k in range(n // 2):
        f = first if k == 0 else np.float64(data[i, start + k, y, x])
        mirror = np.float64(data[i, start + n - 1 - k, y, x])
        if n > 2:
            f, mirror = 0.0 if np.isnan(f) else f, 0.0 if np.isnan(mirror) else mirror
        slope += coeffs[n, power, k] * (mirror - f)
    return slope


@helper
def _variance(total):
    """Variance from the sum of its inverses, 0 where there is next to nothing in the sum."""
    variance = 1 / total
    return 0.0 if variance >= LARGE_VARIANCE else variance


@helper
def _add_integration(x0, w, sums, base, flags, total, seen, ints, ints_dq, i, row):
    """Write the planes of one integration, and add it to the exposure; DO_NOT_USE stays in ``seen`` where all have it."""
    slope, err, var_photon, var_read = ints[0, i, row], ints[1, i, row], ints[2, i, row], ints[3, i, row]
    dq = ints_dq[i, row]
    for x in range(w):
        q = base[x] | (flags[x] & np.uint32(0xFF ^ CHARGELOSS))
        invalid = ((base[x] & INVALID) | (flags[x] & DO_NOT_USE)) != 0
        read, both = _variance(sums[0, x]), 1 / sums[2, x]
        slope[x0 + x] = np.nan if invalid else sums[3, x] * read
        err[x0 + x] = 0.0 if invalid or both > LARGE_VARIANCE else np.sqrt(both)
        var_photon[x0 + x] = 0.0 if invalid else _variance(sums[1, x])
        var_read[x0 + x] = 0.0 if invalid else read
        dq[x0 + x] = q
        seen[x] = ((seen[x] | flags[x]) & ~np.uint32(DO_NOT_USE)) | (seen[x] & flags[x] & np.uint32(DO_NOT_USE))
    for k in range(4):
        for x in range(w):
            total[k, x] += sums[k, x]


@helper
def _write_exposure(x0, w, total, base, seen, rate, rate_dq, row):
    slope, err, var_photon, var_read = rate[0, row], rate[1, row], rate[2, row], rate[3, row]
    dq = rate_dq[row]
    for x in range(w):
        q = base[x] | (seen[x] & np.uint32(0xFF ^ CHARGELOSS))
        invalid = ((base[x] & INVALID) | (seen[x] & DO_NOT_USE)) != 0
        read, photon = _variance(total[0, x]), _variance(total[1, x])
        slope[x0 + x] = np.nan if invalid else total[3, x] * read
        err[x0 + x] = 0.0 if invalid else np.sqrt(photon + read)
        var_photon[x0 + x] = 0.0 if invalid else photon
        var_read[x0 + x] = 0.0 if invalid else read
        dq[x0 + x] = q


@helper
def _restore_chargeloss(ramps, y, x, how, times, pixels, rate, ints, row):
    """Variances by read noise as if no group had been flagged for charge loss: the groups were read all the same."""
    total = 0.0
    for i in range(ints.shape[1]):
        lost = False
        for g in range(how[1], how[2]):
            lost |= (ramps[1][i, g, y, x] & CHARGELOSS) != 0
        var_read = np.float64(ints[3, i, row, x])
        if lost:
            inverse = _restored(ramps, i, y, x, how, times, pixels)
            ints[3, i, row, x] = _variance(inverse)
        else:
            inverse = 1 / var_read if var_read > 0 else 0.0
        total += inverse
    if total > 0:
        rate[3, row, x] = _variance(total)


@helper
def _restored(ramps, i, y, x, how, times, pixels):
    """Sum of 1 / variance by read noise over the segments that there are without the flags for charge loss."""
    gain, read_noise = pixels[0][y, x], pixels[1][y, x]
    time = _head(ramps, i, y, x, how, times)[2]
    q0 = np.int64(ramps[1][i, how[1], y, x])
    total, single, start, g = 0.0, 0.0, 0, how[1]
    while start >= 0:
        start, g = _next_segment(ramps[1], i, y, x, how, q0, True, g)
        n = g - start
        if start >= 0 and (gain > 0 or n < 3):
            weight = _weights(n, time if n == 1 else times[0], gain, read_noise, 0.0)[0]
            weight = weight if weight < np.inf else 0.0
            if n > 1:
                total += weight
            elif single == 0:
                single = weight
    return total if total > 0 else single
