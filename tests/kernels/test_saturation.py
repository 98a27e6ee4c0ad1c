"""The saturation kernels: what a ramp by hand must give, and the twins against the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpujw.cpu_fallback import saturation as twin
from gpujw.cpu_fallback.reference import saturation as reference
from gpujw.dq import AD_FLOOR, DO_NOT_USE, JUMP_DET, NO_SAT_CHECK, SATURATED

NIRCAM_BIAS, FULL_WELL = 9000.0, 45000.0


def scene(shape=(2, 7, 37, 53), seed=0, hot=0.05):
    """Ramps with stars, cosmic rays, dead and missing pixels; the flags of bad pixels are there already."""
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    threshold = rng.uniform(0.8, 1.2, (ny, nx)) * FULL_WELL
    bias = rng.normal(NIRCAM_BIAS, 50, (ny, nx))
    rate = 10 ** np.where(rng.random((ny, nx)) < hot, rng.uniform(3.3, 4.6, (ny, nx)), rng.uniform(1, 3, (ny, nx)))
    data = bias + np.arange(1, ngroup + 1)[:, None, None] * rate + rng.normal(0, 20, shape)
    hits = np.cumsum(rng.random(shape) < 0.005, axis=1) * 30000
    data = np.clip(data + hits, 0, 65535)
    odd = rng.random(shape) < 0.005
    data[odd] = rng.choice([0, -3, np.nan, 65535], odd.sum())
    dq = np.where(rng.random((ny, nx)) < 0.02, NO_SAT_CHECK, 0) | np.where(rng.random((ny, nx)) < 0.02, 4096, 0)
    threshold[dq & NO_SAT_CHECK > 0] = 65536
    groupdq = np.where(rng.random((ny, nx)) < 0.02, DO_NOT_USE, 0) * np.ones(shape)
    types = (np.float32, np.uint8, np.float32, np.uint32, np.float32)
    return [np.asarray(a, t) for a, t in zip((data, groupdq, threshold, dq, bias), types, strict=True)]


def flagged(be, put, get, arrays, **parameters):
    """GROUPDQ after the kernel; its other arrays must not have changed."""
    held = [put(array) for array in arrays]
    be.kernel("saturation").flag_saturation_inplace(*held, **parameters)
    for position in (0, 2, 3, 4):
        np.testing.assert_array_equal(get(held[position]), arrays[position])
    return get(held[1])


def one_pixel(values, nframes=1, bias=0.0, full=100.0):
    """A ramp of one pixel, its threshold 100, through the kernel's arguments."""
    data = np.array(values, np.float32).reshape(1, -1, 1, 1)
    flags = np.zeros(data.shape, np.uint8)
    frame = np.ones((1, 1), np.float32)
    return [data, flags, frame * np.float32(full), np.zeros((1, 1), np.uint32), frame * np.float32(bias)], nframes


@pytest.mark.parametrize(
    ("values", "nframes", "flags"),
    [
        # At the threshold is saturated, and it stays so whatever comes after.
        ([10, 99.99, 100, 50, 20], 1, [0, 0, 2, 2, 2]),
        # At or below zero is empty, in that group alone; saturated before, it is both.
        ([0, 10, 100, -1, 20], 1, [65, 0, 2, 67, 2]),
        # NaN is neither.
        ([np.nan, 10, np.nan, 100, np.nan], 1, [0, 0, 0, 2, 2]),
        # 4 frames a group: group 2 averages frames 9 to 12, 10.5 / 12 of full: 87.5 may hide saturation in frame 12.
        ([10, 20, 87.5, 100, 100], 4, [0, 0, 1, 2, 2]),
        ([10, 20, 87.4, 100, 100], 4, [0, 0, 0, 2, 2]),
        # The first group: frames 1 to 4, 2.5 / 4 of full.
        ([62.5, 100, 100, 100, 100], 4, [1, 2, 2, 2, 2]),
        # Only the group before the first saturated one is looked at, and none that is not to be used.
        ([70, 90, 90, 100, 100], 4, [0, 0, 1, 2, 2]),
        ([0, 100, 100, 100, 100], 4, [65, 2, 2, 2, 2]),
        # The second group leapt by more than a quarter of what was left, and the first did not foretell it:
        # 1 / 2.5 * 12 is 4.8 of 100; (100 - 1) / 4 = 24.75.
        ([1, 25.8, 100, 100, 100], 4, [0, 1, 2, 2, 2]),
        ([1, 25.7, 100, 100, 100], 4, [0, 0, 2, 2, 2]),
        # 21 / 2.5 * 12 = 100.8: the first group foretold it.
        ([21, 60, 100, 100, 100], 4, [0, 0, 2, 2, 2]),
        # Nothing of the sort where the frames are not to be looked at.
        ([1, 95, 100, 100, 100], 0, [0, 0, 2, 2, 2]),
        # One group, or two, are few but enough.
        ([100], 4, [2]),
        ([70, 100], 4, [1, 2]),
    ],
)
def test_a_ramp_by_hand(be, put, get, values, nframes, flags):
    arrays, nframes = one_pixel(values, nframes)
    assert flagged(be, put, get, arrays, grow=1, nframes=nframes).ravel().tolist() == flags


