"""Count rates from ramps by maximum likelihood, the jumps among their differences found on the way."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.cpu_fallback._stats import count_numbers, middle, sort_columns_inplace
from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED

INVALID = DO_NOT_USE | SATURATED
#: What leaving out one difference, or two in a row, must take from chi-square: 4.5 sigma (Brandt 2024b, section 3).
ONE, TWO = 20.25, 23.8
TIE = 1e-8  # improvements that differ by less, of each other, are the same
WIDTH = 128  # pixels at once


def fit_ramps_inplace(
    data, groupdq, pixeldq, gain, read_noise, pattern, *, rows, zeroframe=None, nframes=1, dark_rate=None
):
    """Count rates of an exposure and of each of its integrations, for some of its rows; jumps are added to ``groupdq``.

    ``data[nint, ngroup, ny, nx]`` DN and ``groupdq`` of the same shape; ``pixeldq[ny, nx]``; ``gain[ny, nx]`` e-/DN;
    ``read_noise[ny, nx]`` DN, of one frame; ``dark_rate[ny, nx]`` adds to the rate whose photons make noise; no sum of
    both is taken for less than 0.
    ``pattern[6, ndiff]`` says of each difference of groups: 1 / time between them (1/s); its variance by photons, of a
    rate of 1, and by read noise, of 1; its covariances with the next difference, likewise; whether it may be left out
    with the next. ``zeroframe[nint, ny, nx]`` DN, where given, is taken from the ``nframes`` frames whose mean is the
    first group and stands before what is left of it: there is a difference more. ``rows``: the first and the first
    beyond them.

    A difference counts where both its groups have no flag. Those that a jump has made are left out, one by one or two in
    a row, as long as chi-square falls enough; where ways to do so are equally good, which is where too few would be left to
    tell them apart, the lower rate is taken: cosmic rays add charge. Without a gain above 0 there is no rate.

    Returns two tuples, for the exposure ``[ny, nx]`` and its integrations ``[nint, ny, nx]``: slope and error (DN/s),
    flags, variances by photons and by read noise ((DN/s)^2); and chi-square ``[ny, nx]``, the sum of the integrations'.
    Fit: Brandt 2024, PASP 136, 045004; jumps: Brandt 2024, PASP 136, 045005.
    """
    nint, _, ny, nx = data.shape
    nrow = rows[1] - rows[0]
    # The exposure comes after the last of its integrations.
    planes, flags = np.empty((5, nint + 1, nrow, nx), np.float32), np.empty((nint + 1, nrow, nx), np.uint32)
    zeroframe = np.zeros((0, 0, 0), np.float32) if zeroframe is None else zeroframe
    dark_rate = np.zeros((ny, nx), np.float32) if dark_rate is None else dark_rate
    how = (rows[0], np.float32(nframes))
    _fit((data, groupdq, zeroframe), (gain, read_noise, dark_rate), pixeldq, pattern, how, planes, flags)
    slope, err, var_photon, var_read, chisq = planes
    rate, ints = (
        (slope[part], err[part], flags[part], var_photon[part], var_read[part]) for part in (nint, slice(nint))
    )
    return rate, ints, chisq[nint]


@kernel
def _fit(ramps, pixels, pixeldq, pattern, how, planes, dq):
    for row in prange(dq.shape[1]):
        _fit_row(ramps, pixels, pixeldq, pattern, how, planes, dq, np.int64(row))


@helper
def _fit_row(ramps, pixels, pixeldq, pattern, how, planes, dq, row):
    """Chunks of a row, one integration after the other, then the exposure."""
    nint, _, _, nx = ramps[0].shape
    ndiff, y = pattern.shape[1], how[0] + row
    d, used, store = np.empty((ndiff, WIDTH)), np.empty((ndiff, WIDTH)), np.empty((6, ndiff, WIDTH))
    steps, rest, flags = np.empty((ndiff, WIDTH), np.float32), np.empty(WIDTH, np.float32), np.empty(WIDTH, np.uint32)
    pixel, work, fit, at = np.empty((3, WIDTH)), np.empty((15, WIDTH)), np.empty((4, WIDTH)), np.empty(WIDTH, np.int64)
    kept, seen = np.zeros((3, nint, WIDTH), np.float32), np.empty(WIDTH, np.uint32)
    chisq = np.empty(WIDTH)
    for x0 in range(0, nx, WIDTH):
        w = min(WIDTH, nx - x0)
        here = slice(x0, x0 + w)
        _start(pixels, y, here, pixel)
        for i in range(nint):
            after = ramps[1][i, ramps[1].shape[1] - ndiff :, y, here]  # the group after each difference
            _load(ramps, i, y, here, how, rest, d, used, steps, pattern)
            _flags(ramps[1][i, :, y, here], flags)
            _guess(steps, w, pixel, fit)
            _forward(d, used, pattern, w, pixel[1], fit, store, work)
            count = _suspects(used, w, fit, at)
            while count > 0:
                count = _search(d, used, pattern, pixel[1], fit, store, work, at[:count], after, flags)
            _final(d, used, pattern, w, pixel, fit, work)
            _write(planes, dq, i, row, here, pixeldq[y, here], pixel[1], fit, flags)
            _keep(planes[:, i, row, here], dq[i, row, here], i, kept, seen, chisq)
        _combine(planes, dq, row, here, kept, seen, chisq, work)


@helper
def _start(pixels, y, here, pixel):
    """What belongs to the pixels of a chunk: 1 / gain, variance of a frame by read noise, dark current."""
    gain, noise, dark = pixels[0][y, here], pixels[1][y, here], pixels[2][y, here]
    for x in range(gain.size):
        pixel[0, x] = 1 / np.float64(gain[x]) if gain[x] > 0 else np.nan
        pixel[1, x] = np.float64(noise[x]) * np.float64(noise[x])
        pixel[2, x] = dark[x]


@helper
def _load(ramps, i, y, here, how, rest, d, used, steps, pattern):
    """The differences of an integration, DN/s, and which of them count."""
    data, groupdq, zeroframe = ramps
    split = zeroframe.size > 0
    if split:
        _take_apart(data[i, 0, y, here], zeroframe[i, y, here], how[1], rest)
    low = zeroframe[i, y, here] if split else data[i, 0, y, here]
    for k in range(len(d)):
        g = k if split else k + 1
        high = rest[: here.stop - here.start] if split and k == 0 else data[i, g, y, here]
        _differ(groupdq[i, max(g - 1, 0), y, here], groupdq[i, g, y, here], used[k])
        _subtract(low, high, pattern[0, k], d[k], steps[k])
        low = high


@helper
def _take_apart(mean, zero, nframes, rest):
    """The mean of all frames of a group but the first, ``zero``."""
    for x in range(mean.size):
        rest[x] = (mean[x] * nframes - zero[x]) / (nframes - np.float32(1))


@helper
def _differ(before, after, used):
    for x in range(before.size):
        used[x] = np.float64((before[x] | after[x]) == 0)


@helper
def _subtract(low, high, per_time, d, step):
    for x in range(high.size):
        d[x] = np.float64(high[x] - low[x]) * per_time
        step[x] = d[x]


@helper
def _flags(groupdq, flags):
    """Flags of an integration from those of its groups."""
    ngroup, w = groupdq.shape
    for x in range(w):
        flags[x] = 0
    for g in range(ngroup):
        group = groupdq[g]
        for x in range(w):
            # Bit 8: some group is fit for use.
            flags[x] |= np.uint32(group[x]) | np.uint32(((group[x] & INVALID) == 0) << 8)
    for x in range(w):
        seen = flags[x] & np.uint32(SATURATED | JUMP_DET)
        flags[x] = seen if flags[x] & np.uint32(256) else seen | np.uint32(DO_NOT_USE)


@helper
def _guess(steps, w, pixel, fit):
    """The median of all differences, 0 at least, in photons: what noise is expected while jumps are looked for."""
    ndiff = len(steps)
    sort_columns_inplace(steps)
    low, high, last = steps[(ndiff - 1) // 2], steps[ndiff // 2], steps[ndiff - 1]
    for x in range(w):
        guess = max(0.5 * (np.float64(low[x]) + np.float64(high[x])), 0.0)
        fit[0, x] = guess * pixel[0, x] + 0.0 * last[x]  # NaN are sorted last


@helper
def _forward(d, used, pattern, w, variance, fit, store, work):
    """Take the covariances apart as L D L^T: 1 / D, L^-1 1 and L^-1 d to ``store``; rate, chi-square, 1 / sum of weights."""
    photons, rate, chisq, total = fit[0], fit[1], fit[2], fit[3]
    inverse, u, v = work[0], work[1], work[2]
    for x in range(w):
        rate[x], chisq[x], total[x], inverse[x], u[x], v[x] = 0, 0, 0, 0, 0, 0
    for k in range(len(d)):
        last = max(k - 1, 0)
        ap, ar, bp, br = pattern[1, k], pattern[2, k], pattern[3, last], pattern[4, last]
        d_k, m, m_last, inverse_k, u_k, v_k = d[k], used[k], used[last], store[0, k], store[1, k], store[2, k]
        for x in range(w):
            beside = (photons[x] * bp + variance[x] * br) * m[x] * m_last[x]
            lower = beside * inverse[x]
            inverse[x] = 1 / (photons[x] * ap + variance[x] * ar - beside * lower)
            u[x] = m[x] - lower * u[x]
            v[x] = m[x] * d_k[x] - lower * v[x]
            total[x] += u[x] * u[x] * inverse[x]
            rate[x] += u[x] * v[x] * inverse[x]
            chisq[x] += v[x] * v[x] * inverse[x]
            inverse_k[x], u_k[x], v_k[x] = inverse[x], u[x], v[x]
    for x in range(w):
        total[x] = 1 / total[x]
        chisq[x] -= rate[x] * rate[x] * total[x]
        rate[x] *= total[x]


@helper
def _suspects(used, w, fit, at):
    """The pixels of which some omission might take enough from chi-square: no more than all of it."""
    count = 0
    for x in range(w):
        at[count] = x
        count += fit[2, x] > 0.99 * ONE
    kept = 0
    for j in range(count):
        at[kept] = at[j]
        kept += _count(used, at[j]) > 1
    return kept


@helper
def _count(used, x):
    count = 0
    for k in range(len(used)):
        count += used[k, x] > 0
    return count


@helper
def _search(d, used, pattern, variance, fit, store, work, at, after, flags):
    """Leave out what is best left out of each pixel ``at``; how many, then the first of ``at``, may have more."""
    count, ndiff = at.size, len(d)
    own, noise, number = work[3:7], work[7], work[8]
    for j in range(count):
        own[0, j], noise[j], number[j] = fit[0, at[j]], variance[at[j]], _count(used, at[j])
    for k in range(ndiff):
        for j in range(count):
            store[3, k, j], store[4, k, j] = d[k, at[j]], used[k, at[j]]
    _forward(store[3], store[4], pattern, count, noise, own, store, work)
    _backward(store, pattern, count, noise, own, work)
    best, where, rate = work[9:11], work[11:13], work[13:15]
    for j in range(count):
        best[0, j], best[1, j], where[0, j], where[1, j], rate[0, j], rate[1, j] = -np.inf, -np.inf, 0, 0, 0, 0
    for k in range(ndiff):
        _omit_one(store, k, count, own, best[0], where[0], rate[0])
        if pattern[5, k] > 0:
            _omit_two(store, k, count, own, number, best[1], where[1], rate[1])
    left = 0
    for j in range(count):
        x = at[j]
        pair = not (best[0, j] - ONE > best[1, j] - TWO)
        if best[1, j] > TWO if pair else best[0, j] > ONE:
            first = np.int64(where[1 if pair else 0, j])
            for k in range(first, first + (2 if pair else 1)):
                used[k, x] = 0
                after[k, x] |= np.uint8(JUMP_DET)
            flags[x] |= np.uint32(JUMP_DET)
            fit[1, x] = rate[1 if pair else 0, j]
            # Of three or fewer, no one can say which is wrong.
            at[left] = x
            left += number[j] - (2 if pair else 1) > 3
    return left


@helper
def _backward(store, pattern, count, noise, own, work):
    """From what :func:`_forward` left: of the inverse of the covariances, less what the rate takes of them, diagonal
    and the diagonal above it; the weights; what pulls at each difference."""
    ndiff = store.shape[1]
    diagonal = work[9]
    photons, rate, total = own[0], own[1], own[3]
    for k in range(ndiff - 1, -1, -1):
        above = min(k + 1, ndiff - 1)
        bp, br = pattern[3, k], pattern[4, k]
        inverse, h, s, m, o = store[0, k], store[1, k], store[2, k], store[4, k], store[5, k]
        h_next, s_next, m_next = store[1, above], store[2, above], store[4, above]
        if k == above:
            for j in range(count):
                s[j] = (s[j] - rate[j] * h[j]) * inverse[j]
                h[j] *= inverse[j]
                diagonal[j] = inverse[j]
        else:
            for j in range(count):
                lower = (photons[j] * bp + noise[j] * br) * m[j] * m_next[j] * inverse[j]
                s[j] = (s[j] - rate[j] * h[j]) * inverse[j] - lower * s_next[j]
                h[j] = h[j] * inverse[j] - lower * h_next[j]
                o[j] = -lower * diagonal[j] - h[j] * h_next[j] * total[j]
                diagonal[j] = inverse[j] + lower * lower * diagonal[j]
        for j in range(count):
            inverse[j] = diagonal[j] - h[j] * h[j] * total[j]


@helper
def _omit_one(store, k, count, own, best, where, rate):
    """Whether chi-square falls most when difference ``k`` is free to be anything."""
    e, h, s, m = store[0, k], store[1, k], store[2, k], store[4, k]
    for j in range(count):
        offset = s[j] / e[j]
        improvement = offset * s[j] if m[j] > 0 else -np.inf
        without = own[1, j] - offset * h[j] * own[3, j]
        _keep_better(improvement, without, k, j, best, where, rate)


@helper
def _omit_two(store, k, count, own, number, best, where, rate):
    """As :func:`_omit_one`, of differences ``k`` and ``k + 1``; of two in use, both cannot go."""
    e, h, s, m, o = store[0, k], store[1, k], store[2, k], store[4, k], store[5, k]
    e_next, h_next, s_next, m_next = store[0, k + 1], store[1, k + 1], store[2, k + 1], store[4, k + 1]
    for j in range(count):
        per_det = 1 / (e[j] * e_next[j] - o[j] * o[j])
        first = (s[j] * e_next[j] - s_next[j] * o[j]) * per_det
        second = (s_next[j] * e[j] - s[j] * o[j]) * per_det
        improvement = first * s[j] + second * s_next[j]
        improvement = improvement if (m[j] * m_next[j] > 0) & (number[j] > 2) else -np.inf
        without = own[1, j] - (first * h[j] + second * h_next[j]) * own[3, j]
        _keep_better(improvement, without, k, j, best, where, rate)


@helper
def _keep_better(improvement, without, k, j, best, where, rate):
    """Take note of an omission that is better than those before, or as good and with a lower rate."""
    equal = improvement >= best[j] * (1 - TIE)
    better = (improvement > best[j] * (1 + TIE)) | (equal & (without < rate[j]))
    best[j] = improvement if better else best[j]
    where[j] = k if better else where[j]
    rate[j] = without if better else rate[j]


@helper
def _positive(rate):
    return 0.0 if rate <= 0 else rate  # NaN stays


@helper
def _final(d, used, pattern, w, pixel, fit, work):
    """Slope, error, variance by photons, chi-square: ``fit`` on return.

    The weights h make the variance by photons h^T P h, with P the derivative of the covariances by the rate: it is the
    derivative of the sum of weights, which follows the recursion, so that nothing is stored.
    """
    photons, rate, chisq, total = fit[0], fit[1], fit[2], fit[3]
    inverse, u, v, dp, du, slope, change = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    variance = pixel[1]
    for x in range(w):
        photons[x] = _positive(_positive(rate[x]) + pixel[2, x]) * pixel[0, x]
        inverse[x], u[x], v[x], dp[x], du[x] = 0, 0, 0, 0, 0
        chisq[x], total[x], slope[x], change[x] = 0, 0, 0, 0
    for k in range(len(d)):
        last = max(k - 1, 0)
        ap, ar, bp, br = pattern[1, k], pattern[2, k], pattern[3, last], pattern[4, last]
        d_k, m, m_last = d[k], used[k], used[last]
        for x in range(w):
            both = m[x] * m_last[x]
            beside = (photons[x] * bp + variance[x] * br) * both
            lower = beside * inverse[x]
            dlower = (bp * both - lower * dp[x]) * inverse[x]
            dp[x] = ap - 2 * (bp * both) * lower + lower * lower * dp[x]
            inverse[x] = 1 / (photons[x] * ap + variance[x] * ar - beside * lower)
            du[x] = -dlower * u[x] - lower * du[x]
            u[x] = m[x] - lower * u[x]
            v[x] = m[x] * d_k[x] - lower * v[x]
            weight = u[x] * inverse[x]
            total[x] += u[x] * weight
            slope[x] += v[x] * weight
            chisq[x] += v[x] * v[x] * inverse[x]
            change[x] += weight * (2 * du[x] - weight * dp[x])
    for x in range(w):
        per_total = 1 / total[x]
        chisq[x] -= slope[x] * slope[x] * per_total
        rate[x] = slope[x] * per_total
        photons[x] = -photons[x] * change[x] * per_total * per_total
        total[x] = per_total if total[x] > 0 else np.nan


@helper
def _write(planes, dq, i, row, here, pixeldq, variance, fit, flags):
    """One integration: slope, error, variances by photons and by read noise, chi-square; flags."""
    slope, err, var_photon = planes[0, i, row, here], planes[1, i, row, here], planes[2, i, row, here]
    var_read, chisq, q = planes[3, i, row, here], planes[4, i, row, here], dq[i, row, here]
    for x in range(slope.size):
        slope[x] = fit[1, x]
        err[x] = np.sqrt(fit[3, x])
        var_photon[x] = fit[0, x]
        var_read[x] = fit[3, x] - fit[0, x] if variance[x] > 0 else 0 * fit[3, x]
        chisq[x] = fit[2, x]
        q[x] = pixeldq[x] | flags[x]


@helper
def _keep(planes, dq, i, kept, seen, chisq):
    """Keep an integration's slope and variances, add its chi-square and flags: DO_NOT_USE stays where all have it."""
    for k, plane in ((0, planes[0]), (1, planes[2]), (2, planes[3])):
        own = kept[k, i]
        for x in range(dq.size):
            own[x] = plane[x]
    not_dnu, chisq_i = ~np.uint32(DO_NOT_USE), planes[4]
    for x in range(dq.size):
        before = seen[x] if i else np.uint32(DO_NOT_USE)
        seen[x] = (before | (dq[x] & not_dnu)) & (not_dnu | dq[x])
        chisq[x] = chisq_i[x] + (chisq[x] if i else 0.0)


