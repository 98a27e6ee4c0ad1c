"""The jump kernels: what ramps by hand must give, and the twins against the reference on all that is awkward."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpujw.cpu_fallback import jump as twin
from gpujw.cpu_fallback.reference import jump as reference
from gpujw.dq import DO_NOT_USE, JUMP_DET, PERSISTENCE, SATURATED

THRESHOLDS = (4.0, 5.0, 6.0)
NOISE = 10.0  # electrons, of a pair of frames


def scene(shape, seed=0, *, bad=0.08, whole_numbers=False):
    """Ramps with jumps of all sizes and signs, and all that a pixel can lack: groups, gain, noise, numbers."""
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    data = np.cumsum(rng.poisson(rng.uniform(0, 60, (ny, nx)), shape), axis=1).astype(np.float32)
    if not whole_numbers:  # whole ones tie
        data += rng.normal(0, 5, shape).astype(np.float32)
    data += np.cumsum((rng.random(shape) < 0.05) * rng.choice([-300, 60, 150, 400, 3000, 60000], shape), axis=1)
    groupdq = np.zeros(shape, np.uint8)
    for flag, part in ((DO_NOT_USE, bad), (JUMP_DET, bad / 3), (PERSISTENCE, bad / 3)):
        groupdq[rng.random(shape) < part] |= flag
    full = rng.random((nint, 1, ny, nx)) < bad
    groupdq[full & (np.arange(ngroup)[:, None, None] >= rng.integers(0, ngroup, (nint, 1, ny, nx)))] |= SATURATED
    gain = rng.uniform(1.5, 2.5, (ny, nx)).astype(np.float32)
    readnoise = rng.uniform(5, 20, (ny, nx)).astype(np.float32)
    gain[0, :3] = np.nan, 0, -1
    readnoise[1, :4] = 0, 0, 0, np.nan
    data[:, :, 2, :5] = 0
    data[:, -1, 3, :4], data[:, 0, 3, 4:6], data[:, ngroup // 2, 4, :5] = np.inf, -np.inf, np.nan
    if bad:
        groupdq[:, 0] |= DO_NOT_USE * (seed % 2)
        groupdq[:, :, 5] |= SATURATED
    return data, groupdq, gain, readnoise


def outliers(module, arrays, *, single_pass=False, nframes=4, put=np.array, get=np.array):
    """GROUPDQ after the search, and the count of each row; what the search only reads must not have changed."""
    held = [put(array) for array in arrays]
    count = module.flag_outliers_inplace(*held, nframes=nframes, thresholds=THRESHOLDS, single_pass=single_pass)
    for position in (0, 2, 3):
        np.testing.assert_array_equal(get(held[position]), arrays[position])
    return get(held[1]), get(count)


def one_pixel(*integrations, flags=None):
    """A pixel of one electron a DN, by its groups."""
    data = np.array(integrations, np.float32)[..., None, None]
    groupdq = np.zeros(data.shape, np.uint8) if flags is None else np.array(flags, np.uint8)[..., None, None]
    return [data, groupdq, np.ones((1, 1), np.float32), np.full((1, 1), NOISE, np.float32)]


def flags_of(be, put, get, arrays, **options):
    groupdq, count = outliers(be.kernel("jump"), arrays, nframes=1, put=put, get=get, **options)
    return groupdq[..., 0, 0].tolist(), count.tolist()


def ramp(*differences):
    return np.cumsum([100.0, *differences])


# Of even differences of 44 sigma is sqrt(44 + NOISE^2) = 12: a jump of 4 sigma is one of 48.
def test_a_jump_is_flagged_in_the_group_after_it(be, put, get):
    assert flags_of(be, put, get, one_pixel(ramp(44, 44, 44 + 49, 44, 44))) == ([[0, 0, 0, 4, 0, 0]], [1])
    assert flags_of(be, put, get, one_pixel(ramp(44, 44, 44 + 47, 44, 44))) == ([[0, 0, 0, 0, 0, 0]], [0])


def test_a_single_pass_measures_all_from_one_median(be, put, get):
    differences = [44] * 12
    differences[3], differences[7], differences[9] = 44 + 49, 44 - 49, 44 + 47
    flags, count = flags_of(be, put, get, one_pixel(ramp(*differences)), single_pass=True)
    assert np.flatnonzero(flags[0]).tolist() == [4, 8] and count == [2]


def test_a_search_takes_the_largest_away_before_it_looks_again(be, put, get):
    # 144 lies 3.6 sigma from 94, the median of the four lesser, and 8.3 from 44, which is that of the lesser ones then.
    arrays = one_pixel(ramp(44, 144, 44, 1044, 144))
    assert flags_of(be, put, get, arrays) == ([[0, 0, 4, 0, 4, 4]], [3])


def test_three_and_two_differences_have_thresholds_of_their_own(be, put, get):
    for excess, jump in ((59, 0), (61, 4)):  # 5 sigma are 60
        assert flags_of(be, put, get, one_pixel(ramp(44, 44, 44 + excess)))[0] == [[0, 0, 0, jump]]
    for excess, jump in ((71, 0), (73, 4)):  # 6 sigma are 72
        assert flags_of(be, put, get, one_pixel(ramp(44, 44 + excess)))[0] == [[0, 0, jump]]
    assert flags_of(be, put, get, one_pixel(ramp(1e6)))[0] == [[0, 0]]


def test_a_fall_is_a_difference_of_its_size(be, put, get):
    assert flags_of(be, put, get, one_pixel(ramp(44, -44, 44, -44, 44))) == ([[0] * 6], [0])
    assert flags_of(be, put, get, one_pixel(ramp(44, -144, 44, 44, 44))) == ([[0, 0, 4, 0, 0, 0]], [1])


def test_integrations_are_one_set(be, put, get):
    arrays = one_pixel(ramp(44, 44), ramp(44, 144), ramp(44, 44))
    assert flags_of(be, put, get, arrays) == ([[0, 0, 0], [0, 0, 4], [0, 0, 0]], [1])


def test_equal_excesses_are_flagged_together(be, put, get):
    arrays = one_pixel(ramp(44, 144, 44), ramp(44, 144, 44))
    assert flags_of(be, put, get, arrays) == ([[0, 0, 4, 0], [0, 0, 4, 0]], [2])


def test_later_medians_are_of_single_precision(be, put, get):
    """A quirk of the peer's: without the largest the median is 2**24 + 3, which float32 holds as 2**24 + 4."""
    sizes = [2**24 - 1000, 2**24 + 2, 2**24 + 4, 2**24 + 1000, 2**24 + 16388, 2**27]
    arrays = one_pixel(*[[0, size] for size in sizes])
    arrays[3][:] = 0  # sigma is 4096: four of it are less than 16385, and not less than 16384
    assert flags_of(be, put, get, arrays) == ([[0, 0]] * 5 + [[0, 4]], [1])
    # In the first round it is 2**24 + 3.
    assert flags_of(be, put, get, [a[:5] if a.ndim == 4 else a for a in arrays]) == ([[0, 0]] * 4 + [[0, 4]], [1])


