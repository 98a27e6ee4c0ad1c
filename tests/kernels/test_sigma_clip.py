"""The sigma-clipping kernels: what sets by hand must give, and the twins against the reference."""

import numpy as np
import pytest

from gpujw.cpu_fallback.reference import sigma_clip as reference
from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED

from .test_jump import scene


def clipped(module, arrays, *, by_group=True, threshold=4.0, put=np.array, get=np.array):
    """GROUPDQ after clipping, and the count of each row; what is only read must not have changed."""
    held = [put(array) for array in arrays]
    count = module.flag_clipped_inplace(*held, threshold=threshold, by_group=by_group)
    np.testing.assert_array_equal(get(held[0]), arrays[0])
    return get(held[1]), get(count)


def one_pixel(*differences, flags=0):
    """One pixel, a ramp an integration; ``differences`` are those of each, one or more."""
    data = np.cumsum(np.insert(np.array(differences, np.float32).reshape(len(differences), -1), 0, 100, axis=1), axis=1)
    data = data[..., None, None].astype(np.float32)
    return [data, np.full(data.shape, flags, np.uint8), np.ones((1, 1), np.float32)]


def flagged(be, put, get, arrays, **options):
    groupdq, count = clipped(be.kernel("sigma_clip"), arrays, put=put, get=get, **options)
    return [tuple(map(int, where)) for where in np.argwhere(groupdq[..., 0, 0] & JUMP_DET)], int(count[0])


EVEN = [40, 44] * 20


def test_what_lies_beyond_the_bounds_is_flagged(be, put, get):
    arrays = one_pixel(*EVEN, 55)  # median 44, deviation 2.815
    assert flagged(be, put, get, arrays, threshold=3.9) == ([(40, 1)], 1)
    assert flagged(be, put, get, arrays, threshold=3.91) == ([], 0)
    assert flagged(be, put, get, one_pixel(*EVEN)) == ([], 0)


def test_each_round_sees_what_the_last_has_hidden(be, put, get):
    assert flagged(be, put, get, one_pixel(*EVEN, 5000, 70)) == ([(40, 1), (41, 1)], 2)


def test_a_set_is_clipped_five_times_at_most(be, put, get):
    values = [40, 44] * 200 + [42 + 2 * 6**power for power in range(1, 9)]
    found, count = flagged(be, put, get, one_pixel(*values))
    assert count == 5 and found == [(403 + k, 1) for k in range(5)]


def test_each_difference_is_a_set_or_all_are_one(be, put, get):
    arrays = one_pixel(*[(value, 1000 + value) for value in EVEN], (1040, 1042))
    assert flagged(be, put, get, arrays) == ([(40, 1)], 1)
    assert flagged(be, put, get, arrays, by_group=False) == ([], 0)
    arrays = one_pixel(EVEN[:-1] + [99])
    assert flagged(be, put, get, arrays) == ([], 0)
    assert flagged(be, put, get, arrays, by_group=False) == ([(0, 40)], 1)


def test_unusable_groups_are_no_part_of_a_set(be, put, get):
    arrays = one_pixel(*EVEN, 70, 1e5)
    arrays[1][41, 0], arrays[1][3, 1] = DO_NOT_USE, SATURATED | JUMP_DET
    groupdq, count = clipped(be.kernel("sigma_clip"), arrays, put=put, get=get)
    expected = np.zeros((42, 2), np.uint8)
    expected[3, 1], expected[40, 1], expected[41, 0] = SATURATED, JUMP_DET, DO_NOT_USE
    np.testing.assert_array_equal(groupdq[..., 0, 0], expected)
    assert count.tolist() == [2]  # with the one that was there and is taken away


def test_sets_of_none_one_and_two_are_kept(be, put, get):
    for differences in ([3.0], [3.0, 1e6]):
        assert flagged(be, put, get, one_pixel(*differences)) == ([], 0)
    assert flagged(be, put, get, one_pixel(*EVEN, flags=DO_NOT_USE)) == ([], 0)
    assert flagged(be, put, get, one_pixel(*[np.nan] * 20)) == ([], 0)


@pytest.mark.parametrize("shape", [(120, 4, 6, 37), (101, 3, 6, 13), (7, 20, 6, 37), (2, 2, 6, 37), (1, 110, 6, 13)])
@pytest.mark.parametrize("by_group", [True, False])
@pytest.mark.parametrize("bad", [0, 0.05])
def test_twins_are_equal(be, put, get, shape, by_group, bad):
    arrays = scene(shape, 1, bad=bad)[:3]
    expected, expected_count = clipped(reference, arrays, by_group=by_group)
    groupdq, count = clipped(be.kernel("sigma_clip"), arrays, by_group=by_group, put=put, get=get)
    np.testing.assert_array_equal(groupdq, expected)
    np.testing.assert_array_equal(count, expected_count)
    assert count.sum() > 0 or shape[0] < 18  # of 17 numbers none can lie 4 deviations off their mean


@pytest.mark.parametrize("shape", [(100, 5, 0, 37), (100, 5, 6, 0), (0, 5, 6, 37), (100, 1, 6, 37)])
def test_nothing_to_compare_is_no_fault(be, put, get, shape):
    arrays = [np.zeros(shape, np.float32), np.zeros(shape, np.uint8), np.ones(shape[2:], np.float32)]
    for by_group in (True, False):
        groupdq, count = clipped(be.kernel("sigma_clip"), arrays, by_group=by_group, put=put, get=get)
        assert not groupdq.any() and not count.any()
