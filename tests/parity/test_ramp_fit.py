"""The ramp fit against the peer's, plane for plane, on ramps with every kind of flag."""

import logging

import numpy as np
import pytest

from gpujw.dq import AD_FLOOR, CHARGELOSS, DO_NOT_USE, DROPOUT, JUMP_DET, PERSISTENCE, SATURATED
from gpujw.errors import StepError
from gpujw.steps.ramp_fit import RampFit

from ..steps.fakes import FakeReference, meta_of, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.ramp_fitting")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")

PLANES = ("data", "err", "dq", "var_poisson", "var_rnoise")
LOST = CHARGELOSS | DO_NOT_USE
FLAGS = (0, 0, 0, 0, 0, DO_NOT_USE, SATURATED, JUMP_DET, PERSISTENCE, JUMP_DET | PERSISTENCE, JUMP_DET | SATURATED)
FLAGS += (DROPOUT, AD_FLOOR, AD_FLOOR | DO_NOT_USE, LOST, LOST, CHARGELOSS)


def exposure(shape, seed, *, flagged=0.5, nframes=1, brightest=4.0):
    """Ramps of all rates; flags in runs and one by one; gain and noise with what they have in flight."""
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    gain, noise = rng.uniform(1.5, 2.5, (ny, nx)), rng.uniform(5, 30, (ny, nx))
    counts = np.cumsum(rng.poisson(10 ** rng.uniform(-1, brightest, (ny, nx)), shape), axis=1) / gain
    data = counts + rng.normal(100, noise / np.sqrt(2 * nframes), shape)
    groupdq = np.zeros(shape, np.uint8)
    groups, one = np.arange(ngroup)[:, None, None], (nint, 1, ny, nx)
    for flag in (SATURATED, LOST, DO_NOT_USE):
        groupdq[(groups >= rng.integers(0, ngroup, one)) & (rng.random(one) < flagged / 4)] |= flag
    struck = rng.random(shape) < np.where(rng.random(one) < flagged, 2 / ngroup, 0)
    groupdq |= np.where(struck, JUMP_DET, 0).astype(np.uint8)
    data += np.cumsum(struck * rng.uniform(0, 3000, shape), axis=1)
    anything = rng.random(one) < flagged / 3
    groupdq |= np.where(anything, rng.choice(np.array(FLAGS, np.uint8), shape), 0).astype(np.uint8)
    groupdq |= np.where(rng.random(one) < flagged / 9, rng.choice(np.array(FLAGS, np.uint8), one), 0).astype(np.uint8)
    pixeldq = rng.choice(np.array([0] * 12 + [DO_NOT_USE, SATURATED, 1 << 10], np.uint32), (ny, nx))
    zeroframe = data[:, 0] / 3 * rng.choice([0, 1, 1], (nint, ny, nx))
    gain[0, :4], noise[0, 3:6] = (np.nan, 0, -1, 1.7), (0, np.nan, 0)
    groupdq[:, :, 0, :6] &= ~np.uint8(CHARGELOSS)
    data[(rng.random(shape) < 0.01) & (rng.random(one) < flagged)] = np.nan
    dark_rate = rng.normal(0.02, 0.02, (ny, nx))
    arrays = (data, gain, noise, zeroframe, dark_rate)
    return [a.astype(np.float32) for a in arrays] + [groupdq, pixeldq]


def placed(model):
    ny, nx = model.data.shape[-2:]
    where = model.meta.subarray
    where.xstart, where.ystart, where.xsize, where.ysize = 1, 1, nx, ny
    return model


def by_peer(arrays, cards, parameters, frames):
    data, gain, noise, zeroframe, dark_rate, groupdq, pixeldq = (a.copy() for a in arrays)
    model = placed(datamodels.RampModel(data=data, groupdq=groupdq, pixeldq=pixeldq))
    if frames:
        model.zeroframe, model.average_dark_current = zeroframe, dark_rate
    model.meta.instrument.name = cards["INSTRUME"]
    where = model.meta.exposure
    where.nints, where.ngroups, where.drop_frames1 = *data.shape[:2], 0
    where.nframes, where.groupgap = cards["NFRAMES"], cards["GROUPGAP"]
    where.group_time, where.frame_time = cards["TGROUP"], cards["TFRAME"]
    references = {
        "gain": placed(datamodels.GainModel(data=gain)),
        "readnoise": placed(datamodels.ReadnoiseModel(data=noise)),
    }
    step = peer.RampFitStep(**parameters)
    step.get_reference_file = lambda _, kind: references[kind]
    return step.process(model)


def by_gpujw(arrays, cards, parameters, frames):
    data, gain, noise, zeroframe, dark_rate, groupdq, pixeldq = arrays
    step = RampFit(**parameters)
    ramp = ramp_of(data, meta_of(**cards), groupdq=groupdq, pixeldq=pixeldq, zeroframe=zeroframe if frames else None)
    ramp = ramp.replace(dark_rate=dark_rate if frames else None)
    refs = {"gain": FakeReference(gain), "readnoise": FakeReference(noise)}
    return step(ramp, step.prepare(refs, ramp.meta))


