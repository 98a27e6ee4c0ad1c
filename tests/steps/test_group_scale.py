"""The group-scale step: when it applies, and what it does to counts."""

import numpy as np
import pytest

from gpujw.step import Tables
from gpujw.steps.group_scale import GroupScale

from .fakes import meta_of, ramp_of


@pytest.mark.parametrize(
    ("nframes", "divisor", "reason"),
    [
        (4, 4, "NFRAMES equals FRMDIVSR"),
        (5, 8, None),
        (8, 5, None),
        (None, 8, "keyword NFRAMES is missing"),
        (5, None, "keyword FRMDIVSR is missing"),
        (4, None, "keyword FRMDIVSR is missing"),
    ],
)
def test_when_it_applies(nframes, divisor, reason):
    assert GroupScale().inapplicable(meta_of(NFRAMES=nframes, FRMDIVSR=divisor)) == reason


def test_counts_become_those_of_the_mean_frame(put, get, stays_on_device):
    data = np.random.default_rng(0).integers(0, 65535, (2, 3, 37, 53)).astype(np.float32)
    frame = np.full((2, 37, 53), 7.0)
    ramp = ramp_of(data, meta_of(NFRAMES=5, FRMDIVSR=8), put, zeroframe=frame)
    with stays_on_device():
        out = GroupScale()(ramp, Tables())
    np.testing.assert_array_equal(get(out.data), data * np.float32(1.6))
    np.testing.assert_array_equal(get(out.zeroframe), frame)  # a single frame: nothing was averaged
    assert out.data.dtype == np.float32 and out.data is ramp.data
    assert GroupScale().name == "group_scale" and GroupScale().status == "S_GRPSCL"
