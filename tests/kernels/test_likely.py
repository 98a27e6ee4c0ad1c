"""Likelihood ramp fits: noise that is as stated, jumps that are found, and the twins against the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpujw.cpu_fallback import likely as twin
from gpujw.cpu_fallback.reference import likely as reference
from gpujw.dq import DO_NOT_USE, HOT, JUMP_DET, PERSISTENCE, SATURATED
from gpujw.steps.ramp_likely import difference_pattern

PLANES = ("slope", "err", "dq", "var_photon", "var_read")
GAIN, NOISE, FRAME = 2.0, 6.0, 10.0
FLAGS = (0, 0, 0, DO_NOT_USE, SATURATED, JUMP_DET, PERSISTENCE, JUMP_DET | PERSISTENCE)


def reads(ngroup, nframes=1, groupgap=0, split=False):
    times = [(np.arange(1, nframes + 1) + k * (nframes + groupgap)) * FRAME for k in range(ngroup)]
    return [times[0][:1], times[0][1:], *times[1:]] if split else times


def simulated(rate, shape, seed, nframes=1, groupgap=0):
    """Ramps of ``rate[ny, nx]`` DN/s with the noise of photons and of each frame; the zero frames beside them."""
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    every = ngroup * (nframes + groupgap)
    photons = rng.poisson(np.broadcast_to(rate * FRAME * GAIN, (nint, every, ny, nx)))
    frames = np.cumsum(photons, axis=1) / GAIN + rng.normal(0, NOISE, photons.shape)
    groups = frames.reshape(nint, ngroup, nframes + groupgap, ny, nx)[:, :, :nframes].mean(axis=2)
    return groups.astype(np.float32), frames[:, 0].astype(np.float32)


def fitted(module, arrays, *, put=np.array, get=np.array, nframes=1, groupgap=0, rows=None, zeroframe=None, dark=None):
    """The two fits as dictionaries of planes, chi-square, and the flags of the groups afterwards."""
    _, ngroup, ny, _ = arrays[0].shape
    held = [put(array) for array in arrays]
    pattern = difference_pattern(reads(ngroup, nframes, groupgap, zeroframe is not None))
    options = {"zeroframe": zeroframe, "dark_rate": dark}
    options = {name: None if frame is None else put(frame) for name, frame in options.items()}
    rate, ints, chisq = module.fit_ramps_inplace(*held, put(pattern), rows=rows or (0, ny), nframes=nframes, **options)
    for k in (0, 2, 3, 4):
        np.testing.assert_array_equal(get(held[k]), arrays[k])
    fits = [dict(zip(PLANES, map(get, fit), strict=True)) for fit in (rate, ints)]
    return *fits, get(chisq), get(held[1])


def detector(ny, nx, gain=GAIN, noise=NOISE):
    return np.zeros((ny, nx), np.uint32), np.full((ny, nx), gain, np.float32), np.full((ny, nx), noise, np.float32)


def clean(data):
    return data, np.zeros(data.shape, np.uint8), *detector(*data.shape[2:])


@pytest.fixture
def fit(be, put, get):
    return lambda arrays, **options: fitted(be.kernel("likely"), arrays, put=put, get=get, **options)


@pytest.mark.parametrize(("nframes", "groupgap", "split"), [(1, 0, False), (4, 1, False), (8, 0, True), (1, 4, False)])
@pytest.mark.parametrize("rate", [0.2, 5.0, 200.0])
def test_chi_square_and_errors_are_those_of_the_noise(fit, nframes, groupgap, split, rate):
    """Chi-square is ndiff - 1 on average, errors are the scatter, and the mean rate is the true one (Brandt 2024a, section 5)."""
    shape = (1, 8, 37, 53)
    data, zero = simulated(np.full(shape[2:], rate), shape, 1, nframes, groupgap)
    options = {"nframes": nframes, "groupgap": groupgap, "zeroframe": zero if split else None}
    out, _, chisq, groupdq = fit(clean(data), **options)
    quiet = ~(groupdq & JUMP_DET).any(axis=(0, 1))
    assert quiet.mean() > 0.999  # false positives at 4.5 sigma
    n, dof = quiet.sum(), shape[1] - 2 + split
    assert chisq[quiet].mean() == pytest.approx(dof, abs=5 * np.sqrt(2 * dof / n))
    bias = (out["slope"][quiet] - rate).mean() / out["err"][quiet].mean()
    assert abs(bias) < 5 / np.sqrt(n) + 0.01
    scatter = ((out["slope"] - rate) / out["err"])[quiet].std()
    assert scatter == pytest.approx(1, abs=4 / np.sqrt(2 * n))
    total = out["var_photon"] + out["var_read"]
    np.testing.assert_allclose(total, out["err"] ** 2, rtol=1e-5)


@pytest.mark.parametrize(("nframes", "pair"), [(1, False), (4, True)])
def test_jumps_are_found_and_the_rate_is_that_of_the_rest(fit, nframes, pair):
    shape = (1, 10, 17, 29)
    data, _ = simulated(np.full(shape[2:], 3.0), shape, 2, nframes)
    hit = np.random.default_rng(3).integers(1, 9, shape[2:])
    g = np.arange(10)[:, None, None]
    # A jump between the frames of group ``hit`` is in part of its mean: both differences with it are wrong.
    jump = 500 * np.where(g > hit, 1.0, np.where(g == hit, 0.5 if pair else 1.0, 0))
    out, _, chisq, groupdq = fit(clean((data + jump).astype(np.float32)), nframes=nframes)
    struck = (groupdq[0] & JUMP_DET) > 0
    assert np.take_along_axis(struck, hit[None], 0).all()
    if pair:
        assert np.take_along_axis(struck, hit[None] + 1, 0).all()
    assert struck.sum() < (2 if pair else 1) * hit.size * 1.02
    assert (out["dq"] & JUMP_DET).all()
    assert abs((out["slope"] - 3.0) / out["err"]).max() < 6 and chisq.mean() < 9


def test_every_flag_excludes_both_differences(fit):
    data = np.array([0, 10, 20, 900, 40, 50, 60], np.float32)[None, :, None, None]
    for flag in (DO_NOT_USE, SATURATED, JUMP_DET, PERSISTENCE, 64):
        arrays = clean(data)
        arrays[1][0, 3] = flag
        out, _, chisq, groupdq = fit(arrays)
        assert out["slope"][0, 0] == pytest.approx(1, rel=1e-6) and chisq[0, 0] == pytest.approx(0, abs=1e-6)
        assert out["dq"][0, 0] == flag & (SATURATED | JUMP_DET)
        np.testing.assert_array_equal(groupdq, arrays[1])


def test_flags_of_ramps_and_of_the_exposure(fit):
    data, _ = simulated(np.full((1, 4), 5.0), (2, 6, 1, 4), 4)
    arrays = clean(data)
    arrays[1][:, :, 0, 0] = DO_NOT_USE
    arrays[1][0, 3:, 0, 1] = SATURATED
    arrays[1][1, :, 0, 2] = SATURATED | DO_NOT_USE
    arrays[2][0, 3] = HOT | DO_NOT_USE
    rate, ints, chisq, _ = fit(arrays)
    assert rate["dq"][0].tolist() == [DO_NOT_USE, SATURATED, SATURATED, HOT | DO_NOT_USE]
    assert ints["dq"][:, 0, 2].tolist() == [0, SATURATED | DO_NOT_USE]
    for name in ("slope", "err", "var_photon", "var_read"):
        assert np.isnan(rate[name][0, 0]) and np.isnan(ints[name][:, 0, 0]).all()
        assert np.isnan(ints[name][1, 0, 2]) and np.isfinite(rate[name][0, 1:]).all()
    assert np.isnan(chisq[0, 0]) and np.isnan(chisq[0, 2]) and np.isfinite(chisq[0, 3])


def test_two_differences_that_disagree_keep_the_lower_rate(fit):
    """No fit can say which is wrong; cosmic rays add charge. The peer's choice hangs on the last bit."""
    for counts, ends in (([0, 20, 5000, 0, 0], 2), ([0, 5000, 5020, 0, 0], 2)):
        arrays = clean(np.array(counts, np.float32)[None, :, None, None])
        arrays[1][0, ends + 1 :] = SATURATED
        out, _, _, _ = fit(arrays)
        assert out["slope"][0, 0] == pytest.approx(2) and out["dq"][0, 0] == SATURATED | JUMP_DET
    # Three in a row, of which two must go together.
    for counts in ([0, 1000, 2480, 2500], [0, 20, 1020, 2500]):
        out, _, _, _ = fit(clean(np.array(counts, np.float32)[None, :, None, None]), nframes=4)
        assert out["slope"][0, 0] == pytest.approx(0.5)


