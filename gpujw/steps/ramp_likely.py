"""The likelihood fit of ramps: what of it depends on the read-out alone, and its call on a block."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import backend
from gpujw.step import Tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference

log = logging.getLogger(__name__)

#: With fewer groups there is no telling a jump from the rest.
LEAST_GROUPS = 4


def read_times(meta: Meta) -> list[NDArray[np.float64]]:
    """When the frames of each group are read, s."""
    nframes, frame = int(meta["NFRAMES"]), float(meta["TFRAME"])
    between = nframes + int(meta["GROUPGAP"])
    return [(np.arange(1.0, nframes + 1) + k * between) * frame for k in range(int(meta["NGROUPS"]))]


def difference_pattern(times: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """What groups that are read at ``times`` say of their differences, ``pattern[6, ndiff]``.

    1 / time between the groups (1/s); variance by photons of a rate of 1 and by read noise of 1; covariances with the next
    difference, likewise; whether it may be left out with the next, since the group between them has several frames.
    Source: Brandt 2024, PASP 136, 045004, equations 4, 11, 28 and 29.
    """
    n = np.array([len(group) for group in times])
    mean = np.array([group.mean() for group in times])
    # The mean time of the photons that make the noise: each frame's are in all frames after it.
    tau = np.array([((2 * len(t) - 1 - 2 * np.arange(len(t))) * t).sum() / len(t) ** 2 for t in times])
    step = np.diff(mean)
    beside = step[1:] * step[:-1]
    pattern = np.zeros((6, len(step)))
    pattern[0] = 1 / step
    pattern[1] = (tau[:-1] + tau[1:] - 2 * mean[:-1]) / step**2
    pattern[2] = (1 / n[:-1] + 1 / n[1:]) / step**2
    pattern[3, :-1] = (mean[1:-1] - tau[1:-1]) / beside
    pattern[4, :-1] = -1 / (n[1:-1] * beside)
    pattern[5, :-1] = n[1:-1] > 1
    return pattern


def likely_tables(refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
    """Gain (e-/DN), read noise of a frame (DN), and the patterns of differences, without and with a zero frame."""
    readnoise, gain = refs["readnoise"], refs["gain"]
    assert readnoise is not None and gain is not None
    times = read_times(meta)
    fixed = {"pattern": difference_pattern(times), "gain_factor": gain.header.get("GAINFACT")}
    if len(times[0]) > 1:
        fixed["split_pattern"] = difference_pattern([times[0][:1], times[0][1:], *times[1:]])
    # The reference is the noise of the difference of two frames.
    noise = readnoise.image() / np.sqrt(2)
    return Tables(rows={"gain": gain.image(), "read_noise": noise.astype(np.float32)}, fixed=fixed)


def fit_likely(ramp: Ramp, tables: Tables, rows: range) -> Any:
    """Rates of the exposure and of its integrations, and chi-square; ``ramp.groupdq`` gets the jumps that were found."""
    zeroframe = ramp.zeroframe
    if zeroframe is not None and "split_pattern" not in tables:
        log.warning("ramp_fit: the zero frame is all of the first group, and not used")
        zeroframe = None
    kernel = backend.of(ramp.data).kernel("likely")
    return kernel.fit_ramps_inplace(
        *(ramp.data, ramp.groupdq, ramp.pixeldq, tables["gain"], tables["read_noise"]),
        tables["pattern" if zeroframe is None else "split_pattern"],
        rows=(rows.start, rows.stop),
        zeroframe=zeroframe,
        nframes=int(ramp.meta["NFRAMES"]),
        dark_rate=ramp.dark_rate,
    )
