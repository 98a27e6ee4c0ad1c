"""The likelihood fit against the peer's, plane for plane, on ramps with every kind of flag and many jumps."""

import logging

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED
from gpujw.steps.ramp_fit import RampFit

from ..steps.fakes import FakeReference, meta_of, ramp_of
from .test_ramp_fit import PLANES, by_gpujw, by_peer, exposure

pytestmark = pytest.mark.parity
stcal = pytest.importorskip("stcal.ramp_fitting.ramp_fit")
likely_fit = pytest.importorskip("stcal.ramp_fitting.likely_fit")
likely_algo_classes = pytest.importorskip("stcal.ramp_fitting.likely_algo_classes")
dqflags = pytest.importorskip("stdatamodels.jwst.datamodels.dqflags")

TFRAME = 2.77504


def undecided(groupdq, nframes, split):
    """Ramps of which two omissions explain the same: of two differences in use one is left out, or of three in a row two.

    Which of them the peer takes hangs on the last bit of its sums (and may be both, or none); here it is the lower rate.
    """
    q = np.concatenate([groupdq[:, :1], groupdq], axis=1) if split else groupdq
    used = (q[:, 1:] | q[:, :-1]) == 0
    n = used.sum(axis=1)
    pairs = (used[:, 1:] & used[:, :-1]).sum(axis=1)
    return (n == 2) | ((n == 3) & (pairs == 2) & (nframes > 1))


def blind(data, groupdq, gain, noise):
    """Ramps in which the peer looks for no jumps: a quotient of its two-omission formula is 0 / 0 where noise is that of
    reading alone and the ramp has 5 groups, or 7, in a row. Here they are searched as others are."""
    _, ngroup, ny, _ = data.shape
    times = [np.array([(k + 1) * TFRAME]) for k in range(ngroup)]
    covar = likely_algo_classes.Covar(times)
    found = np.zeros((len(data), *data.shape[2:]), bool)
    for i, y in np.ndindex(len(data), ny):
        rates = np.diff(data[i, :, y], axis=0) / np.diff(covar.mean_t)[:, None]
        used = ((groupdq[i, 1:, y] | groupdq[i, :-1, y]) == 0).astype(np.uint8)
        guess = np.maximum(np.median(rates, axis=0), 0)[None]
        fit = likely_fit.fit_ramps(
            rates, covar, gain[y], noise[y] / np.sqrt(2), count_rate_guess=guess, diffs2use=used, detect_jumps=True
        )
        found[i, y] = ~np.isfinite(fit.chisq_two_omit).all(axis=0) & (used.sum(axis=0) > 2)
    return found


def compare(arrays, *, nframes=1, groupgap=0, frames=True, share=1.0, **parameters):
    """Share of ramps left out of the comparison, after the rest agree: flags equal, planes within 1e-5, slopes of errors."""
    cards = {"INSTRUME": "NIRCAM", "NFRAMES": nframes, "GROUPGAP": groupgap, "TFRAME": TFRAME}
    cards["TGROUP"] = (nframes + groupgap) * TFRAME
    parameters = {"algorithm": "LIKELY", **parameters}
    arrays[4] = np.abs(arrays[4])  # of rates below 0 the peer makes variances below 0, or none at all
    logging.disable(logging.ERROR)
    with np.errstate(all="ignore"):
        rate, ints = by_peer(arrays, cards, parameters, frames)
        first, last = RampFit(**parameters).selected(arrays[5].shape[1])
        before = arrays[5].copy()
        before[:, :first] |= DO_NOT_USE
        before[:, last:] |= DO_NOT_USE
        out = by_gpujw(arrays, cards, parameters, frames)
    logging.disable(logging.NOTSET)
    jumped = ((np.array(ints.dq) | out.ints.dq) & JUMP_DET) > 0
    open_ = undecided(before, nframes, frames and nframes > 1) & jumped
    # Where the gain is none, negative photons may leave the peer's covariances positive: it has a rate then.
    open_ |= arrays[1] <= 0
    if nframes == 1:
        with np.errstate(all="ignore"):
            open_ |= blind(arrays[0], before, arrays[1], arrays[2]) & jumped
    for ours, other, skip in ((out.rate, rate, open_.any(axis=0)), (out.ints, ints, open_)):
        for name in PLANES:
            a, b = np.array(getattr(ours, name)), np.array(getattr(other, name))
            assert a.shape == b.shape and a.dtype == b.dtype
            # Small variances are what is left of larger ones in float32, in which the peer adds up integrations.
            floor = 1e-5 * np.nan_to_num(other.err, posinf=0) ** {"data": 1}.get(name, 2)
            floor = 0 if name == "err" else floor
            same = np.isclose(a, b, rtol=1e-5, atol=0, equal_nan=True) | (np.abs(a - b) <= floor) | skip
            same = (a == b) | skip if name == "dq" else same
            assert same.mean() >= share, (name, np.argwhere(~same)[:4], a[~same][:4], b[~same][:4])
    return open_.mean()


