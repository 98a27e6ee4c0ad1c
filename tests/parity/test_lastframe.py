"""The last-frame step against the peer's: the same flags, skipped for the same ramps."""

import numpy as np
import pytest

from gpujw.step import Tables
from gpujw.steps.lastframe import LastFrame

from ..steps.fakes import meta_of, ramp_of

pytestmark = pytest.mark.parity
steps = pytest.importorskip("jwst.lastframe")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")


@pytest.mark.parametrize("detector", ["MIRIMAGE", "MIRIFULONG", "NRCA1"])
@pytest.mark.parametrize("ngroup", [1, 2, 3, 7])
def test_flags(detector, ngroup):
    shape = (2, ngroup, 37, 53)
    groupdq = np.random.default_rng(0).choice([0, 1, 2, 4], shape).astype(np.uint8)
    model = datamodels.RampModel(data=np.ones(shape, np.float32), groupdq=groupdq.copy())
    model.meta.instrument.name = "MIRI" if detector.startswith("MIR") else "NIRCAM"
    model.meta.instrument.detector = detector
    theirs = steps.LastFrameStep().process(model)
    meta = meta_of(DETECTOR=detector, NGROUPS=ngroup)
    skipped = LastFrame().inapplicable(meta) is not None
    assert skipped == (theirs.meta.cal_step.lastframe == "SKIPPED")
    mine = groupdq if skipped else LastFrame()(ramp_of(np.ones(shape), meta, groupdq=groupdq), Tables()).groupdq
    np.testing.assert_array_equal(mine, theirs.groupdq)