def test_the_bias_does_not_grow_with_the_frames(be, put, get):
    """41 counts of which 40 are bias foretell 40 + 1 / 2.5 * 12, not 41 / 2.5 * 12."""
    arrays, nframes = one_pixel([41, 62, 100, 100], 4, bias=40.0)
    assert flagged(be, put, get, arrays, grow=0, nframes=nframes).ravel().tolist() == [0, 1, 2, 2]
    arrays, nframes = one_pixel([41, 62, 100, 100], 4, bias=0.0)
    assert flagged(be, put, get, arrays, grow=0, nframes=nframes).ravel().tolist() == [0, 0, 2, 2]


def test_a_pixel_that_is_not_checked_is_flagged_by_its_neighbours_alone(be, put, get):
    """Its 65000 of 65536 would be diluted saturation, if it were checked."""
    data, groupdq, threshold, dq, bias = one_pixel([10, 10, 100, 100], 4)[0]
    data, groupdq = np.repeat(data, 2, axis=3), np.repeat(groupdq, 2, axis=3)
    data[..., 1] = 65000
    threshold, bias = np.array([[100, 65536]], np.float32), np.repeat(bias, 2, axis=1)
    for flag, expected in ((NO_SAT_CHECK, 0), (0, DO_NOT_USE)):
        dq = np.array([[0, flag]], np.uint32)
        found = flagged(be, put, get, [data, groupdq, threshold, dq, bias], grow=1, nframes=4)
        assert found[0, :, 0, 1].tolist() == [0, expected, 2, 2]
        assert found[0, 1, 0, 0] == expected  # what grows from it


@pytest.mark.parametrize("grow", [0, 1, 2, 60])
def test_saturation_grows_into_a_box(be, put, get, grow):
    data, groupdq, threshold, dq, bias = scene((1, 4, 37, 53), hot=0)
    data[:], groupdq[:], threshold[:], dq[:] = 100, 0, 1000, 0
    data[0, 2, 11, 1] = 5000
    found = flagged(be, put, get, [data, groupdq, threshold, dq, bias], grow=grow, nframes=0)
    expected = np.zeros_like(found)
    expected[0, 2:, max(11 - grow, 0) : 12 + grow, max(1 - grow, 0) : 2 + grow] = SATURATED
    np.testing.assert_array_equal(found, expected)


def test_diluted_saturation_grows_in_its_own_group(be, put, get):
    """Two neighbours whose groups before saturation differ: each flags its own group, in both boxes."""
    shape = (1, 6, 5, 8)
    data, groupdq = np.full(shape, 10, np.float32), np.zeros(shape, np.uint8)
    data[0, :, 2, 2] = [10, 10, 95, 100, 100, 100]
    data[0, :, 2, 5] = [10, 10, 10, 10, 97, 100]
    frame = np.ones(shape[2:], np.float32)
    arrays = [data, groupdq, frame * 100, np.zeros(shape[2:], np.uint32), frame * 0]
    found = flagged(be, put, get, arrays, grow=1, nframes=4)
    expected = np.zeros_like(found)
    expected[0, 3:, 1:4, 1:4] = expected[0, 5:, 1:4, 4:7] = SATURATED
    expected[0, 2, 1:4, 1:4] = expected[0, 4, 1:4, 4:7] = DO_NOT_USE
    np.testing.assert_array_equal(found, expected)


