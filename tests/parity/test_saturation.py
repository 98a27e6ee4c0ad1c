"""The saturation step against the peer's, bit for bit, on ramps with all that it looks for."""

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, NO_SAT_CHECK, SATURATED
from gpujw.exposure import Meta, Ramp
from gpujw.steps.saturation import Saturation

from ..steps.fakes import FakeReference, on_device

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.saturation.saturation")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")


def exposure(nframes, shape, seed):
    """Counts of stars and cosmic rays, a zero frame, and references with what they have in flight: NaN and flags."""
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    threshold = rng.uniform(30000, 50000, (ny, nx))
    bias = rng.normal(9000, 50, (ny, nx))
    stars = rng.random((ny, nx)) < 0.05
    rate = 10 ** np.where(stars, rng.uniform(3, 4.5, (ny, nx)), rng.uniform(1, 3, (ny, nx)))
    data = bias + np.arange(1, ngroup + 1)[:, None, None] * rate + rng.normal(0, 20, shape)
    late = rng.random((nint, ny, nx)) < 0.01  # saturated within the second group
    data[:, 1:2] += 12000 * late[:, None]
    data[:, 2:] += 60000 * late[:, None]
    data = np.clip(data + np.cumsum(rng.random(shape) < 0.005, axis=1) * 20000, 0, 65535)
    data[rng.random(shape) < 0.003] = 0
    data[rng.random(shape) < 0.003] = -3
    data[rng.random(shape) < 0.003] = np.nan
    zeroframe = np.clip(data[:, 0] * rng.uniform(0.5, 1.5, (ny, nx)), 0, 65535)
    zeroframe[rng.random(zeroframe.shape) < 0.01] = 65535
    zeroframe[rng.random(zeroframe.shape) < 0.01] = 0
    threshold[rng.random((ny, nx)) < 0.02] = np.nan
    bias[rng.random((ny, nx)) < 0.01] = np.nan
    dq = np.where(rng.random((ny, nx)) < 0.02, NO_SAT_CHECK, 0) | np.where(rng.random((ny, nx)) < 0.02, 1 << 12, 0)
    groupdq = np.where(rng.random((ny, nx)) < 0.02, DO_NOT_USE, 0) | np.zeros(shape, int)
    floats = [a.astype(np.float32) for a in (data, zeroframe, threshold, bias)]
    return *floats, dq.astype(np.uint32), groupdq.astype(np.uint8)


def subarray(model):
    ny, nx = model.data.shape[-2:]
    where = model.meta.subarray
    where.xstart, where.ystart, where.xsize, where.ysize = 1, 1, nx, ny
    return model


def by_peer(arrays, nframes, step, *, superbias, zero_frame):
    data, zeroframe, threshold, bias, dq, groupdq = (a.copy() for a in arrays)
    model = datamodels.RampModel(data=data, groupdq=groupdq, pixeldq=np.full(dq.shape, 4, np.uint32))
    subarray(model).meta.instrument.name = "NIRCAM"
    cards = model.meta.exposure
    cards.nframes, cards.groupgap, cards.ngroups, cards.nints = nframes, 0, data.shape[1], data.shape[0]
    cards.zero_frame = zero_frame
    if zero_frame:
        model.zeroframe = zeroframe
    reference = subarray(datamodels.SaturationModel(data=threshold, dq=dq))
    bias = subarray(datamodels.SuperBiasModel(data=bias)) if superbias else None
    out = peer.flag_saturation(model, reference, step.n_pix_grow_sat, step.use_readpatt, bias_model=bias)
    return np.array(out.groupdq), np.array(out.pixeldq), np.array(out.zeroframe) if zero_frame else None


def by_gpujw(arrays, nframes, step, *, superbias, zero_frame):
    data, zeroframe, threshold, bias, dq, groupdq = (a.copy() for a in arrays)
    meta = Meta("made_up_uncal.fits", {"NFRAMES": nframes, "READPATT": "BRIGHT1"})
    refs = {"saturation": FakeReference(threshold, dq), "superbias": FakeReference(bias) if superbias else None}
    rows = slice(0, data.shape[2])
    frame = zeroframe if zero_frame else None
    ramp = Ramp(data, groupdq, np.full(dq.shape, 4, np.uint32), meta, rows, rows, zeroframe=frame)
    out = step(ramp, on_device(step.prepare(refs, meta)))
    return out.groupdq, out.pixeldq, out.zeroframe


def both(nframes, step, shape=(2, 7, 37, 53), seed=0, superbias=True, zero_frame=True):
    arrays = exposure(nframes, shape, seed)
    options = {"superbias": superbias, "zero_frame": zero_frame}
    return by_gpujw(arrays, nframes, step, **options), by_peer(arrays, nframes, step, **options), arrays


def same(mine, theirs):
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("nframes", [1, 2, 4, 8])
@pytest.mark.parametrize("grow", [0, 1, 2, 3])
def test_flags(nframes, grow):
    mine, theirs, arrays = both(nframes, Saturation(n_pix_grow_sat=grow), seed=grow)
    same(mine, theirs)
    # All that there is to be found was found.
    new = mine[0] & ~arrays[-1]
    assert (new & SATURATED > 0).any() and (new == DO_NOT_USE).any() == (nframes > 1)
    assert (mine[2] == 0).sum() > (arrays[1] == 0).sum()
    assert (mine[1] & NO_SAT_CHECK > 0).sum() > (arrays[4] & NO_SAT_CHECK > 0).sum()


@pytest.mark.parametrize("shape", [(3, 1, 37, 53), (1, 2, 37, 53), (1, 3, 37, 53), (1, 40, 9, 11)])
@pytest.mark.parametrize("nframes", [1, 4])
def test_few_and_many_groups(shape, nframes):
    same(*both(nframes, Saturation(), shape, seed=shape[1])[:2])


def test_options():
    same(*both(4, Saturation(use_readpatt=False))[:2])
    same(*both(4, Saturation(), superbias=False, zero_frame=False)[:2])


def test_the_read_pattern_and_the_superbias_matter():
    """Else the tests above could not see them."""
    step = Saturation()
    with_all = both(4, step)[0][0]
    assert (with_all != both(4, Saturation(use_readpatt=False))[0][0]).any()
    assert (with_all != both(4, step, superbias=False)[0][0]).any()


def test_ramps_that_were_flagged_before():
    """A saturated group in a file that has been calibrated so far is saturated, and so are the groups after it."""
    arrays = exposure(4, (1, 7, 37, 53), 5)
    rng = np.random.default_rng(6)
    since = np.where(rng.random((37, 53)) < 0.02, rng.integers(0, 7, (37, 53)), 7)
    arrays[-1][0] |= np.where(np.arange(7)[:, None, None] >= since, SATURATED, 0).astype(np.uint8)
    options = {"superbias": True, "zero_frame": False}
    mine, theirs = (by(arrays, 4, Saturation(), **options) for by in (by_gpujw, by_peer))
    np.testing.assert_array_equal(mine[0], theirs[0])
