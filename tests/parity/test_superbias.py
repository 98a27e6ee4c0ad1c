"""The superbias step against the peer's, bit for bit."""

import numpy as np
import pytest

from gpujw.steps.superbias import SuperBias

from ..steps.fakes import FakeReference, meta_of, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.superbias.bias_sub")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")


@pytest.mark.parametrize("zero_frame", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_counts_zero_frame_and_flags(seed, zero_frame):
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape = tuple(rng.integers(1, (4, 6, 40, 60)))
    data = rng.normal(12000, 2000, shape).astype(np.float32)
    frame = np.where(rng.random((nint, ny, nx)) < 0.2, 0, data[:, 0]).astype(np.float32)
    bias = rng.normal(9000, 50, (ny, nx)).astype(np.float32)
    bias[rng.random((ny, nx)) < 0.05] = np.nan
    pixeldq, flags = rng.integers(0, 2**32, (2, ny, nx), np.uint32)

    model = datamodels.RampModel(data=data.copy(), pixeldq=pixeldq.copy())
    reference = datamodels.SuperBiasModel(data=bias.copy(), dq=flags.copy())
    for where in (model.meta.subarray, reference.meta.subarray):
        where.xstart, where.ystart, where.xsize, where.ysize = 1, 1, int(nx), int(ny)
    if zero_frame:
        model.zeroframe, model.meta.exposure.zero_frame = frame.copy(), True
    theirs = peer.do_correction(model, reference)

    tables = SuperBias().prepare({"superbias": FakeReference(bias, dq=flags)}, meta_of())
    ours = SuperBias()(ramp_of(data, meta_of(), pixeldq=pixeldq, zeroframe=frame if zero_frame else None), tables)
    np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.pixeldq, theirs.pixeldq)
    if zero_frame:
        np.testing.assert_array_equal(ours.zeroframe, theirs.zeroframe)
    assert ngroup and (ours.data != data).any()
