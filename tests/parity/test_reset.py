"""The reset step against the peer's, bit for bit, over segments and references of any length."""

import numpy as np
import pytest

from gpujw.steps.reset import Reset

from ..steps.fakes import FakeReference, meta_of, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.reset.reset_sub")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")


@pytest.mark.parametrize("start", [None, 1, 2, 6])
@pytest.mark.parametrize(("nint", "ngroup"), [(1, 3), (3, 6), (4, 2)])
@pytest.mark.parametrize(("reference_nint", "reference_ngroup"), [(1, 4), (3, 3), (5, 9)])
def test_counts_and_flags(start, nint, ngroup, reference_nint, reference_ngroup):
    rng = np.random.default_rng(nint + 10 * reference_nint)
    ny, nx = 37, 53
    data = rng.normal(9000, 2000, (nint, ngroup, ny, nx)).astype(np.float32)
    frames = rng.normal(30, 9, (reference_nint, reference_ngroup, ny, nx)).astype(np.float32)
    frames[rng.random(frames.shape) < 0.02] = np.nan
    pixeldq, flags = rng.integers(0, 2**32, (2, ny, nx), np.uint32)
    # What counts is what the header says: here one group less than the file holds.
    header = {"NINTS": reference_nint, "NGROUPS": reference_ngroup - 1}

    model = datamodels.RampModel(data=data.copy(), pixeldq=pixeldq.copy())
    exposure = model.meta.exposure
    exposure.nints, exposure.ngroups, exposure.integration_start = nint, ngroup, start
    exposure.integration_end = None if start is None else start + nint - 1
    reference = datamodels.ResetModel(data=frames.copy(), dq=flags.copy())
    reference.meta.exposure.nints, reference.meta.exposure.ngroups = header.values()
    theirs = peer.do_correction(model, reference)

    meta = meta_of(INSTRUME="MIRI", NINTS=nint, NGROUPS=ngroup, INTSTART=start)
    tables = Reset().prepare({"reset": FakeReference(frames, dq=flags, header=header)}, meta)
    ours = Reset()(ramp_of(data, meta, pixeldq=pixeldq), tables)
    np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.pixeldq, theirs.pixeldq)
    assert (ours.data[:, 0] != data[:, 0]).mean() > 0.9
