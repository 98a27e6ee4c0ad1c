"""The data-quality step against the peer's, with flags in the ramp, in the mask and of the user."""

import numpy as np
import pytest
from astropy.io import fits

from gpujw.steps.dq_init import DQInit

from ..steps.fakes import FakeReference, meta_of, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.dq_init.dq_initialization")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")


def subarray(model, nx, ny):
    where = model.meta.subarray
    where.xstart, where.ystart, where.xsize, where.ysize = 1, 1, nx, ny
    return model


@pytest.mark.parametrize("user", [False, True])
def test_flags(tmp_path, user):
    shape = (2, 3, 37, 53)
    rng = np.random.default_rng(0)
    mask, pixeldq, mine = (
        np.where(rng.random(shape[2:]) < 0.2, 1 << rng.integers(0, 32, shape[2:]), 0).astype(np.uint32)
        for _ in range(3)
    )
    groupdq = rng.choice([0, 1, 2, 4], shape).astype(np.uint8)
    path = tmp_path / "mine.fits"
    fits.PrimaryHDU(mine).writeto(path)

    model = datamodels.RampModel(data=np.ones(shape, np.float32), groupdq=groupdq.copy(), pixeldq=pixeldq.copy())
    model.meta.exposure.type = "NRC_IMAGE"
    reference = subarray(datamodels.MaskModel(dq=mask.copy()), 53, 37)
    theirs = peer.do_dqinit(subarray(model, 53, 37), reference, user_dq=fits.getdata(path) if user else None)

    step = DQInit(user_supplied_dq=str(path) if user else None)
    tables = step.prepare({"mask": FakeReference(np.ones(shape[2:]), mask)}, meta_of())
    ramp = step(ramp_of(np.ones(shape), meta_of(), groupdq=groupdq, pixeldq=pixeldq), tables)
    np.testing.assert_array_equal(ramp.pixeldq, theirs.pixeldq)
    np.testing.assert_array_equal(ramp.groupdq, theirs.groupdq)
    assert (ramp.groupdq != groupdq).any() and (ramp.pixeldq != pixeldq).any()
