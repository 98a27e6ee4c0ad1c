"""Count rates from ramps: segments between flagged groups, each fitted by optimally weighted least squares."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from gpujw.dq import CHARGELOSS, DO_NOT_USE, JUMP_DET, NO_GAIN_VALUE, PERSISTENCE, SATURATED

INVALID = DO_NOT_USE | SATURATED
NOT_PERSISTENCE = np.uint8(0xFF ^ PERSISTENCE)
SNR = (5.0, 10.0, 20.0, 50.0, 100.0)  # where one power of the weights ends and the next begins
LARGE_VARIANCE = 1e6  # variances from here on mean that nothing was measured; they are written as 0


def usable_groups(groupdq, *, suppress_one_group):
    """Which groups any ramp may use: ``used[ngroup]``, False where DO_NOT_USE covers the whole exposure.

    ``groupdq[nint, ngroup, ny, nx]``. With ``suppress_one_group``, ramps with one good group use none.
    """
    alone = ((groupdq & NOT_PERSISTENCE) == 0).sum(axis=1, keepdims=True) == 1
    unused = (groupdq & DO_NOT_USE) != 0
    if suppress_one_group:
        unused |= alone
    return ~unused.all(axis=(0, 2, 3))


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
    inside = slice(*rows)
    setup = _Setup(*(plane[inside].astype(np.float64) for plane in (gain, read_noise)), coeffs, times)
    base = pixeldq[inside] | np.where(setup.gain > 0, 0, DO_NOT_USE | NO_GAIN_VALUE).astype(np.uint32)
    ramps = []
    for i in range(len(data)):
        zero = None if zeroframe is None else zeroframe[i, inside]
        ramps.append(_ramps(data[i, :, inside], groupdq[i, :, inside], groups, zero, times, suppress_one_group))
    with np.errstate(all="ignore"):
        signal = np.mean([_median_rate(ramp, times) for ramp in ramps], axis=0)
        signal = np.where(signal > 0, signal, 0) + (0 if dark_rate is None else dark_rate[inside])
        sums = [_sum_segments(ramp, signal, setup) for ramp in ramps]
        ints = [_integration(*pair, base) for pair in zip(sums, ramps, strict=True)]
        rate = _exposure(sums, ramps, base)
        _restore_chargeloss(rate, ints, ramps, setup)
    dtypes = (np.float32, np.float32, np.uint32, np.float32, np.float32)
    ints = [np.stack(planes) for planes in zip(*ints, strict=True)]
    return tuple(tuple(plane.astype(dtype) for plane, dtype in zip(fit, dtypes, strict=True)) for fit in (rate, ints))


@dataclass(frozen=True)
class _Setup:
    gain: np.ndarray
    read_noise: np.ndarray
    coeffs: np.ndarray
    times: tuple

    def read_variance(self, n, time):
        """Variance of the slope of ``n`` groups by read noise alone; a group alone counts as two."""
        n = max(n, 2)
        return 12 * (self.read_noise / time) ** 2 / ((n**3 - n) * self.gain**2)


@dataclass(frozen=True)
class _Ramps:
    """One integration as the fit takes it."""

    f: np.ndarray  # counts [ngroup, ny, nx], of groups to use
    q: np.ndarray  # their flags
    origin: np.ndarray  # their flags as they came
    lone: np.ndarray  # the first group is all there is
    time: np.ndarray  # what a group that is alone is divided by
    flags: np.ndarray  # of the integration
    blind: np.ndarray  # nothing to fit


def _ramps(data, groupdq, groups, zero, times, suppress):
    """One integration, its lone groups suppressed, or those without any replaced by the zero frame."""
    f = data[slice(*groups)].astype(np.float64)
    origin = groupdq[slice(*groups)]
    q = origin.copy()
    if suppress:
        q[:, ((groupdq & NOT_PERSISTENCE) == 0).sum(axis=0) == 1] |= DO_NOT_USE
    if groups[0] > 0:  # a jump from a group that is not used is none
        q[0] &= 0xFF ^ JUMP_DET
    flags = np.bitwise_or.reduce(q, axis=0) & (JUMP_DET | PERSISTENCE)
    saturated = (q & SATURATED != 0).sum(axis=0)
    good = (q == 0).sum(axis=0)
    lone = (good == 1) & (q[0] == 0) & (not suppress)
    time = np.where(lone, times[1], times[0])
    if zero is not None and not suppress:
        replaced = (good == 0) & (zero != 0)
        time[replaced] = times[2]
        f[0, replaced], q[0, replaced] = zero[replaced], 0
        lone |= replaced
        saturated -= replaced & (saturated == len(q))
    blind = (q[0] & SATURATED != 0) | (q & INVALID != 0).all(axis=0)
    f[q & SATURATED != 0] = np.nan
    flags = flags.astype(np.uint32) | np.where(saturated > 0, SATURATED, 0) | np.where(blind, DO_NOT_USE, 0)
    return _Ramps(f, q, origin, lone, time, flags.astype(np.uint32), blind)


def _median_rate(ramp, times):
    """Median of the first differences of usable groups, over the time between groups."""
    if len(ramp.f) == 1:
        return ramp.f[0] / times[1]
    f = np.where(ramp.q & DO_NOT_USE, np.nan, ramp.f).astype(np.float32)
    steps = np.where(ramp.q[1:] & JUMP_DET, np.nan, np.diff(f, axis=0).astype(np.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ramps without one usable difference
        rate = np.nanmedian(steps, axis=0)
    rate = np.where(np.isnan(rate), f[0], rate) / times[0]
    rate = np.where(ramp.lone, ramp.f[0] / ramp.time, rate)
    return np.where(np.isnan(rate), 0, rate)


def _segments(q):
    """Each ``(start, end, where)``: the pixels with a segment of those groups, the runs of good groups in them.

    A run begins with the group before it where that is flagged as a jump and nothing else: the jump lies before it.
    """
    q = q & NOT_PERSISTENCE
    good = np.concatenate([q == 0, np.zeros_like(q[:1], bool)])
    start = np.zeros(q.shape[1:], np.int64)
    for g in range(len(q)):
        begins = good[g] & ~good[g - 1]  # good[-1] is False
        start = np.where(begins, g - (q[g - 1] == JUMP_DET) if g else 0, start)
        ends = good[g] & ~good[g + 1]
        for s in np.unique(start[ends]):
            yield s, g + 1, ends & (start == s)


def _fitted(q):
    """The segments that are fitted: all of two groups or more; where there is none, the first group that is alone."""
    segments = list(_segments(q))
    long = np.zeros(q.shape[1:], bool)
    for start, end, where in segments:
        if end - start > 1:
            long |= where
            yield start, end, where
    for start, end, where in segments:
        if end - start == 1:
            yield start, end, where & ~long
            long |= where


def _slope(f, where, setup):
    """Slope of one segment ``f[n, npixel]``, DN a group."""
    n = len(f)
    rise = (f[-1] - f[0]) * setup.gain[where]
    variance = setup.read_noise[where] ** 2 + rise
    snr = np.where(variance <= 0, 0, np.maximum(rise / np.sqrt(variance), 0))
    power = len(SNR) - sum(np.less(snr, limit) for limit in SNR)  # NaN: the last
    if n > 2:
        f = np.where(np.isnan(f), 0, f)
    return sum(setup.coeffs[n, power, k] * (f[n - 1 - k] - f[k]) for k in range(n // 2))


def _sum_segments(ramp, signal, setup):
    """Sums over the segments of one integration: of 1 / variance by read noise, by photons, by both; of slope / variance."""
    sums = np.zeros((4, *ramp.blind.shape))
    for start, end, where in _fitted(np.where(ramp.blind, INVALID, ramp.q)):
        n, f = end - start, ramp.f[start:end, where]
        time = ramp.time if n == 1 else setup.times[0]
        slope = (f[0] if n == 1 else _slope(f, where, setup)) / (time[where] if n == 1 else time)
        var_read = setup.read_variance(n, time)[where]
        var_photon = (signal / (time * setup.gain * max(n - 1, 1)))[where]
        inverse = np.where(var_photon > 0, 1 / var_photon, 0)
        sums[:, where] += np.stack([1 / var_read, inverse, 1 / (var_read + var_photon), slope / var_read])
    return sums


def _inverse(total):
    """Variance from the sum of its inverses, 0 where there is nothing or next to nothing in the sum."""
    variance = np.where(total == 0, 0, 1 / total)
    return np.where(variance >= LARGE_VARIANCE, 0, variance)


def _integration(sums, ramp, base):
    var_read, var_photon = _inverse(sums[0]), _inverse(sums[1])
    var = 1 / sums[2]
    planes = [
        sums[3] * var_read,
        np.sqrt(np.where(var > LARGE_VARIANCE, 0, var)),
        base | ramp.flags,
        var_photon,
        var_read,
    ]
    _blank(planes, (base & INVALID != 0) | ramp.blind)
    return planes


def _exposure(sums, ramps, base):
    var_read, var_photon, _, slope = sum(sums)
    var_read, var_photon = _inverse(var_read), _inverse(var_photon)
    blind = np.all([ramp.blind for ramp in ramps], axis=0)
    flags = np.bitwise_or.reduce([ramp.flags for ramp in ramps]) & ~np.uint32(DO_NOT_USE)
    flags = base | flags | np.where(blind, DO_NOT_USE, 0).astype(np.uint32)
    planes = [slope * var_read, np.sqrt(var_photon + var_read), flags, var_photon, var_read]
    _blank(planes, (base & INVALID != 0) | blind)
    return planes


def _blank(planes, where):
    for plane, value in zip(planes, (np.nan, 0, None, 0, 0), strict=True):
        if value is not None:
            plane[where] = value


def _restore_chargeloss(rate, ints, ramps, setup):
    """Variances by read noise as if no group had been flagged for charge loss: the groups were read all the same."""
    total = np.zeros(rate[0].shape)
    anywhere = np.zeros(rate[0].shape, bool)
    for planes, ramp in zip(ints, ramps, strict=True):
        lost = (ramp.origin & CHARGELOSS != 0).any(axis=0)
        inverse = np.where(lost, _restored(ramp, setup), np.where(planes[4] > 0, 1 / planes[4], 0))
        planes[4][lost] = _inverse(inverse)[lost]
        total += inverse
        anywhere |= lost
    changed = anywhere & (total > 0)
    rate[4][changed] = _inverse(total)[changed]


def _restored(ramp, setup):
    """Sum of 1 / variance by read noise over the segments that there are without the flags for charge loss."""
    q = np.where(ramp.origin & CHARGELOSS, ramp.origin ^ (CHARGELOSS | DO_NOT_USE), ramp.origin)
    total = np.zeros(q.shape[1:])
    for start, end, where in _fitted(q):
        n = end - start
        variance = setup.read_variance(n, ramp.time if n == 1 else setup.times[0])
        counts = where & (variance > 0) & (setup.gain > 0)
        total[counts] += 1 / variance[counts]
    return total
