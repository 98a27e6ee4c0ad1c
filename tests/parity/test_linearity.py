"""The linearity step against the peer's, bit for bit: by groups and by reads, with polynomials of any kind of fault."""

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, NO_LIN_CORR, SATURATED
from gpujw.steps.linearity import Linearity

from ..steps.fakes import FakeReference, meta_of, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.linearity.linearity")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")

NY, NX = 37, 53


def polynomials(rng, n):
    """Some per cent from the identity at 50 000 DN; some with NaN, some without a linear term."""
    sizes = [2.0, 0.01, *(0.03 * 5e4 ** (1 - k) for k in range(2, n))]
    coeffs = rng.normal(0, 1, (n, NY, NX)) * np.array(sizes)[:, None, None]
    coeffs[1] += 1
    coeffs[rng.random(coeffs.shape) < 0.01] = np.nan
    coeffs[1, rng.random((NY, NX)) < 0.03] = 0
    return coeffs.astype(np.float32)


def exposure(rng, nint, ngroup):
    data = np.cumsum(rng.uniform(0, 1e5 / ngroup, (nint, ngroup, NY, NX)), axis=1).astype(np.float32)
    groupdq = np.where(data > 5e4, SATURATED, 0) | np.where(rng.random(data.shape) < 0.05, DO_NOT_USE, 0)
    groupdq[rng.random(data.shape) < 0.02] |= SATURATED
    data[rng.random(data.shape) < 0.01] = np.nan
    frame = np.where(rng.random((nint, NY, NX)) < 0.2, 0, data[:, 0] / 2)
    return data, groupdq.astype(np.uint8), frame.astype(np.float32)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(
    # One frame a group is never corrected by reads, inverse or not.
    ("nint", "ngroup", "nframes", "groupgap"),
    [(2, 7, 1, 0), (1, 10, 4, 1), (2, 5, 8, 2), (2, 2, 2, 0), (1, 3, 5, 0)],
)
def test_counts_zero_frame_and_flags(nint, ngroup, nframes, groupgap, inverse):
    rng = np.random.default_rng(nframes)
    data, groupdq, frame = exposure(rng, nint, ngroup)
    coeffs, inv_coeffs = polynomials(rng, 5), polynomials(rng, 4)
    pixeldq = rng.integers(0, 2**20, (NY, NX), np.uint32)
    flags = np.where(rng.random((NY, NX)) < 0.05, NO_LIN_CORR, 0).astype(np.uint32) | np.uint32(16)

    model = datamodels.RampModel(data=data.copy(), pixeldq=pixeldq.copy(), groupdq=groupdq.copy())
    model.zeroframe, model.meta.exposure.zero_frame = frame.copy(), True
    settings = model.meta.exposure
    settings.nints, settings.ngroups, settings.nframes, settings.groupgap = nint, ngroup, nframes, groupgap
    reference = datamodels.LinearityModel(coeffs=coeffs.copy(), dq=flags.copy())
    if inverse:
        reference.inv_coeffs = inv_coeffs.copy()
    for where in (model.meta.subarray, reference.meta.subarray):
        where.xstart, where.ystart, where.xsize, where.ysize = 1, 1, NX, NY
    theirs = peer.do_correction(model, reference)

    meta = meta_of(NFRAMES=nframes, GROUPGAP=groupgap)
    arrays = {"COEFFS": coeffs, **({"INV_COEFFS": inv_coeffs} if inverse else {})}
    tables = Linearity().prepare({"linearity": FakeReference(arrays, dq=flags)}, meta)
    ours = Linearity()(ramp_of(data, meta, groupdq=groupdq, pixeldq=pixeldq, zeroframe=frame), tables)
    np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.pixeldq, theirs.pixeldq)
    np.testing.assert_array_equal(ours.zeroframe, theirs.zeroframe)
    assert (ours.data != data).mean() > 0.3
