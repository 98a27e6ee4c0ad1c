"""Reference frames off ramps: which frame goes with which group, and the twins against the reference, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpujw.cpu_fallback import subtract as twin
from gpujw.cpu_fallback.reference import subtract as reference


def counts_and_frames(shape, nset, nframe, seed=0):
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    data = rng.normal(1000, 300, shape).astype(np.float32)
    frames = rng.normal(10, 3, (ny, nset, nframe, nx)).astype(np.float32)
    if data.size:
        data.flat[:: 1 + data.size // 7] = np.nan
        frames.flat[:: 1 + frames.size // 5] = np.inf
    return data, frames


@pytest.mark.parametrize(
    ("nset", "nframe", "hold", "taken"),
    [
        # The number of the frame that groups 0 ... 3 of integrations 0 ... 2 take; sets begin at 0, 10, 20.
        (1, 1, True, [[0, 0, 0, 0]] * 3),
        (1, 1, False, [[0, None, None, None]] * 3),
        (1, 4, False, [[0, 1, 2, 3]] * 3),
        (1, 6, False, [[0, 1, 2, 3]] * 3),
        (1, 2, True, [[0, 1, 1, 1]] * 3),
        (2, 2, False, [[0, 1, None, None], [10, 11, None, None], [10, 11, None, None]]),
        (3, 4, False, [[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]]),
        (5, 1, True, [[0] * 4, [10] * 4, [20] * 4]),
    ],
)
def test_which_frame_each_group_takes(be, put, get, nset, nframe, hold, taken):
    shape = (3, 4, 37, 53)
    number = np.arange(nset)[:, None] * 10 + np.arange(nframe) + 1
    place = np.arange(37)[:, None] * 1000 + np.arange(53) * 30
    frames = number[None, :, :, None] + place[:, None, None, :]
    data = put(np.full(shape, 70000, np.float32))
    be.kernel("subtract").subtract_frames_inplace(data, put(frames.astype(np.float32)), hold=hold)
    off = 70000 - get(data)
    for i in range(3):
        for g in range(4):
            expected = 0 if taken[i][g] is None else taken[i][g] + 1 + place
            np.testing.assert_array_equal(off[i, g], np.broadcast_to(expected, (37, 53)))


SIZES = [
    ((2, 7, 37, 53), 1, 7),
    ((3, 4, 1, 71), 2, 3),
    ((1, 1, 37, 1), 1, 1),
    ((2, 3, 300, 5), 4, 9),
    ((1, 2, 0, 5), 1, 2),
]


@pytest.mark.parametrize(("shape", "nset", "nframe"), SIZES)
@pytest.mark.parametrize("hold", [False, True])
def test_as_the_reference(be, put, get, stays_on_device, shape, nset, nframe, hold):
    data, frames = counts_and_frames(shape, nset, nframe)
    expected = data.copy()
    reference.subtract_frames_inplace(expected, frames, hold=hold)
    held, fixed = put(data), put(frames)
    with stays_on_device():
        be.kernel("subtract").subtract_frames_inplace(held, fixed, hold=hold)
    np.testing.assert_array_equal(get(held), expected)
    np.testing.assert_array_equal(get(fixed), frames)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6), st.integers(1, 40)),
    nset=st.integers(1, 4),
    nframe=st.integers(1, 6),
    hold=st.booleans(),
    seed=st.integers(0, 99),
)
def test_twin_as_the_reference(shape, nset, nframe, hold, seed):
    data, frames = counts_and_frames(shape, nset, nframe, seed)
    expected = data.copy()
    reference.subtract_frames_inplace(expected, frames, hold=hold)
    twin.subtract_frames_inplace(data, frames, hold=hold)
    np.testing.assert_array_equal(data, expected)
