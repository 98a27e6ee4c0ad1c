"""Count rates from ramps: segments between flagged groups, each fitted by optimally weighted least squares."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import launch

#: The most differences of a ramp that a thread sorts in memory of its own, of which a device has not much more.
SORTED = 256


def usable_groups(groupdq, *, suppress_one_group):
    """Which groups any ramp may use: ``used[ngroup]``, False where DO_NOT_USE covers the whole exposure.

    ``groupdq[nint, ngroup, ny, nx]``. With ``suppress_one_group``, ramps with one good group use none.
    """
    nint, ngroup, ny, nx = groupdq.shape
    used = cp.zeros(ngroup, np.uint8)
    sizes = [np.int64(size) for size in (nint * ny * nx, ngroup, ny * nx, suppress_one_group)]
    launch("ramp_fit", "find_used", nint * ny * nx, groupdq, *sizes, used)
    return used.astype(np.bool_)


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
    nint, ngroup, ny, nx = data.shape
    nrow, n = rows[1] - rows[0], groups[1] - groups[0]
    # The exposure comes after the last of its integrations.
    planes, flags = cp.empty((4, nint + 1, nrow, nx), np.float32), cp.empty((nint + 1, nrow, nx), np.uint32)
    frames = [gain if frame is None else frame for frame in (zeroframe, dark_rate)]  # not read where there is none
    arrays = (data, groupdq, frames[0], pixeldq, gain, read_noise, frames[1], coeffs)
    sizes = (nint, ngroup, ny, nx, rows[0], nrow, groups[0], n, coeffs.shape[2])
    options = (suppress_one_group, zeroframe is not None, dark_rate is not None)
    scalars = [*map(np.int64, (*sizes, *options)), *map(np.float64, times)]
    # A power of two, so that few variants are compiled.
    places = max(4, 1 << (n - 2).bit_length()) if 1 < n <= SORTED else 0
    launch("ramp_fit", "fit", nrow * nx, *arrays, *scalars, planes, flags, macros=(f"NSORT={places}",))
    slope, err, var_photon, var_read = planes
    return tuple(
        (slope[part], err[part], flags[part], var_photon[part], var_read[part]) for part in (nint, slice(nint))
    )