def compare(arrays, *, instrument="NIRCAM", nframes=1, groupgap=0, frames=True, **parameters):
    """All planes of both fits: flags equal, the rest within 1e-5, slopes within that of their errors."""
    tframe = 2.77504
    cards = {"INSTRUME": instrument, "NFRAMES": nframes, "GROUPGAP": groupgap, "TFRAME": tframe}
    cards["TGROUP"] = (nframes + groupgap) * tframe
    logging.disable(logging.ERROR)
    with np.errstate(all="ignore"):
        expected = by_peer(arrays, cards, parameters, frames)
        if expected[0] is None:
            return None
        out = by_gpujw(arrays, cards, parameters, frames)
    logging.disable(logging.NOTSET)
    for ours, other in ((out.rate, expected[0]), (out.ints, expected[1])):
        for name in PLANES:
            a, b = np.array(getattr(ours, name)), np.array(getattr(other, name))
            assert a.shape == b.shape and a.dtype == b.dtype
            # A variance by photons that comes from a median near zero is the rounding of counts, next to err^2 nothing.
            floor = {"data": 1e-5 * np.nan_to_num(other.err), "var_poisson": 1e-5 * np.nan_to_num(other.err) ** 2}.get(
                name, 0
            )
            same = (
                (a == b)
                if name == "dq"
                else np.isclose(a, b, rtol=1e-5, atol=0, equal_nan=True) | (np.abs(a - b) <= floor)
            )
            assert same.all(), (name, np.argwhere(~same)[:4], a[~same][:4], b[~same][:4])
    return out


@pytest.mark.parametrize("nint", [1, 3])
@pytest.mark.parametrize("ngroup", [1, 2, 3, 5, 10, 25, 60])
@pytest.mark.parametrize("suppress_one_group", [True, False])
@pytest.mark.parametrize("frames", [True, False])
def test_all_planes_are_equal(nint, ngroup, suppress_one_group, frames):
    arrays = exposure((nint, ngroup, 17, 53), ngroup + nint)
    compare(arrays, frames=frames, suppress_one_group=suppress_one_group)


@pytest.mark.parametrize(("nframes", "groupgap"), [(1, 0), (8, 0), (4, 1), (1, 4)])
@pytest.mark.parametrize("brightest", [1.0, 3.0, 4.5])
def test_readout_patterns(nframes, groupgap, brightest):
    arrays = exposure((2, 7, 17, 53), 3, nframes=nframes, brightest=brightest)
    compare(arrays, nframes=nframes, groupgap=groupgap, suppress_one_group=False)


@pytest.mark.parametrize("suppress_one_group", [True, False])
@pytest.mark.parametrize(("leading", "last"), [(0, True), (1, True), (2, False), (3, True), (0, False)])
def test_miri_leaves_groups_out(leading, last, suppress_one_group):
    arrays = exposure((3, 9, 17, 53), leading)
    groupdq = arrays[5]
    groupdq[:, :leading] |= DO_NOT_USE
    groupdq[:, 8:] |= DO_NOT_USE if last else 0
    groupdq[1:, : leading + 2] |= DO_NOT_USE  # the groups that RSCD skips, of later integrations
    compare(arrays, instrument="MIRI", suppress_one_group=suppress_one_group)
    compare(arrays, instrument="NIRSPEC", suppress_one_group=suppress_one_group)


@pytest.mark.parametrize("first", [None, 0, 2, 6, 30])
@pytest.mark.parametrize("last", [None, 0, 4, 5, 30])
@pytest.mark.parametrize("instrument", ["NIRISS", "MIRI"])
def test_selected_groups(first, last, instrument):
    arrays = exposure((2, 7, 11, 23), 4)
    compare(arrays, instrument=instrument, firstgroup=first, lastgroup=last)


def test_where_the_peer_writes_nothing():
    """All ramps saturated from the start: here each is written as it is among others. MIRI without groups: an error."""
    arrays = exposure((2, 6, 11, 23), 5)
    arrays[5][:, 0] |= SATURATED
    assert compare(arrays) is None
    cards = {"TGROUP": 10.0, "TFRAME": 10.0}
    out = by_gpujw(arrays, cards, {}, frames=False)
    assert np.isnan(out.rate.data).all() and (out.rate.dq & (DO_NOT_USE | SATURATED) == DO_NOT_USE | SATURATED).all()
    arrays[5][:] = 0
    arrays[5][:, 2:] |= DO_NOT_USE  # the leading two are used, and the last of the others left out
    assert compare(arrays, instrument="MIRI") is not None
    arrays[5][:, :5] |= DO_NOT_USE
    arrays[5][:, 5] = 0
    assert compare(arrays, instrument="MIRI") is None
    with pytest.raises(StepError, match="at least 2"):
        by_gpujw(arrays, {**cards, "INSTRUME": "MIRI"}, {}, frames=False)


def test_many_pixels_at_once():
    compare(exposure((1, 10, 301, 613), 8, flagged=0.1))
    compare(exposure((2, 20, 101, 613), 9, flagged=0.1), instrument="MIRI")
