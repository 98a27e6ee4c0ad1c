"""Snowballs and showers against the peer's library, flag by flag, on frames crowded with what it looks for.

All flags are equal. Where the center of a pixel lies exactly on a circle, rounding decides whether it is inside: it is
the same as long as both round the moments alike, which they do for regions of all but about 0.2 %.
"""

import logging

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, HOT, JUMP_DET, REFERENCE_PIXEL, SATURATED
from gpujw.step import Tables
from gpujw.steps.jump import Jump
from gpujw.steps.large_events import flag_showers_inplace, flag_snowballs_inplace

from ..steps.fakes import meta_of, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("stcal.jump.jump")
jump_class = pytest.importorskip("stcal.jump.jump_class")
dqflags = pytest.importorskip("stdatamodels.jwst.datamodels.dqflags")

TGROUP, NFRAMES = 3.0, 4


def settings(jump):
    """The peer's parameters, in the units and places in which its step hands them on."""
    data = jump_class.JumpData(dqflags=dqflags.pixel)
    data.nframes = NFRAMES
    areas = jump.min_jump_area, jump.min_sat_area, jump.expand_factor, jump.sat_required_snowball
    data.set_snowball_info(True, *areas, jump.min_sat_radius_extend, 2 * jump.sat_expand, jump.edge_size)
    ring = jump.extend_inner_radius, jump.extend_outer_radius, jump.extend_ellipse_expand_ratio
    limits = jump.min_diffs_single_pass, 2 * jump.max_extended_radius
    data.set_shower_info(True, jump.extend_snr_threshold, jump.extend_min_area, *ring, *limits)
    data.set_sigma_clipping_info(jump.minimum_groups, jump.minimum_sigclip_groups, jump.only_use_ints)
    data.grps_masked_after_shower = int(jump.time_masked_after_shower // TGROUP)
    data.mask_persist_grps_next_int = jump.mask_snowball_core_next_int
    data.persist_grps_flagged = int(jump.snowball_time_masked_next_int // TGROUP)
    data.max_shower_amplitude = data.max_shower_amplitude * TGROUP
    return data


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def oval(shape, rng, radius):
    """The distance of each pixel from a center anywhere, in units of an ellipse of ``radius`` at any angle."""
    y, x = np.indices(shape) - rng.uniform(0, shape).reshape(2, 1, 1)
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(0.5, 1)
    u, v = y * np.cos(angle) + x * np.sin(angle), (y * np.sin(angle) - x * np.cos(angle)) / stretch
    return np.hypot(u, v) / radius


def crowded(shape, rng, rays, balls, stars):
    """Flags of tracks of cosmic rays, of events with cores or without, and of stars that saturate one after another."""
    nint, ngroup, *frame = shape
    groupdq = np.zeros(shape, np.uint8)
    for i in range(nint):
        for first in rng.integers(0, ngroup, stars):
            distance = oval(frame, rng, 1)
            for g in range(first, ngroup):
                groupdq[i, g][distance < rng.uniform(0.5, 4) + 0.4 * (g - first)] |= SATURATED
        for g in range(1, ngroup):
            for length in rng.geometric(0.5, rays):
                track(groupdq[i, g], rng, length)
            for radius in rng.uniform(2, 20, rng.poisson(balls)):
                distance = oval(frame, rng, radius) + rng.normal(0, 0.05, frame)
                groupdq[i, g][distance < 1] |= JUMP_DET
                groupdq[i, min(g + rng.integers(2), ngroup - 1) :, distance < rng.uniform(0, 0.6)] |= SATURATED
    groupdq[:, :, rng.random(frame) < 0.003] |= DO_NOT_USE
    groupdq[groupdq & (SATURATED | DO_NOT_USE) > 0] &= ~np.uint8(JUMP_DET)
    return groupdq


def track(flags, rng, length):
    """A cosmic ray's pixels and their neighbors."""
    last, angle = np.array(flags.shape) - 2, rng.uniform(0, np.pi)
    start, step = rng.uniform(1, last), np.array([np.sin(angle), np.cos(angle)])
    for k in range(length):
        y, x = np.rint(start + k * step).astype(int).clip(1, last)
        flags[y, x - 1 : x + 2] |= JUMP_DET
        flags[y - 1 : y + 2, x] |= JUMP_DET


SNOWBALLS = {
    "defaults": {},
    "as for NIRCam": {"min_jump_area": 15.0, "min_sat_area": 1.0},
    "no core required": {"sat_required_snowball": False, "min_jump_area": 7.5},
    "no edges": {"edge_size": 0, "expand_factor": 1.5},
    "wide edges": {"edge_size": 60, "max_extended_radius": 6},
    "all cores grow": {"min_sat_radius_extend": -2.0, "sat_expand": 3},
    "large cores": {"min_sat_area": 9.0, "min_sat_radius_extend": 1.0, "sat_expand": 0},
    "short masks": {"snowball_time_masked_next_int": 7},
    "no masks": {"mask_snowball_core_next_int": False},
    "single pixels": {"min_jump_area": 1.0, "expand_factor": 3.0, "edge_size": 150},
}


@pytest.mark.parametrize("shape", [(1, 7, 151, 137), (3, 4, 97, 203)])
@pytest.mark.parametrize("name", SNOWBALLS)
def test_snowballs(name, shape):
    jump = Jump(expand_large_events=True, **SNOWBALLS[name])
    groupdq = crowded(shape, np.random.default_rng(len(name)), rays=25, balls=1.0, stars=8)
    ramp = ramp_of(np.zeros(shape), meta_of(TGROUP=TGROUP), groupdq=groupdq)
    events = flag_snowballs_inplace(ramp, jump)
    expected, count = peer.flag_large_events(groupdq.copy(), JUMP_DET, SATURATED, settings(jump))
    assert events == count > 0
    np.testing.assert_array_equal(ramp.groupdq, expected)
    assert (expected != groupdq).sum() > 500


def exposed(shape, rng, showers):
    """Counts with glows that come at some group, flagged in part, and all that may be wrong with a pixel."""
    frame = shape[2:]
    gain, readnoise = rng.uniform(3, 6, frame), rng.uniform(2, 4, frame)
    gain[rng.random(frame) < 0.001] = np.nan
    data = np.cumsum(rng.poisson(rng.uniform(10, 50, frame), shape) / 5, axis=1)
    data += rng.normal(0, readnoise / (2 * NFRAMES) ** 0.5, shape)
    data[rng.random(shape) < 0.0005] = np.nan
    groupdq = np.where(rng.random(shape) < 0.001, 64, 0).astype(np.uint8)
    groupdq[rng.random(shape) < 0.004] |= JUMP_DET
    for i in range(shape[0]):
        for g in rng.integers(1, shape[1], showers):
            distance = oval(frame, rng, rng.uniform(4, 20))
            data[i, g:] += rng.uniform(3, 40) * np.exp(-0.5 * distance**2)
            groupdq[i, g][distance < rng.uniform(0, 0.4)] |= JUMP_DET
            groupdq[i, g:, distance < rng.uniform(0, 0.2)] |= SATURATED
    groupdq[:, [0, -1]] |= DO_NOT_USE
    pixeldq = rng.choice(np.array([0] * 96 + [DO_NOT_USE, HOT, JUMP_DET, REFERENCE_PIXEL | HOT], np.uint32), frame)
    pixeldq[:, :4] = REFERENCE_PIXEL
    groupdq[:, :, pixeldq & DO_NOT_USE > 0] |= DO_NOT_USE
    groupdq[groupdq & (SATURATED | DO_NOT_USE) > 0] &= ~np.uint8(JUMP_DET)
    return data.astype(np.float32), groupdq, pixeldq, gain.astype(np.float32), readnoise.astype(np.float32)


SHOWERS = {
    "defaults": {},
    "faint": {"extend_snr_threshold": 1.15, "extend_min_area": 40},
    "small": {"extend_min_area": 12, "extend_outer_radius": 1.5, "extend_snr_threshold": 1.4},
    "no hole": {"extend_inner_radius": 0.0, "extend_outer_radius": 3.0},
    "wide ring": {"extend_inner_radius": 2.0, "extend_outer_radius": 4.4, "extend_ellipse_expand_ratio": 2.0},
    "one group": {"time_masked_after_shower": 0.0},
    "bounded": {"max_extended_radius": 7},
    "everything": {"extend_snr_threshold": 0.8, "extend_min_area": 20},
}


@pytest.mark.parametrize("shape", [(1, 14, 97, 139), (3, 7, 131, 71)])
@pytest.mark.parametrize("name", SHOWERS)
def test_showers(name, shape):
    same_showers(Jump(find_showers=True, **SHOWERS[name]), exposed(shape, np.random.default_rng(len(name)), showers=4))


def test_showers_in_many_integrations():
    jump = Jump(find_showers=True, minimum_sigclip_groups=14)
    same_showers(jump, exposed((15, 5, 97, 71), np.random.default_rng(2), showers=2))


def same_showers(jump, arrays):
    data, groupdq, pixeldq, gain, readnoise = arrays
    ramp = ramp_of(data, meta_of(TGROUP=TGROUP, NFRAMES=NFRAMES), groupdq=groupdq, pixeldq=pixeldq)
    events = flag_showers_inplace(ramp, jump, Tables(rows={"gain": gain, "readnoise": readnoise * gain}))
    expected = peer.find_faint_extended(data * gain, groupdq.copy(), pixeldq.copy(), readnoise * gain, settings(jump))
    assert events == expected[1] > 0
    np.testing.assert_array_equal(ramp.groupdq, expected[0])
    assert (expected[0] != groupdq).sum() > 50


def test_too_few_differences():
    data, groupdq, pixeldq, gain, readnoise = exposed((1, 10, 47, 59), np.random.default_rng(1), 1)
    ramp = ramp_of(data, meta_of(TGROUP=TGROUP, NFRAMES=NFRAMES), groupdq=groupdq, pixeldq=pixeldq)
    assert flag_showers_inplace(ramp, Jump(find_showers=True), Tables(rows={"gain": gain, "readnoise": readnoise})) == 0
    expected = peer.find_faint_extended(data * gain, groupdq.copy(), pixeldq, readnoise * gain, settings(Jump()))
    assert expected[1] == 0
    np.testing.assert_array_equal(ramp.groupdq, expected[0])