def test_unusable_groups_have_no_differences(be, put, get):
    for flag in (DO_NOT_USE, SATURATED, DO_NOT_USE | SATURATED):
        flags = [[0, 0, flag, 0, 0, 0, 0]]
        arrays = one_pixel(ramp(44, 1044, 44, 44, 44, 44), flags=flags)
        assert flags_of(be, put, get, arrays) == (flags, [0])
    arrays = one_pixel(ramp(44, 44, 44, 44, 44, 1044), flags=[[0, 0, PERSISTENCE, 0, 0, 0, 0]])
    assert flags_of(be, put, get, arrays) == ([[0, 0, PERSISTENCE, 0, 0, 0, 4]], [1])


def test_jumps_that_were_there_count_and_leave_unusable_groups(be, put, get):
    arrays = one_pixel(ramp(44, 44, 44, 44, 44), flags=[[4, 0, 4 | SATURATED, 0, 4 | DO_NOT_USE, 4]])
    assert flags_of(be, put, get, arrays) == ([[4, 0, SATURATED, 0, DO_NOT_USE, 4]], [4])


def test_a_pixel_without_noise_has_no_jumps(be, put, get):
    arrays = one_pixel(ramp(0, 0, 99, 0, 0, 0))
    arrays[3][:] = 0
    assert flags_of(be, put, get, arrays) == ([[0] * 7], [0])
    assert flags_of(be, put, get, arrays, single_pass=True) == ([[0] * 7], [0])