def test_the_average_dark_current_adds_noise_and_no_rate(fit):
    data, _ = simulated(np.full((3, 5), 2.0), (1, 8, 3, 5), 5)
    plain = fit(clean(data))[0]
    dark = fit(clean(data), dark=np.full((3, 5), 2.0, np.float32))[0]
    assert (dark["var_photon"] > 1.5 * plain["var_photon"]).all()
    np.testing.assert_allclose(dark["slope"], plain["slope"], atol=plain["err"].max())
    # A rate below 0 makes no photons, and no negative variance.
    none = fit(clean(data), dark=np.full((3, 5), -5.0, np.float32))[0]
    assert (none["var_photon"] == 0).all() and (none["var_read"] < dark["var_read"]).all()


def test_pixels_without_gain_or_with_nan_have_no_rate(fit):
    data, _ = simulated(np.full((1, 6), 2.0), (1, 6, 1, 6), 6)
    arrays = clean(data)
    arrays[3][0, :3] = np.nan, 0, -1
    data[0, 2, 0, 3] = np.nan
    arrays[1][0, 2, 0, 3] = DO_NOT_USE  # even where it is flagged: the median is of all
    arrays[4][0, 4] = np.nan
    rate, _, chisq, groupdq = fit(arrays)
    for name in ("slope", "err", "var_photon", "var_read"):
        assert np.isnan(rate[name][0, :5]).all() and np.isfinite(rate[name][0, 5]), name
    assert (groupdq & JUMP_DET == 0).all() and (rate["dq"] == 0).all()
    assert np.isnan(chisq[0, :5]).all()


