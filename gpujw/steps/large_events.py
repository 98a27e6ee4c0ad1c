"""Large cosmic-ray events: snowballs in the near-infrared detectors, showers in MIRI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import backend
from gpujw.dq import JUMP_DET, SATURATED
from gpujw.steps.ellipses import Ellipses, Floats, contain, covariances, measured, outlines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpujw.exposure import Array, Ramp
    from gpujw.step import Tables
    from gpujw.steps.jump import Jump

#: Showers are looked for in exposures with at least as many differences of groups.
MIN_DIFFERENCES = 10
#: The peer's step does not hand ``max_shower_amplitude`` on. Left at this default it is, as there, ...
DEFAULT_AMPLITUDE = 4.0
#: ... that of the library which finds the showers (electrons/s); a value that is set is obeyed.
LIBRARY_AMPLITUDE = 6.0


def flag_snowballs_inplace(ramp: Ramp, jump: Jump) -> int:
    """Flag snowballs in ``ramp.groupdq``, the whole exposure's, after jumps were found; returns how many there are.

    A snowball is a region of jumps, in one group, around pixels that saturate in that group or the next, or near the
    edge of the detector, where its core may lie beyond. Its ellipse, widened, is flagged JUMP_DET; a large core is
    widened, too, and flagged SATURATED to the end of the integration, and JUMP_DET at the beginning of the next.
    """
    groupdq = ramp.groupdq
    nint, ngroup, ny, nx = groupdq.shape
    paint = backend.of(groupdq).kernel("ellipse")
    fresh = _newly_saturated(groupdq, 1, jump) if jump.sat_required_snowball else None
    cores: list[Floats] = []
    events = 0
    for g in range(1, ngroup):
        table = _regions(groupdq[:, g], JUMP_DET, jump.min_jump_area)
        if fresh is not None:
            later = _newly_saturated(groupdq, g + 1, jump) if g + 1 < ngroup else fresh[:0]
            snowballs = _around_cores(table, np.concatenate([fresh, later]), jump, ny)
            large = _larger(fresh, jump.min_sat_radius_extend)
            wide = _capped(large.minor + 2 * jump.sat_expand, jump), _capped(large.major + 2 * jump.sat_expand, jump)
            paint.saturate_inplace(groupdq, outlines(large, wide, g, (ny, nx)))
            cores.append(outlines(large, (large.minor, large.major), 1, (ny, nx)))
            # What was painted is no longer new in the next group.
            fresh = _newly_saturated(groupdq, g + 1, jump) if len(large) and g + 1 < ngroup else later
        else:
            snowballs = measured(table)
        events += len(snowballs)
        drawn = outlines(snowballs, _expanded(snowballs, jump.expand_factor, jump), g, (ny, nx))
        paint.flag_inplace(groupdq, groupdq, drawn, after=0, spare=SATURATED)
    if cores and jump.mask_snowball_core_next_int:
        _flag_next_integration(ramp, np.concatenate(cores), jump, paint)
    return events


def _regions(flags: Array, bit: int, min_area: float) -> Floats:
    """Regions of ``flags[nint, ny, nx]`` that hold ``bit`` and fill at least ``min_area`` pixels, by ``components``."""
    xp = backend.of(flags).xp
    label = backend.of(flags).kernel("label")
    return label.components(xp.ascontiguousarray(flags), bit=bit, min_area=int(np.ceil(min_area)))  # type: ignore[no-any-return]


def _newly_saturated(groupdq: Array, g: int, jump: Jump) -> Floats:
    """Regions of pixels saturated in group ``g`` and not in the one before it."""
    return _regions(groupdq[:, g] & ~groupdq[:, g - 1], SATURATED, jump.min_sat_area)


def _around_cores(table: Floats, cores: Floats, jump: Jump, ny: int) -> Ellipses:
    """The jump regions in ``table`` near the detector's edge, or whose ellipse contains the center of a core."""
    x, y = table[:, 2], table[:, 3]
    # The peer measures both from the number of rows.
    far = max(0, ny - jump.edge_size)
    chosen = (x < jump.edge_size) | (y < jump.edge_size) | (x > far) | (y > far)
    xx, yy, _ = covariances(table)
    # No ellipse reaches farther; few jumps have a core so near, and only their ellipses are worked out.
    region, core = _pairs(table, cores, 2 * np.sqrt(xx + yy) + 1)
    inside = contain(measured(table[region]), cores[core, 2], cores[core, 3])
    chosen[region[inside]] = True
    return measured(table[chosen])


def _larger(table: Floats, minor: float) -> Ellipses:
    """The ellipses of the regions in ``table`` whose minor axis is longer than ``minor``."""
    xx, yy, _ = covariances(table)
    # The axes of a circle with the same trace: no minor one is longer, but for rounding.
    ellipses = measured(table[4 * np.sqrt((xx + yy) / 2) - 1 > minor - 1e-9])
    return ellipses[ellipses.minor > minor]


