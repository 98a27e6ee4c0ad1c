"""Count rates from ramps: segments between flagged groups, each fitted by optimally weighted least squares."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import sort_columns_inplace
from gpujw.dq import CHARGELOSS, DO_NOT_USE, JUMP_DET, NO_GAIN_VALUE, PERSISTENCE, SATURATED

INVALID = DO_NOT_USE | SATURATED
NOT_PERSISTENCE = 0xFF ^ PERSISTENCE
LARGE_VARIANCE = 1e6  # variances from here on mean that nothing was measured; they are written as 0
CACHE = 24576  # bytes for the groups of a chunk of pixels


def usable_groups(groupdq, *, suppress_one_group):
    """Which groups any ramp may use: ``used[ngroup]``, False where DO_NOT_USE covers the whole exposure.

    ``groupdq[nint, ngroup, ny, nx]``. With ``suppress_one_group``, ramps with one good group use none.
    """
    used = np.zeros(groupdq.shape[1], np.bool_)
    for g in range(len(used)):
        used[g] = _is_used(groupdq, g, suppress_one_group)
    return used


def fit_slopes(
    data,
    groupdq,
    pixeldq,
    gain,
    read_noise,
    coeffs,
    *,
    rows,
    groups,
    times,
    suppress_one_group,
    zeroframe=None,
    dark_rate=None,
):
    """Count rates of an exposure and of each of its integrations, for some of its rows.

    ``data[nint, ngroup, ny, nx]`` DN and ``groupdq`` of the same shape; ``pixeldq[ny, nx]``; ``gain[ny, nx]`` e-/DN;
    ``read_noise[ny, nx]`` e-, of a group; ``zeroframe[nint, ny, nx]`` DN, 0 where there is none; ``dark_rate[ny, nx]``
    adds to the rate whose photons make noise. ``coeffs[ngroup + 1, 6, ngroup // 2]``: the slope of ``n`` groups f, with
    weights of power ``p``, is the sum over k of ``coeffs[n, p, k] * (f[n-1-k] - f[k])``. ``rows`` and ``groups`` are the
    first to fit and the first beyond them. ``times``, s: between groups, of a first group that is alone, of the zero
    frame. With ``suppress_one_group``, ramps with one good group are not fitted.

    Returns two tuples, for the exposure ``[ny, nx]`` and its integrations ``[nint, ny, nx]``: slope and error (DN/s),
    flags, variances by photons and by read noise ((DN/s)^2). Weights: Fixsen et al. 2000, PASP 112, 1350; segments:
    Robberto 2008, JWST-STScI-0001490.
    """
    nint, _, ny, nx = data.shape
    nrow = rows[1] - rows[0]
    # The exposure comes after the last of its integrations.
    planes, flags = np.empty((4, nint + 1, nrow, nx), np.float32), np.empty((nint + 1, nrow, nx), np.uint32)
    zeroframe = np.zeros((0, 0, 0), np.float32) if zeroframe is None else zeroframe
    dark_rate = np.zeros((ny, nx), np.float32) if dark_rate is None else dark_rate
    how = (rows[0], *groups, bool(suppress_one_group))
    _fit((data, groupdq, zeroframe), pixeldq, (gain, read_noise, dark_rate), coeffs, how, times, planes, flags)
    slope, err, var_photon, var_read = planes
    return tuple(
        (slope[part], err[part], flags[part], var_photon[part], var_read[part]) for part in (nint, slice(nint))
    )


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
def _fit(ramps, pixeldq, pixels, coeffs, how, times, planes, dq):
    for row in prange(dq.shape[1]):
        _fit_row(ramps, pixeldq, pixels, coeffs, how, times, planes, dq, np.int64(row))


@helper
def _fit_row(ramps, pixeldq, pixels, coeffs, how, times, planes, dq, row):
    """Chunks of a row: medians of all integrations first, for the variances; then the slopes; then the exposure's."""
    nint, _, _, nx = ramps[0].shape
    n, y = how[2] - how[1], how[0] + row
    width = min(max(CACHE // (9 * n) // 16 * 16, 64), 512)
    f, q, steps = np.empty((n, width), np.float32), np.empty((n, width), np.uint8), np.empty((n, width), np.float32)
    signal, time, gain, noise = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    odd, lone, base = np.empty(width, np.int64), np.empty(width, np.uint8), np.empty(width, np.uint32)
    sums, flags, spare = np.empty((5, width)), np.empty(width, np.uint32), np.empty((5, width))
    total, seen = (np.empty((5, width)), np.empty(width, np.uint32)) if nint > 1 else (sums, flags)
    for x0 in range(0, nx, width):
        w = min(width, nx - x0)
        _start(pixels, pixeldq, y, x0, w, gain, noise, base, signal)
        dark = pixels[2][y, x0 : x0 + w]
        s, e, nodd = 0, 0, 0
        for i in range(nint):
            s, e, nodd = _load(ramps, i, y, x0, w, how, times, f, q, odd, lone, time, flags)
            _add_median(f, q, w, s, e, times, odd[:nodd], lone, time, steps, spare[0], signal)
        for x in range(w):
            signal[x] = (signal[x] / (nint * times[0]) if signal[x] > 0 else 0.0) + dark[x]
        for i in range(nint):
            if nint > 1:
                s, e, nodd = _load(ramps, i, y, x0, w, how, times, f, q, odd, lone, time, flags)
            _sum_plain(f, w, s, e, coeffs, times[0], gain, noise, signal, sums)
            for x in odd[:nodd]:
                blind = (flags[x] & DO_NOT_USE) != 0
                _sum_odd(f, q, x, blind, times[0], time[x], coeffs, gain[x], noise[x], signal[x], sums)
                if flags[x] & CHARGELOSS:
                    _restore(ramps[1], i, y, x0 + x, how, q, x)
                    _sum_odd(f, q, x, False, times[0], time[x], coeffs, gain[x], noise[x], signal[x], spare)
                    sums[4, x] = spare[0, x] if gain[x] > 0 and spare[0, x] < np.inf else 0.0
            _write(planes, dq, i, row, x0, w, sums, base, flags)
            if nint > 1:
                _add_integration(w, i, sums, base, flags, total, seen)
        _write(planes, dq, nint, row, x0, w, total, base, seen)


@helper
def _start(pixels, pixeldq, y, x0, w, gain, noise, base, signal):
    """What belongs to the pixels of a chunk."""
    gains, noises, marks = pixels[0][y, x0 : x0 + w], pixels[1][y, x0 : x0 + w], pixeldq[y, x0 : x0 + w]
    for x in range(w):
        signal[x], gain[x], noise[x] = 0, gains[x], noises[x]
        base[x] = marks[x] | np.uint32(0 if gains[x] > 0 else DO_NOT_USE | NO_GAIN_VALUE)


@helper
def _load(ramps, i, y, x0, w, how, times, f, q, odd, lone, time, flags):
    """Copy a chunk's groups; the groups ``s`` to ``e`` that most pixels use, and which and how many use others, or have NaN."""
    n, s, e = len(f), 0, len(f)
    for k in range(n):
        counts, group = ramps[0][i, how[1] + k, y, x0 : x0 + w], ramps[1][i, how[1] + k, y, x0 : x0 + w]
        f_k, q_k = f[k], q[k]
        for x in range(w):
            f_k[x] = counts[x]
        for x in range(w):
            q_k[x] = group[x]
    while s < n - 2 and _most_unused(q[s], w):
        s += 1
    while e > s + 2 and _most_unused(q[e - 1], w):
        e -= 1
    for x in range(w):
        lone[x] = e - s < 2
    for k in range(n):
        f_k, q_k, expected = f[k], q[k], np.uint8(0 if s <= k < e else DO_NOT_USE)
        for x in range(w):
            lone[x] |= q_k[x] ^ expected
        for x in range(w):
            lone[x] |= np.uint8(f_k[x] != f_k[x])
    nodd = 0
    for x in range(w):
        flags[x] = 0
        odd[nodd] = x
        nodd += lone[x] != 0
    for x in odd[:nodd]:
        flags[x] = _prepare(ramps, i, y, x0 + x, how, times, f, q, x, lone, time)
    return s, e, nodd


@helper
def _most_unused(q, w):
    unused = 0
    for x in range(w):
        unused += q[x] == DO_NOT_USE
    return 2 * unused > w


@helper
def _prepare(ramps, i, y, x0, how, times, f, q, x, lone, time):
    """Suppress a ramp of one group, or time it, or replace one of none by the zero frame; the integration's flags."""
    _, groupdq, zeroframe = ramps
    n = len(q)
    seen, good, clear, saturated, invalid = 0, 0, 0, 0, 0
    for k in range(n):
        good += (q[k, x] & NOT_PERSISTENCE) == 0
        if k == 0 and how[1] > 0:  # a jump from a group that is not used is none
            q[k, x] &= 0xFF ^ JUMP_DET
        flag = q[k, x]
        seen |= flag
        clear += flag == 0
        saturated += (flag & SATURATED) != 0
        invalid += (flag & INVALID) != 0
    lone[x], time[x] = 0, times[0]
    if how[3]:
        # The one good group may be among those left out.
        if good == 1 or (good == 0 and n < groupdq.shape[1] and _is_alone(groupdq, i, y, x0)):
            invalid = n
            for k in range(n):
                q[k, x] |= DO_NOT_USE
    elif clear == 1 and q[0, x] == 0:
        lone[x], time[x] = 1, times[1]
    elif clear == 0 and zeroframe.size and zeroframe[i, y, x0] != 0:
        lone[x], time[x] = 1, times[2]
        f[0, x], q[0, x] = zeroframe[i, y, x0], 0
        saturated -= saturated == n
        invalid = 0
    blind = invalid == n or (q[0, x] & SATURATED) != 0
    flags = seen & (JUMP_DET | PERSISTENCE | CHARGELOSS)
    return np.uint32(flags | (SATURATED if saturated else 0) | (DO_NOT_USE if blind else 0))


@helper
def _add_median(f, q, w, s, e, times, odd, lone, time, steps, step_median, signal):
    """Add to ``signal[w]`` the median of an integration's first differences between groups in use, DN."""
    n = len(f)
    for k in range(n):
        step, f_k, after = steps[k], f[k], f[min(k + 1, n - 1)]
        unused = np.float32(0 if s <= k < e - 1 else np.nan)
        for x in range(w):
            step[x] = after[x] - f_k[x] + unused
    for x in odd:
        for k in range(n - 1):
            step_k = f[k + 1, x] - f[k, x]
            unused_k = (q[k, x] & INVALID) | (q[k + 1, x] & (INVALID | JUMP_DET))
            steps[k, x] = np.float32(np.nan) if unused_k or np.isnan(step_k) else step_k
    sort_columns_inplace(steps[: max(n - 1, 1)])
    count = max(e - s - 1, 1)
    low, high = steps[(count - 1) // 2], steps[count // 2]
    for x in range(w):
        step_median[x] = 0.5 * (np.float64(low[x]) + np.float64(high[x]))
    for x in odd:
        step_median[x] = _odd_median(f, q, x, times, lone[x], time[x], steps)
    for x in range(w):
        signal[x] += step_median[x]


@helper
def _odd_median(f, q, x, times, lone, time, steps):
    """The median of a ramp with flags: from its first group where that is alone, or where no difference is in use."""
    n, count = len(f), 0
    if n == 1:
        return np.nan if q[0, x] & SATURATED else f[0, x] / times[1] * times[0]
    while count < n - 1 and not np.isnan(steps[count, x]):
        count += 1
    if lone:
        step = f[0, x] / time * times[0]
    elif count > 0:
        step = 0.5 * (np.float64(steps[(count - 1) // 2, x]) + np.float64(steps[count // 2, x]))
    else:
        step = 0.0 if q[0, x] & INVALID else np.float64(f[0, x])
    return 0.0 if np.isnan(step) else step


@helper
def _sum_plain(f, w, s, e, coeffs, time, gain, noise, signal, sums):
    """One segment for all pixels: 1 / variance by read noise, by photons, by both; slope / variance by read noise.

    The fifth of the sums is the first again, of which :func:`_restore` makes another in pixels that lost charge.
    """
    n = e - s
    first, last = f[s], f[e - 1]
    read, photon, both, slope, kept = sums[0], sums[1], sums[2], sums[3], sums[4]
    for x in range(w):
        both[x] = _snr(np.float64(first[x]), np.float64(last[x]), gain[x], noise[x])
        slope[x] = 0
    for k in range(n // 2):
        first, last = f[s + k], f[e - 1 - k]
        c0, c1, c2 = coeffs[n, 0, k], coeffs[n, 1, k], coeffs[n, 2, k]
        c3, c4, c5 = coeffs[n, 3, k], coeffs[n, 4, k], coeffs[n, 5, k]
        for x in range(w):
            snr = both[x]
            c_low = c0 if snr < 5 else c1 if snr < 10 else c2
            c_high = c3 if snr < 50 else c4 if snr < 100 else c5
            slope[x] += (c_low if snr < 20 else c_high) * (np.float64(last[x]) - np.float64(first[x]))
    for x in range(w):
        read[x], photon[x], both[x] = _weights(n, time, gain[x], noise[x], signal[x])
        slope[x] = slope[x] / time * read[x]
        kept[x] = read[x]


@helper
def _snr(first, last, gain, noise):
    """Signal to noise of a segment, from its ends."""
    rise = (last - first) * gain
    variance = noise * noise + rise
    snr = rise / np.sqrt(variance)
    return 0.0 if variance <= 0 or snr < 0 else snr


@helper
def _weights(n, time, gain, noise, signal):
    """1 / variance of the slope of ``n`` groups by read noise, by photons (0: none), by both; a group alone is as two."""
    n = max(n, 2)
    per_gain = 1 / gain
    var_read = noise * per_gain * noise * per_gain * (12 / (np.float64(n * n * n - n) * time * time))
    var_photon = signal * per_gain * (1 / (time * (n - 1)))
    return 1 / var_read, 1 / var_photon if var_photon > 0 else 0.0, 1 / (var_read + var_photon)


@helper
def _sum_odd(f, q, x, blind, time, time_alone, coeffs, gain, noise, signal, sums):
    """The sums of :func:`_sum_plain` over the segments of a ramp with flags: runs of good groups.

    A run begins with the group before it where that is flagged as a jump and nothing else: the jump lies before it.
    Runs of one group count only where there is no other, and then the first of them.
    """
    for k in range(4):
        sums[k, x] = 0
    n, start, before, alone = len(q), -1, 0, -1
    for g in range(0 if blind else n + 2):
        flag = q[g, x] & NOT_PERSISTENCE if g < n else DO_NOT_USE
        end = g
        if flag == 0 and start < 0:
            start = g - 1 if before == JUMP_DET else g
        before = flag
        if g > n and alone >= 0:
            start, end, time = alone, alone + 1, time_alone
        elif flag == 0 or start < 0:
            continue
        elif g - start == 1:
            alone = start if alone == -1 else alone
            start = -1
            continue
        else:
            alone = -2
        _add_segment(f, x, start, end - start, time, coeffs, gain, noise, signal, sums)
        start = -1
    sums[4, x] = sums[0, x]


@helper
def _restore(groupdq, i, y, x0, how, q, x):
    """Flags as they came, but for charge loss: for variances by read noise the groups were read all the same."""
    for k in range(len(q)):
        flag = groupdq[i, how[1] + k, y, x0]
        q[k, x] = flag ^ (CHARGELOSS | DO_NOT_USE) if flag & CHARGELOSS else flag


@helper
def _add_segment(f, x, start, n, time, coeffs, gain, noise, signal, sums):
    """Add the segment of ``n`` groups from ``start`` on. Among three or more, NaN counts as 0."""
    first, last = np.float64(f[start, x]), np.float64(f[start + n - 1, x])
    slope = first if n == 1 else last - first
    if n > 2:
        snr = _snr(first, last, gain, noise)
        power = 5 - ((snr < 5) + (snr < 10) + (snr < 20) + (snr < 50) + (snr < 100))
        slope = 0.0
        for k in range(n // 2):
            low, high = np.float64(f[start + k, x]), np.float64(f[start + n - 1 - k, x])
            slope += coeffs[n, power, k] * ((0.0 if np.isnan(high) else high) - (0.0 if np.isnan(low) else low))
    read, photon, both = _weights(n, time, gain, noise, signal)
    sums[0, x] += read
    sums[1, x] += photon
    sums[2, x] += both
    sums[3, x] += slope / time * read


@helper
def _add_integration(w, i, sums, base, flags, total, seen):
    """Add an integration to the exposure; DO_NOT_USE stays in ``seen`` where all have it."""
    not_dnu, kept = np.uint32(0xFF ^ DO_NOT_USE), sums[4]
    for x in range(w):
        before = seen[x] if i else np.uint32(DO_NOT_USE)
        seen[x] = (before | (flags[x] & not_dnu)) & (not_dnu | flags[x])
        lost = flags[x] & np.uint32(CHARGELOSS)
        kept[x] = 0.0 if not lost and base[x] & np.uint32(INVALID) else kept[x]
    sums_all, total_all = sums.reshape(-1), total.reshape(-1)
    for k in range(sums.size):
        total_all[k] = sums_all[k] + (total_all[k] if i else 0.0)


@helper
def _write(planes, dq, i, row, x0, w, sums, base, flags):
    """Slopes and errors of one integration, or of the exposure after the last."""
    exposure = i == dq.shape[0] - 1
    slope, err = planes[0, i, row, x0 : x0 + w], planes[1, i, row, x0 : x0 + w]
    var_photon, var_read, q = planes[2, i, row, x0 : x0 + w], planes[3, i, row, x0 : x0 + w], dq[i, row, x0 : x0 + w]
    read_sum, photon_sum, both_sum, slope_sum, kept_sum = sums[0], sums[1], sums[2], sums[3], sums[4]
    zero, one, large = np.float32(0), np.float32(1), np.float32(LARGE_VARIANCE)
    for x in range(w):
        invalid = ((base[x] & np.uint32(INVALID)) | (flags[x] & np.uint32(DO_NOT_USE))) != 0
        lost = (flags[x] & np.uint32(CHARGELOSS)) != 0
        read = one / np.float32(read_sum[x])
        photon = one / np.float32(photon_sum[x])
        both = one / np.float32(both_sum[x])
        kept = one / np.float32(kept_sum[x])
        read = zero if read >= large else read
        photon = zero if photon >= large else photon
        kept = read if exposure & (kept_sum[x] == 0) & (not invalid) else kept
        both = read + photon if exposure else (zero if both > large else both)
        slope[x] = np.float32(np.nan) if invalid else np.float32(slope_sum[x]) * read
        err[x] = zero if invalid else np.sqrt(both)
        var_photon[x] = zero if invalid else photon
        var_read[x] = zero if (kept >= large) | (invalid & (not lost)) else kept
        q[x] = base[x] | (flags[x] & np.uint32(0xFF ^ CHARGELOSS))