def test_integrations_are_weighted_by_noise_at_one_rate(fit):
    """Weights from each integration's own rate would be low where that is high, and bias the sum (Brandt 2024a, section 6)."""
    shape = (30, 6, 7, 11)
    data, _ = simulated(np.full(shape[2:], 1.0), shape, 7)
    rate, ints, chisq, _ = fit(clean(data))
    error = rate["err"].mean()
    assert abs(rate["slope"].mean() - 1) < 5 * error / np.sqrt(77)
    assert error == pytest.approx((ints["slope"].std(axis=0) / np.sqrt(30)).mean(), rel=0.1)
    assert chisq.mean() == pytest.approx(30 * 4, rel=0.05)


def test_rows_are_those_asked_for(fit):
    data, _ = simulated(np.full((9, 7), 2.0), (2, 6, 9, 7), 8)
    data[:, 3:] += 4000
    whole, part = fit(clean(data)), fit(clean(data), rows=(2, 5))
    for ours, other in zip(part[:2], whole[:2], strict=True):
        for name in PLANES:
            np.testing.assert_array_equal(ours[name], other[name][..., 2:5, :])
    np.testing.assert_array_equal(part[2], whole[2][2:5])
    assert (part[3][:, :, :2] == 0).all() and (part[3][:, :, 5:] == 0).all()
    np.testing.assert_array_equal(part[3][:, :, 2:5], whole[3][:, :, 2:5])


