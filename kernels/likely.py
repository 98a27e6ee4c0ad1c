"""Count rates from ramps by maximum likelihood, the jumps among their differences found on the way."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import launch

#: The most differences of a ramp that a thread sorts in memory of its own, of which a device has not much more.
SORTED = 256
#: Ramps at once, and bytes that they may take while they are fitted.
THREADS, SCRATCH = 1 << 18, 256 << 20


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
    nint, ngroup, ny, nx = data.shape
    nrow, ndiff = rows[1] - rows[0], pattern.shape[1]
    # The exposure comes after the last of its integrations.
    planes, flags = cp.empty((5, nint + 1, nrow, nx), np.float32), cp.empty((nint + 1, nrow, nx), np.uint32)
    frames = [gain if frame is None else frame for frame in (zeroframe, dark_rate)]  # not read where there is none
    threads = min(nint * nrow * nx, THREADS, max(SCRATCH // (25 * ndiff), 1))
    scratch, used = cp.empty((3, ndiff, threads), np.float64), cp.empty((ndiff, threads), np.uint8)
    arrays = (data, groupdq, frames[0], pixeldq, gain, read_noise, frames[1], pattern)
    sizes = (nint, ngroup, ny, nx, rows[0], nrow, ndiff, nframes, zeroframe is not None, dark_rate is not None, threads)
    # A power of two, so that few variants are compiled.
    places = max(4, 1 << (ndiff - 1).bit_length()) if ndiff <= SORTED else 0
    scalars = map(np.int64, sizes)
    launch("likely", "fit", threads, *arrays, *scalars, scratch, used, planes, flags, macros=(f"NSORT={places}",))
    launch("likely", "combine", nrow * nx, np.int64(nint), np.int64(nrow * nx), planes, flags)
    slope, err, var_photon, var_read, chisq = planes
    rate, ints = (
        (slope[part], err[part], flags[part], var_photon[part], var_read[part]) for part in (nint, slice(nint))
    )
    return rate, ints, chisq[nint]