SHAPES = [(2, 7, 7, 53), (1, 2, 6, 37), (1, 3, 6, 37), (3, 4, 6, 71), (1, 20, 7, 53), (5, 30, 6, 37)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("whole_numbers", [False, True])
def test_twins_are_equal(be, put, get, shape, seed, whole_numbers):
    arrays = scene(shape, seed, whole_numbers=whole_numbers)
    for single_pass in (False, True):
        expected, expected_count = outliers(reference, arrays, single_pass=single_pass)
        groupdq, count = outliers(be.kernel("jump"), arrays, single_pass=single_pass, put=put, get=get)
        np.testing.assert_array_equal(groupdq, expected)
        np.testing.assert_array_equal(count, expected_count)
        if shape[1] > 3:
            assert count.sum() > (arrays[1] & JUMP_DET > 0).sum()


def test_more_differences_than_are_sorted_at_once(be, put, get):
    """The CUDA twin sorts up to 256; beyond that it finds each rank anew."""
    arrays = scene((9, 31, 6, 5), 3)
    for single_pass in (False, True):
        groupdq, count = outliers(be.kernel("jump"), arrays, single_pass=single_pass, put=put, get=get)
        expected, expected_count = outliers(reference, arrays, single_pass=single_pass)
        np.testing.assert_array_equal(groupdq, expected)
        np.testing.assert_array_equal(count, expected_count)


@pytest.mark.parametrize("shape", [(1, 5, 0, 37), (1, 5, 6, 0), (0, 5, 6, 37), (1, 1, 6, 37)])
def test_nothing_to_compare_is_no_fault(be, put, get, shape):
    arrays = [np.zeros(shape, np.float32), np.zeros(shape, np.uint8), np.ones(shape[2:], np.float32)]
    jump, (data, groupdq, gain) = be.kernel("jump"), [put(array) for array in arrays]
    count = jump.flag_outliers_inplace(data, groupdq, gain, gain, nframes=1, thresholds=THRESHOLDS, single_pass=True)
    assert count.shape == shape[2:3]
    jump.flag_neighbors_inplace(data, groupdq, gain, gain, nframes=1, low=10, high=1000)
    jump.flag_after_jumps_inplace(data, groupdq, gain, electrons=(0, 0), ngroups=(1, 2))
    assert not get(groupdq).any() and not get(count).any()


shapes = st.tuples(st.integers(1, 3), st.integers(2, 6), st.just(2), st.integers(1, 5))
whole = st.integers(-3, 3) | st.integers(-500, 500)
values = whole | st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([np.inf, np.nan])


@given(hnp.arrays(np.float32, shapes, elements=values), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=300, deadline=None)
def test_small_ramps_of_any_numbers(data, seed, single_pass):
    """The numba twin, which leaves out what it sees to have no outlier, against the reference, which searches all."""
    rng = np.random.default_rng(seed)
    groupdq = rng.choice(np.array([0, 0, 0, 0, 0, 1, 2, 4, 5, 32], np.uint8), data.shape)
    gain = rng.choice(np.array([1, 1.7, -1, 0, np.nan], np.float32), data.shape[2:], p=[0.3, 0.4, 0.1, 0.1, 0.1])
    readnoise = rng.choice(np.array([0, 1e-3, 1, 12], np.float32), data.shape[2:])
    arrays = (data, groupdq, gain, readnoise)
    expected, expected_count = outliers(reference, arrays, single_pass=single_pass)
    found, count = outliers(twin, arrays, single_pass=single_pass)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(count, expected_count)
    for module in (twin, reference):
        held = groupdq.copy()
        module.flag_neighbors_inplace(data, held, gain, readnoise, nframes=2, low=0.5, high=100)
        module.flag_after_jumps_inplace(data, held, gain, electrons=(-1, 3), ngroups=(2, 1))
        found = held if module is twin else found
    np.testing.assert_array_equal(found, held)


def neighborhood(excess):
    """A field of 7 x 53 pixels with differences of 44, and one jump of ``excess`` in group 3 of row 2, column 5."""
    data = np.broadcast_to(ramp(*[44] * 6)[:, None, None], (1, 7, 7, 53)).astype(np.float32)
    data[:, 3:, 2, 5] += excess
    gain = np.ones((7, 53), np.float32)
    return [data, np.zeros(data.shape, np.uint8), gain, gain * np.float32(NOISE)]


def spread(be, put, get, arrays, low=10, high=1000):
    held = [put(array) for array in arrays]
    jump = be.kernel("jump")
    jump.flag_outliers_inplace(*held, nframes=1, thresholds=THRESHOLDS, single_pass=False)
    jump.flag_neighbors_inplace(*held, nframes=1, low=low, high=high)
    return get(held[1])


def test_neighbors_of_a_jump_are_flagged_within_limits(be, put, get):
    cross = {(1, 5), (3, 5), (2, 4), (2, 6), (2, 5)}
    for excess, expected in ((119, {(2, 5)}), (121, cross), (11999, cross), (12001, {(2, 5)})):
        found = spread(be, put, get, neighborhood(excess))
        assert {tuple(map(int, yx)) for yx in np.argwhere(found[0, 3])} == expected, excess
        assert not np.delete(found, 3, axis=1).any()


def test_unusable_neighbors_stay_as_they_are(be, put, get):
    arrays = neighborhood(600)
    arrays[1][0, 3, 1, 5], arrays[1][0, 3, 2, 4], arrays[1][0, 3, 2, 6] = SATURATED, DO_NOT_USE, PERSISTENCE
    found = spread(be, put, get, arrays)[0, 3]
    assert (found[1, 5], found[2, 4], found[2, 6], found[3, 5]) == (SATURATED, DO_NOT_USE, PERSISTENCE | 4, 4)


@pytest.mark.parametrize(("y", "x"), [(0, 0), (0, 52), (6, 0), (6, 52), (0, 20), (3, 0)])
def test_a_jump_at_the_edge_has_fewer_neighbors(be, put, get, y, x):
    arrays = neighborhood(0)
    arrays[0][:, 3:, y, x] += 600
    found = spread(be, put, get, arrays)[0, 3]
    cross = ((y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
    assert sorted(map(tuple, np.argwhere(found))) == sorted((j, i) for j, i in cross if 0 <= j < 7 and 0 <= i < 53)


def test_groups_after_large_jumps_are_flagged(be, put, get):
    """100 electrons bring one more group, 500 four; a jump flagged for its neighbor's sake has its own size."""
    data = np.tile(ramp(*[44] * 8)[:, None], (1, 5)).astype(np.float32)
    data[2:, 0] += 200
    data[2:, 1] += 600
    data[6:, 2] += 600
    data[2:, 3] += 600
    groupdq = np.zeros(data.shape, np.uint8)
    groupdq[2, [0, 1, 3, 4]], groupdq[6, 2], groupdq[4, 3] = JUMP_DET, JUMP_DET, SATURATED
    shape = (1, 9, 1, 5)
    data, held, gain = put(2 * data.reshape(shape)), put(groupdq.reshape(shape)), put(np.full((1, 5), 0.5, np.float32))
    be.kernel("jump").flag_after_jumps_inplace(data, held, gain, electrons=(100, 500), ngroups=(1, 4))
    flagged = [np.flatnonzero(column & JUMP_DET).tolist() for column in get(held)[0, :, 0].T]
    assert flagged == [[2, 3], [2, 3, 4, 5, 6], [6, 7, 8], [2, 3, 5, 6], [2]]


@pytest.mark.parametrize("shape", [(2, 7, 7, 53), (1, 3, 6, 37), (1, 20, 7, 53)])
def test_twins_agree_on_neighbors_and_on_groups_after(be, put, get, shape):
    arrays = scene(shape, 5, bad=0.1)
    arrays[1][:] = outliers(reference, arrays)[0]
    held, expected = [put(array) for array in arrays], arrays[1].copy()
    jump, plain = be.kernel("jump"), (arrays[0], expected, *arrays[2:])
    limits = {"nframes": 4, "low": 10, "high": 1000}
    jump.flag_neighbors_inplace(*held, **limits)
    reference.flag_neighbors_inplace(*plain, **limits)
    np.testing.assert_array_equal(get(held[1]), expected)
    assert (expected != arrays[1]).any() or shape[1] < 4
    tails = {"electrons": (10.0, 600.0), "ngroups": (1, 3)}
    before = expected.copy()
    jump.flag_after_jumps_inplace(*held[:3], **tails)
    reference.flag_after_jumps_inplace(*plain[:3], **tails)
    np.testing.assert_array_equal(get(held[1]), expected)
    assert (expected != before).any() or shape[1] < 4