def scene(shape, seed, nframes):
    """Ramps of all rates, with jumps, flags and gaps as they may be."""
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    data, zero = simulated(10 ** rng.uniform(-2, 3, (ny, nx)), shape, seed, nframes)
    struck = rng.random(shape) < 0.1
    data += np.cumsum(struck * rng.uniform(0, 3000, shape), axis=1).astype(np.float32)
    groupdq = np.where(rng.random(shape) < 0.05, rng.choice(np.array(FLAGS, np.uint8), shape), np.uint8(0))
    late = np.where(rng.random((nint, 1, ny, nx)) < 0.2, rng.integers(0, ngroup, (nint, 1, ny, nx)), ngroup)
    groupdq |= np.where(np.arange(ngroup)[:, None, None] >= late, SATURATED, 0).astype(np.uint8)
    pixeldq, gain, noise = detector(ny, nx)
    gain *= rng.uniform(0.8, 1.2, gain.shape).astype(np.float32)
    noise *= rng.uniform(0.5, 2, gain.shape).astype(np.float32)
    if nx > 8:
        gain[0, :3], noise[0, 3] = (np.nan, 0, -1), np.nan
        data[rng.random(shape) < 0.003] = np.nan
    pixeldq |= rng.choice(np.array([0, 0, 0, HOT, DO_NOT_USE], np.uint32), (ny, nx))
    dark = rng.uniform(0, 0.05, (ny, nx)).astype(np.float32)
    return (data, groupdq, pixeldq, gain, noise), zero, dark


def assert_close(ours, other):
    """Flags equal; the rest within what float32 and the order of sums leave."""
    for mine, theirs in zip(ours[:2], other[:2], strict=True):
        for name in PLANES:
            a, b = mine[name], theirs[name]
            assert a.dtype == b.dtype and a.shape == b.shape, name
            if name == "dq":
                np.testing.assert_array_equal(a, b)
                continue
            # Where photons make nearly all of the noise, that by read noise is what they leave of it.
            floor = 1e-6 * np.nan_to_num(theirs["err"]) ** (1 if name == "slope" else 2) if name != "err" else 0
            same = np.isclose(a, b, rtol=2e-6, atol=0, equal_nan=True) | (np.abs(a - b) <= floor)
            assert same.all(), (name, np.argwhere(~same)[:3], a[~same][:3], b[~same][:3])
    np.testing.assert_allclose(ours[2], other[2], rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(ours[3], other[3])


@pytest.mark.parametrize("shape", [(1, 4, 5, 300), (2, 7, 13, 53), (1, 40, 3, 37), (3, 5, 7, 11), (1, 2, 1, 1)])
@pytest.mark.parametrize(("nframes", "split"), [(1, False), (4, False), (4, True), (2, True)])
def test_twins_agree_with_the_reference(fit, shape, nframes, split):
    arrays, zero, dark = scene(shape, sum(shape) + nframes, nframes)
    options = {"nframes": nframes, "zeroframe": zero if split else None, "dark": dark}
    with np.errstate(all="ignore"):
        assert_close(fit(arrays, **options), fitted(reference, arrays, **options))


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(2, 12), st.integers(1, 3), st.integers(1, 40)),
    seed=st.integers(0, 10**6),
    nframes=st.sampled_from([1, 2, 8]),
    split=st.booleans(),
)
def test_any_ramps(shape, seed, nframes, split):
    arrays, zero, dark = scene(shape, seed, nframes)
    options = {"nframes": nframes, "zeroframe": zero if split and nframes > 1 else None, "dark": dark}
    with np.errstate(all="ignore"):
        assert_close(fitted(twin, arrays, **options), fitted(reference, arrays, **options))


def test_more_differences_than_a_thread_sorts(fit):
    """There the median is found without storing them (kernels/stats.cuh)."""
    arrays, _, dark = scene((1, 263, 1, 3), 9, 1)
    with np.errstate(all="ignore"):
        assert_close(fit(arrays, dark=dark), fitted(reference, arrays, dark=dark))