def _pairs(table: Floats, cores: Floats, reach: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of ``table`` and of ``cores`` in the same frame whose centers are at most ``reach`` apart along x and y."""
    y, core_y = table[:, 3], cores[:, 3]
    # Frames one above the other, too far apart to reach from one to the next.
    stride = max(y.max(initial=0), core_y.max(initial=0)) + 2 * reach.max(initial=0) + 1
    y, core_y = y + table[:, 0] * stride, core_y + cores[:, 0] * stride
    order = np.argsort(core_y)
    low = np.searchsorted(core_y[order], y - reach)
    count = np.searchsorted(core_y[order], y + reach, side="right") - low
    region = np.repeat(np.arange(len(table)), count)
    core = order[np.arange(count.sum()) + np.repeat(low - (np.cumsum(count) - count), count)]
    near = np.abs(table[region, 2] - cores[core, 2]) <= reach[region]
    return region[near], core[near]


def _capped(axis: Floats, jump: Jump) -> Floats:
    return np.minimum(axis, 2 * jump.max_extended_radius)


def _expanded(ellipses: Ellipses, factor: float, jump: Jump) -> tuple[Floats, Floats]:
    """Axes longer by what ``factor`` adds to the minor one."""
    minor, major = ellipses.minor * factor, ellipses.major + (factor - 1.0) * ellipses.minor
    return _capped(minor, jump), _capped(major, jump)


def _flag_next_integration(ramp: Ramp, cores: Floats, jump: Jump, paint: Any) -> None:
    """Flag ``cores`` in the first groups, but the very first, of the integration after theirs."""
    nint, ngroup, _, _ = ramp.groupdq.shape
    last = min(int(jump.snowball_time_masked_next_int // ramp.meta["TGROUP"]), ngroup) - 1
    cores = cores[cores[:, 0] + 1 < nint]
    cores[:, 0] += 1
    if last >= 1:
        paint.flag_inplace(ramp.groupdq, ramp.groupdq, cores, after=last - 1, spare=0)


def flag_showers_inplace(ramp: Ramp, jump: Jump, tables: Tables) -> int:
    """Flag showers in ``ramp.groupdq``, the whole exposure's, after jumps were found; returns how many there are.

    A shower is a region of faint extended emission, in one group: a mean excess over a ring around each of its pixels.
    Its ellipse, widened, is flagged JUMP_DET in that group and those that follow within ``time_masked_after_shower``;
    except in pixels whose count rate that changes by more than a shower can, or takes away.
    ``tables``: ``gain[ny, nx]`` (electrons/DN), ``readnoise[ny, nx]`` (electrons, of a difference of two frames).
    """
    data, groupdq, gain = ramp.data, ramp.groupdq, tables["gain"]
    nint, ngroup, ny, nx = groupdq.shape
    here = backend.of(data)
    shower, paint = here.kernel("shower"), here.kernel("ellipse")
    unused = shower.unused_groups(groupdq)
    if nint * (ngroup - 1) - unused.sum() < MIN_DIFFERENCES:
        return 0
    if nint >= jump.minimum_sigclip_groups:
        noise = shower.clipped_noise(data, groupdq, gain)
    else:
        noise = shower.noise(data, groupdq, gain, tables["readnoise"], nframes=ramp.meta["NFRAMES"])
    # The parameter called the outer radius is the width of the ring, to the peer.
    ring = {"inner": jump.extend_inner_radius, "outer": jump.extend_inner_radius + jump.extend_outer_radius}
    found = shower.extended_emission(
        data, groupdq, ramp.pixeldq, gain, *noise, **ring, threshold=jump.extend_snr_threshold
    )
    for i in np.flatnonzero(unused[:, 0]):
        found[i, : unused[i].argmin()] = 0  # the first difference taken is that after the first group in use
    ellipses = measured(_regions(found.reshape(-1, ny, nx), 1, jump.extend_min_area))
    if not len(ellipses):
        return 0
    marks = here.xp.zeros(groupdq.shape, here.xp.uint8)
    drawn = outlines(ellipses, _expanded(ellipses, jump.extend_ellipse_expand_ratio, jump), 0, (ny, nx))
    drawn[:, 1], drawn[:, 0] = drawn[:, 0] % (ngroup - 1) + 1, drawn[:, 0] // (ngroup - 1)
    after = int(jump.time_masked_after_shower // ramp.meta["TGROUP"])
    paint.flag_inplace(marks, groupdq, drawn, after=after, spare=SATURATED)
    shower.accept_inplace(groupdq, marks, data, ramp.pixeldq, gain, limit=_amplitude(jump) * ramp.meta["TGROUP"])
    return len(ellipses)


def _amplitude(jump: Jump) -> float:
    return LIBRARY_AMPLITUDE if jump.max_shower_amplitude == DEFAULT_AMPLITUDE else jump.max_shower_amplitude
