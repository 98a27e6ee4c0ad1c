"""The inter-pixel capacitance step against the peer's, bit for bit."""

import numpy as np
import pytest

from gpujw.steps.ipc import IPC

from ..steps.fakes import FakeReference, meta_of, on_device, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.ipc.ipc_corr")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")

# INSTRUME, SUBSTRT1, SUBSTRT2, columns, rows: all edges of the detector, one by one
PLACES = [
    ("NIRCAM", 1, 1, 53, 37),
    ("NIRCAM", 1996, 2012, 53, 37),
    ("NIRISS", 500, 700, 53, 37),
    ("NIRSPEC", 3, 2, 53, 37),
    ("MIRI", 1, 1, 53, 37),
    ("MIRI", 980, 988, 53, 37),
    ("NIRCAM", 1, 1, 2048, 2048),
    ("MIRI", 1, 1, 1032, 1024),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sides", [(3, 3), (5, 3)])
def test_counts(place, sides):
    instrument, xstart, ystart, nx, ny = place
    rng = np.random.default_rng(nx)
    nint, ngroup = (2, 3) if nx < 1000 else (1, 1)
    data = rng.normal(10000, 3000, (nint, ngroup, ny, nx)).astype(np.float32)
    data[0, 0, 10, 20] = np.nan
    kernel = rng.normal(0, 0.01, sides).astype(np.float32)
    kernel[sides[0] // 2, sides[1] // 2] = 1.02

    model = datamodels.RampModel(data=data.copy())
    model.meta.instrument.name, model.meta.instrument.detector = instrument, "NRCA1"
    where = model.meta.subarray
    where.xstart, where.ystart, where.xsize, where.ysize = xstart, ystart, nx, ny
    theirs = peer.do_correction(model, datamodels.IPCModel(data=kernel)).data

    meta = meta_of(INSTRUME=instrument, SUBSTRT1=xstart, SUBSTRT2=ystart)
    tables = on_device(IPC().prepare({"ipc": FakeReference(kernel)}, meta))
    mine = IPC()(ramp_of(data, meta), tables).data
    np.testing.assert_array_equal(mine, theirs)
    assert (mine != data).mean() > 0.5