@pytest.mark.parametrize("nint", [1, 3])
@pytest.mark.parametrize("ngroup", [4, 5, 10, 40])
@pytest.mark.parametrize(("nframes", "groupgap"), [(1, 0), (1, 4), (2, 0), (4, 1), (8, 0)])
@pytest.mark.parametrize("frames", [True, False])
def test_all_planes_are_equal(nint, ngroup, nframes, groupgap, frames):
    arrays = exposure((nint, ngroup, 17, 53), ngroup + nint, nframes=nframes)
    compare(arrays, nframes=nframes, groupgap=groupgap, frames=frames)


@pytest.mark.parametrize("brightest", [1.0, 4.5])
def test_jumps_that_no_one_flagged(brightest):
    arrays = exposure((2, 12, 37, 71), 3, flagged=0.2, brightest=brightest)
    arrays[5] &= ~np.uint8(JUMP_DET)
    # A ramp may come to be one that the peer is blind to, by what it leaves out.
    assert compare(arrays, share=0.9995) < 0.02


@pytest.mark.parametrize("groups", [{"firstgroup": 2}, {"lastgroup": 6}, {"firstgroup": 1, "lastgroup": 5}])
def test_selected_groups(groups):
    compare(exposure((2, 9, 17, 53), 4, flagged=0.3), **groups)


@pytest.mark.parametrize("ngroup", [1, 2, 3])
def test_fewer_groups_are_fitted_by_least_squares(ngroup):
    arrays = exposure((2, ngroup, 11, 23), 5)
    cards = {"INSTRUME": "NIRCAM", "NFRAMES": 1, "GROUPGAP": 0, "TFRAME": TFRAME, "TGROUP": TFRAME}
    with np.errstate(all="ignore"):
        likely, ols = (by_gpujw(arrays, cards, {"algorithm": name}, True) for name in ("LIKELY", "OLS_C"))
    for name in PLANES:
        np.testing.assert_array_equal(getattr(likely.rate, name), getattr(ols.rate, name))


def test_all_flagged():
    arrays = exposure((2, 6, 11, 23), 6)
    arrays[5][0] |= DO_NOT_USE
    arrays[5][1] |= SATURATED
    assert compare(arrays) < 0.02


@pytest.mark.parametrize("frames", [True, False])
def test_the_flags_of_groups_are_the_peers(frames):
    from stdatamodels.jwst.datamodels import RampModel

    data, gain, noise, zeroframe, dark, groupdq, pixeldq = exposure((2, 10, 17, 53), 7, flagged=0.2, nframes=4)
    gain[:], noise[:] = 2.0, 12.0
    groupdq &= ~np.uint8(JUMP_DET)
    model = RampModel(data=data.copy(), groupdq=groupdq.copy(), pixeldq=pixeldq.copy())
    where = model.meta.exposure
    where.nframes, where.groupgap, where.frame_time, where.group_time = 4, 0, TFRAME, 4 * TFRAME
    if frames:
        model.zeroframe = zeroframe
    with np.errstate(all="ignore"):
        stcal.ramp_fit(model, False, noise.copy(), gain.copy(), "LIKELY", "optimal", "none", dqflags.pixel)
    meta = meta_of(NFRAMES=4, GROUPGAP=0, TFRAME=TFRAME, TGROUP=4 * TFRAME)
    ramp = ramp_of(data, meta, groupdq=groupdq.copy(), pixeldq=pixeldq, zeroframe=zeroframe if frames else None)
    step = RampFit(algorithm="LIKELY")
    step(ramp, step.prepare({"gain": FakeReference(gain), "readnoise": FakeReference(noise)}, ramp.meta))
    known = ~undecided(groupdq, 4, frames)[:, None] & ~np.isnan(data).any(axis=1, keepdims=True)
    np.testing.assert_array_equal(ramp.groupdq * known, np.array(model.groupdq) * known)
    assert (ramp.groupdq != groupdq).any()
