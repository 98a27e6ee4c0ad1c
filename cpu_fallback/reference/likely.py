"""Count rates from ramps by maximum likelihood, the jumps among their differences found on the way."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED

INVALID = DO_NOT_USE | SATURATED
#: What leaving out one difference, or two in a row, must take from chi-square: 4.5 sigma (Brandt 2024b, section 3).
ONE, TWO = 20.25, 23.8
TIE = 1e-8  # improvements that differ by less, of each other, are the same


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
    nint, nrow, nx = len(data), rows[1] - rows[0], data.shape[3]
    planes, dq = np.empty((5, nint, nrow, nx)), np.empty((nint, nrow, nx), np.uint32)
    for i in range(nint):
        for row, y in enumerate(range(rows[0], rows[1])):
            zero = None if zeroframe is None else zeroframe[i, y]
            dark = 0.0 if dark_rate is None else dark_rate[y].astype(np.float64)
            ramps = _Ramps(*_differences(data[i, :, y], groupdq[i, :, y], zero, nframes, pattern), pattern)
            noise = _Noise(gain[y].astype(np.float64), read_noise[y].astype(np.float64) ** 2, pattern)
            with np.errstate(all="ignore"):
                used, rate = _search(ramps, noise)
                struck = np.where(ramps.used & ~used, JUMP_DET, 0).astype(np.uint8).T
                groupdq[i, data.shape[1] - len(struck) :, y] |= struck
                planes[:, i, row] = _final(ramps, noise, used, _positive(_positive(rate) + dark))
            dq[i, row] = pixeldq[y] | _flags(groupdq[i, :, y])
    slope, err, var_photon, var_read, chisq = planes.astype(np.float32)
    ints = (slope, err, dq, var_photon, var_read)
    rate = tuple(plane[0] for plane in ints) if nint == 1 else _combine(*ints)
    return rate, ints, chisq.sum(axis=0)


def _differences(counts, flags, zero, nframes, pattern):
    """Rates ``[nx, ndiff]`` between groups next to each other, DN/s, and which of them count."""
    if zero is not None:
        rest = (counts[0] * np.float32(nframes) - zero) / np.float32(nframes - 1)
        counts, flags = np.stack([zero, rest, *counts[1:]]), np.stack([flags[0], *flags])
    return (np.diff(counts, axis=0) * pattern[0][:, None]).T, ((flags[1:] | flags[:-1]) == 0).T


@dataclass(frozen=True)
class _Ramps:
    d: np.ndarray  # differences [npixel, ndiff], DN/s
    used: np.ndarray  # whether they count
    pattern: np.ndarray

    def __getitem__(self, which):
        return _Ramps(self.d[which], self.used[which], self.pattern)


@dataclass(frozen=True)
class _Noise:
    gain: np.ndarray  # [npixel]
    variance: np.ndarray  # of a frame, by read noise
    pattern: np.ndarray

    def __getitem__(self, which):
        return _Noise(self.gain[which], self.variance[which], self.pattern)

    def parts(self, rate):
        """Covariances of differences ``[npixel, ndiff, ndiff]`` by photons and by read noise."""
        _, photon, read, photon_next, read_next, _ = self.pattern
        per_gain = rate / np.where(self.gain > 0, self.gain, np.nan)
        return (
            per_gain[:, None, None] * _band(photon, photon_next),
            self.variance[:, None, None] * _band(read, read_next),
        )


def _band(diagonal, beside):
    """A symmetric matrix of three diagonals."""
    return np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)


@dataclass(frozen=True)
class _Fit:
    inverse: np.ndarray  # of the covariances of the differences in use, 0 for others
    weight: np.ndarray  # its sums along rows
    total: np.ndarray  # and of all
    rate: np.ndarray
    pull: np.ndarray  # the inverse times what is left of the differences
    chisq: np.ndarray


def _fit(d, used, covariance):
    """The rate that all differences in use are most likely to have."""
    both = used[:, :, None] & used[:, None, :]
    matrix = np.where(both | np.eye(d.shape[1], dtype=bool), covariance, 0)
    matrix[~(np.diagonal(covariance, axis1=1, axis2=2) > 0).all(axis=1)] = np.nan
    inverse = np.where(both, np.linalg.inv(matrix), 0)
    weight = inverse.sum(axis=2)
    total = weight.sum(axis=1)
    rate = (weight * d).sum(axis=1) / total
    left = d - rate[:, None]
    pull = (inverse @ left[:, :, None])[:, :, 0]
    return _Fit(inverse, weight, total, rate, pull, (left * pull).sum(axis=1))


def _search(ramps, noise):
    """The differences that count when those with jumps are left out, and the rate by them."""
    used = ramps.used.copy()
    guess = np.median(ramps.d.astype(np.float32), axis=1).astype(np.float64)
    guess = _positive(guess)
    rate = _fit(ramps.d, used, sum(noise.parts(guess))).rate
    # Of one difference, none can be left out.
    open_ = np.flatnonzero(used.sum(axis=1) > 1)
    while len(open_):
        fit = _fit(ramps.d[open_], used[open_], sum(noise[open_].parts(guess[open_])))
        better, dropped, without = _best_omission(fit, used[open_], ramps.pattern[5] > 0)
        open_ = open_[better]
        rate[open_] = without[better]
        used[open_] &= ~dropped[better]
        open_ = open_[used[open_].sum(axis=1) > 3]  # of fewer, no one can say which is wrong
    return used, rate


def _positive(rate):
    return np.where(rate <= 0, 0, rate)  # NaN stays


def _best_omission(fit, used, pair_allowed):
    """Whether some omission improves chi-square enough, which differences it leaves out, and the rate without them."""
    one, rate_one = _omit_one(fit, used)
    two, rate_two = _omit_two(fit, used, pair_allowed)
    first, second = _choose(one, rate_one), _choose(two, rate_two)
    pixel = np.arange(len(used))
    gain_one, gain_two = one[pixel, first], two[pixel, second]
    single = gain_one - ONE > gain_two - TWO
    dropped = np.zeros_like(used)
    dropped[pixel, np.where(single, first, second)] = True
    dropped[pixel[~single], second[~single] + 1] = True
    enough = np.where(single, gain_one > ONE, gain_two > TWO)
    return enough, dropped, np.where(single, rate_one[pixel, first], rate_two[pixel, second])


def _choose(improvement, rate):
    """The best omission of each pixel; of those that are as good, that with the lowest rate."""
    best = improvement.max(axis=1, keepdims=True)
    return np.where(improvement >= best - TIE * np.abs(best), rate, np.inf).argmin(axis=1)


def _omit_one(fit, used):
    """What chi-square loses when a difference is free to be anything, and the rate by the others."""
    spread = np.diagonal(fit.inverse, axis1=1, axis2=2) - fit.weight**2 / fit.total[:, None]
    offset = fit.pull / spread
    rate = fit.rate[:, None] - offset * fit.weight / fit.total[:, None]
    return np.where(used, offset * fit.pull, -np.inf), rate


def _omit_two(fit, used, allowed):
    """As :func:`_omit_one`, of a difference and the next; of two in use, both cannot go."""
    spread = fit.inverse - fit.weight[:, :, None] * fit.weight[:, None, :] / fit.total[:, None, None]
    near, far = (np.diagonal(spread, axis1=1, axis2=2)[:, part] for part in (slice(None, -1), slice(1, None)))
    between = np.diagonal(spread, offset=1, axis1=1, axis2=2)
    low, high = fit.pull[:, :-1], fit.pull[:, 1:]
    det = near * far - between**2
    first, second = (low * far - high * between) / det, (high * near - low * between) / det
    rate = fit.rate[:, None] - (first * fit.weight[:, :-1] + second * fit.weight[:, 1:]) / fit.total[:, None]
    counts = used[:, :-1] & used[:, 1:] & allowed[:-1] & (used.sum(axis=1, keepdims=True) > 2)
    return np.where(counts, first * low + second * high, -np.inf), rate


def _final(ramps, noise, used, rate):
    """Slope, error, variances by photons and by read noise, chi-square of one integration ``[5, npixel]``."""
    photon, read = noise.parts(rate)
    fit = _fit(ramps.d, used, photon + read)
    share = fit.weight / fit.total[:, None]
    variances = ((share[:, None, :] @ part @ share[:, :, None])[:, 0, 0] for part in (photon, read))
    error = np.sqrt(np.where(fit.total > 0, 1 / fit.total, np.nan))
    return np.stack([fit.rate, error, *variances, fit.chisq])


def _flags(groupdq):
    """Flags of an integration ``[npixel]`` from those of its groups."""
    invalid = (groupdq & INVALID != 0).all(axis=0)
    seen = np.bitwise_or.reduce(groupdq, axis=0) & (SATURATED | JUMP_DET)
    return (seen | np.where(invalid, DO_NOT_USE, 0)).astype(np.uint32)


def _combine(slope, err, dq, var_photon, var_read):
    """The exposure from its integrations, weighted by variances that all have the same rate."""
    data, photon, read = (plane.astype(np.float64) for plane in (slope, var_photon, var_read))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of pixels without any rate
        rate = np.nanmedian(slope, axis=0).astype(np.float64)
        for _ in range(2):
            scale = rate / data
            scaled = photon * np.where(np.isfinite(scale) & (scale >= 0), scale, 0)
            weight = 1 / (scaled + read)
            total = np.nansum(weight, axis=0)
            rate = np.where(np.isnan(data * weight).all(axis=0), np.nan, np.nansum(data * weight, axis=0) / total)
        nothing = np.isnan(weight).all(axis=0)
        variances = [np.where(nothing, np.nan, np.nansum(v * weight**2, axis=0) / total**2) for v in (scaled, read)]
        error = np.sqrt(variances[0] + variances[1])
    flags = np.bitwise_or.reduce(dq, axis=0) & ~np.uint32(DO_NOT_USE)
    flags |= np.bitwise_and.reduce(dq, axis=0) & np.uint32(DO_NOT_USE)
    planes = [plane.astype(np.float32) for plane in (rate, error, *variances)]
    return planes[0], planes[1], flags, planes[2], planes[3]