def test_flags_that_are_there_stay_and_saturated_ones_count(be, put, get):
    data, groupdq, threshold, dq, bias = scene((1, 5, 3, 5), hot=0)
    data[:], threshold[:], dq[:] = 10, 1000, 0
    groupdq[:] = JUMP_DET
    groupdq[0, 3, 1, 2] |= SATURATED
    found = flagged(be, put, get, [data, groupdq, threshold, dq, bias], grow=1, nframes=1)
    expected = groupdq.copy()
    expected[0, 3:, 0:3, 1:4] |= SATURATED
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("nframes", [0, 1, 4, 5])
@pytest.mark.parametrize("grow", [0, 1, 2])
@pytest.mark.parametrize("shape", [(2, 7, 37, 53), (1, 1, 3, 5), (3, 2, 1, 71), (1, 10, 41, 1), (1, 3, 2, 300)])
def test_equals_the_reference(be, put, get, shape, grow, nframes):
    arrays = scene(shape, seed=grow)
    expected = arrays[1].copy()
    reference.flag_saturation_inplace(arrays[0], expected, *arrays[2:], grow=grow, nframes=nframes)
    np.testing.assert_array_equal(flagged(be, put, get, arrays, grow=grow, nframes=nframes), expected)


def test_the_scene_has_everything():
    """Else the test above would say less than it seems to."""
    arrays = scene()
    flags = arrays[1].copy()
    reference.flag_saturation_inplace(arrays[0], flags, *arrays[2:], grow=1, nframes=4)
    plain = arrays[1].copy()
    reference.flag_saturation_inplace(arrays[0], plain, *arrays[2:], grow=1, nframes=0)
    assert 100 < (plain & SATURATED > 0).sum() < plain.size / 2
    assert (plain & AD_FLOOR > 0).any()
    assert (flags != plain).sum() > 100
    assert (arrays[3] & NO_SAT_CHECK > 0).any() and np.isnan(arrays[0]).any()


def test_all_saturated_and_empty(be, put, get):
    data, groupdq, threshold, dq, bias = scene((1, 4, 5, 300), hot=0)
    data[:], groupdq[:] = 65535, 0
    found = flagged(be, put, get, [data, groupdq, threshold * 0 + 1, dq * 0, bias], grow=1, nframes=4)
    assert (found == SATURATED).all()
    none = [a[..., :0] for a in (data, groupdq, threshold, dq, bias)]
    assert flagged(be, put, get, none, grow=1, nframes=4).size == 0


SIZES = st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 7), st.integers(1, 7))
# Few levels, so that thresholds are met exactly, dilutions often, and NaN and empty groups are common.
LEVELS = st.sampled_from([-1.0, 0.0, 1.0, 25.8, 62.5, 81.25, 95.0, 99.0, 100.0, 101.0, np.nan])


@given(st.data(), SIZES, st.integers(0, 3), st.sampled_from([0, 1, 2, 4, 8]))
@settings(max_examples=100, deadline=None)
def test_any_ramp(given_data, shape, grow, nframes):
    draw = given_data.draw
    data = draw(hnp.arrays(np.float32, shape, elements=LEVELS.map(np.float32)))
    groupdq = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 1, 2, 4])))
    threshold = draw(hnp.arrays(np.float32, shape[2:], elements=st.sampled_from([100.0, 99.0, 65536.0])))
    dq = draw(hnp.arrays(np.uint32, shape[2:], elements=st.sampled_from([0, 0, 0, NO_SAT_CHECK, 1])))
    bias = draw(hnp.arrays(np.float32, shape[2:], elements=st.sampled_from([0.0, 20.0, np.float32(np.nan)])))
    expected, found = groupdq.copy(), groupdq.copy()
    reference.flag_saturation_inplace(data, expected, threshold, dq, bias, grow=grow, nframes=nframes)
    twin.flag_saturation_inplace(data, found, threshold, dq, bias, grow=grow, nframes=nframes)
    np.testing.assert_array_equal(found, expected)
