"""The group-scale step against the peer's: the same counts, skipped for the same keywords."""

import itertools

import numpy as np
import pytest

from gpujw.step import Tables
from gpujw.steps.group_scale import GroupScale

from ..steps.fakes import meta_of, ramp_of

pytestmark = pytest.mark.parity
steps = pytest.importorskip("jwst.group_scale")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")


@pytest.mark.parametrize(("nframes", "divisor"), list(itertools.product((None, 1, 4, 5), (None, 1, 4, 8))))
def test_counts(nframes, divisor):
    data = np.random.default_rng(0).uniform(0, 65535, (2, 3, 37, 53)).astype(np.float32)
    model = datamodels.RampModel(data=data.copy())
    model.meta.exposure.nframes, model.meta.exposure.frame_divisor = nframes, divisor
    theirs = steps.GroupScaleStep().process(model)
    meta = meta_of(NFRAMES=nframes, FRMDIVSR=divisor)
    skipped = GroupScale().inapplicable(meta) is not None
    assert skipped == (theirs.meta.cal_step.group_scale == "SKIPPED")
    mine = data if skipped else GroupScale()(ramp_of(data, meta), Tables()).data
    np.testing.assert_array_equal(mine, theirs.data)