@helper
def _combine(planes, dq, row, here, kept, seen, chisq, work):
    """The exposure from its integrations, weighted by variances that all have the same rate."""
    nint = kept.shape[1]
    slope, err, var_photon = planes[0, nint, row, here], planes[1, nint, row, here], planes[2, nint, row, here]
    var_read, total, q = planes[3, nint, row, here], planes[4, nint, row, here], dq[nint, row, here]
    rate, sums = work[0], work[1:5]
    if nint > 1:
        _median(kept, slope.size, rate)
        for _ in range(2):
            _sum_integrations(kept, rate, sums)
    for x in range(slope.size):
        if nint > 1:
            photon, read = sums[2, x] / (sums[0, x] * sums[0, x]), sums[3, x] / (sums[0, x] * sums[0, x])
            slope[x], err[x], var_photon[x], var_read[x] = rate[x], np.sqrt(photon + read), photon, read
        else:
            slope[x], err[x] = planes[0, 0, row, here.start + x], planes[1, 0, row, here.start + x]
            var_photon[x], var_read[x] = kept[1, 0, x], kept[2, 0, x]
        total[x], q[x] = chisq[x], seen[x]


@helper
def _median(kept, w, rate):
    slopes = np.empty(kept.shape[1:], np.float32)
    for i in range(len(slopes)):
        for x in range(slopes.shape[1]):
            slopes[i, x] = kept[0, i, x]
    sort_columns_inplace(slopes)
    for x in range(w):
        rate[x] = middle(slopes, x, 0, count_numbers(slopes, x))


@helper
def _sum_integrations(kept, rate, sums):
    """Sums of weights, of weights times slope, of squares of weights times both variances; ``rate``: what they give."""
    weights, slopes, photon, read = sums[0], sums[1], sums[2], sums[3]
    for x in range(rate.size):
        weights[x], slopes[x], photon[x], read[x] = 0, 0, 0, 0
    for i in range(kept.shape[1]):
        slope, var_photon, var_read = kept[0, i], kept[1, i], kept[2, i]
        for x in range(rate.size):
            scale = rate[x] / np.float64(slope[x])
            scaled = np.float64(var_photon[x]) * (scale if (scale >= 0) & (scale < np.inf) else 0.0)
            weight = 1 / (scaled + np.float64(var_read[x]))
            some = weight == weight
            weights[x] += weight if some else 0.0
            slopes[x] += weight * np.float64(slope[x]) if some else 0.0
            photon[x] += weight * weight * scaled if some else 0.0
            read[x] += weight * weight * np.float64(var_read[x]) if some else 0.0
    for x in range(rate.size):
        rate[x] = slopes[x] / weights[x]
