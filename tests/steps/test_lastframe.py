"""The last-frame step: for which ramps it is, and what it flags."""

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, SATURATED
from gpujw.step import Tables
from gpujw.steps.lastframe import LastFrame

from .fakes import meta_of, ramp_of


@pytest.mark.parametrize(
    ("detector", "ngroup", "reason"),
    [
        ("MIRIMAGE", 3, None),
        ("MIRIFUSHORT", 50, None),
        ("MIRIFULONG", 2, "NGROUPS 2: too few groups, 3 are needed"),
        ("NRCA1", 10, "detector NRCA1: for MIRI only"),
    ],
)
def test_when_it_applies(detector, ngroup, reason):
    assert LastFrame().inapplicable(meta_of(DETECTOR=detector, NGROUPS=ngroup)) == reason


def test_the_last_group_is_not_used(put, get, stays_on_device):
    groupdq = np.full((2, 5, 37, 53), SATURATED, np.uint8)
    ramp = ramp_of(np.ones(groupdq.shape), meta_of(), put, groupdq)
    with stays_on_device():
        out = LastFrame()(ramp, Tables())
    groupdq[:, -1] |= DO_NOT_USE
    np.testing.assert_array_equal(get(out.groupdq), groupdq)
    assert not get(out.pixeldq).any()
    assert LastFrame().name == "lastframe" and LastFrame().status == "S_LASTFR"
