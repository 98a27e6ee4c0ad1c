"""Ramp fits: ramps by hand whose rates are known, and the twins against the reference on all that is awkward."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpujw.cpu_fallback import ramp_fit as twin
from gpujw.cpu_fallback.reference import ramp_fit as reference
from gpujw.dq import (
    AD_FLOOR,
    CHARGELOSS,
    DO_NOT_USE,
    DROPOUT,
    HOT,
    JUMP_DET,
    NO_GAIN_VALUE,
    PERSISTENCE,
    SATURATED,
)
from gpujw.steps.ramp_fit import slope_coefficients

PLANES = ("slope", "err", "dq", "var_photon", "var_read")
TIMES = (10.0, 5.0, 4.0)  # s: between groups, of a first group that is alone, of the zero frame
GAIN, NOISE = 2.0, 12.0
FLAGS = (
    0,
    0,
    0,
    0,
    DO_NOT_USE,
    SATURATED,
    JUMP_DET,
    PERSISTENCE,
    AD_FLOOR,
    DROPOUT,
    CHARGELOSS | DO_NOT_USE,
    CHARGELOSS,
)
FLAGS += (JUMP_DET | PERSISTENCE, JUMP_DET | SATURATED, AD_FLOOR | DO_NOT_USE)


def scene(shape, seed=0, *, flagged=0.4):
    """Ramps of all rates, of which some are flagged as they may be; gain and noise with what they have in flight."""
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    gain, noise = (rng.uniform(*range_, (ny, nx)).astype(np.float32) for range_ in ((1.5, 2.5), (5, 30)))
    counts = np.cumsum(rng.poisson(10 ** rng.uniform(0, 5, (ny, nx)), shape), axis=1) / 2
    data = (counts + rng.normal(100, 10, shape)).astype(np.float32)
    late = np.where(rng.random((nint, 1, ny, nx)) < flagged, rng.integers(0, ngroup + 1, (nint, 1, ny, nx)), ngroup)
    groupdq = np.where(np.arange(ngroup)[:, None, None] >= late, SATURATED, 0).astype(np.uint8)
    struck = rng.random((nint, 1, ny, nx)) < flagged
    groupdq |= np.where(struck, rng.choice(np.array(FLAGS, np.uint8), shape), np.uint8(0))
    pixeldq = rng.choice(np.array([0] * 9 + [DO_NOT_USE, SATURATED, HOT], np.uint32), (ny, nx))
    zeroframe = (data[:, 0] / 3 * rng.choice([0, 1, 1], (nint, ny, nx))).astype(np.float32)
    dark_rate = rng.normal(0.02, 0.05, (ny, nx)).astype(np.float32)
    if flagged:
        gain[0, :3], noise[0, 3:5] = (np.nan, 0, -1), (0, np.nan)
        groupdq[:, :, 0, :5] &= ~np.uint8(CHARGELOSS)
        data[rng.random(shape) < 0.01] = np.nan
    return data, groupdq, pixeldq, gain, noise, zeroframe, dark_rate


def fitted(module, arrays, *, put=np.array, get=np.array, frames=True, suppress=True, rows=None, groups=None):
    """The two fits as dictionaries of planes; what is fitted must not have changed."""
    *held, zeroframe, dark_rate = [put(array) for array in arrays]
    nint, ngroup, ny, _ = arrays[0].shape
    options = {"zeroframe": zeroframe, "dark_rate": dark_rate} if frames else {}
    fits = module.fit_slopes(
        *held,
        put(slope_coefficients(ngroup)),
        rows=rows or (0, ny),
        groups=groups or (0, ngroup),
        times=TIMES,
        suppress_one_group=suppress,
        **options,
    )
    for array, before in zip(held, arrays, strict=False):
        np.testing.assert_array_equal(get(array), before)
    return [dict(zip(PLANES, map(get, fit), strict=True)) for fit in fits]


def assert_close(fits, expected):
    """Flags equal; the rest within what float32 and the order of sums in float64 leave."""
    for ours, other in zip(fits, expected, strict=True):
        for name in PLANES:
            assert ours[name].dtype == other[name].dtype and ours[name].shape == other[name].shape
            # A slope is a sum of differences of either sign: it is rounded as they are, which is less than its error.
            atol = 1e-6 * np.nan_to_num(other["err"], posinf=0) if name == "slope" else 0
            same = np.abs(ours[name] - other[name]) <= 1e-6 * np.abs(other[name]) + atol
            same |= (ours[name] == other[name]) | (np.isnan(ours[name]) & np.isnan(other[name]))
            if name == "dq":
                same = ours[name] == other[name]
            assert same.all(), (name, np.argwhere(~same)[:3], ours[name][~same][:3], other[name][~same][:3])


@pytest.fixture
def fit_pixel(be, put, get):
    """fit_pixel([counts, ...], [flags, ...]): one pixel by its integrations; scalars for it, and lists of theirs."""

    def fit(counts, flags=None, *, gain=GAIN, noise=NOISE, pixeldq=0, zero=None, dark=0.0, **options):
        data = np.array(counts, np.float32)[..., None, None]
        groupdq = np.zeros(data.shape, np.uint8) if flags is None else np.array(flags, np.uint8)[..., None, None]
        frame = np.array(zero or [0] * len(data), np.float32)[:, None, None]
        single = [np.full((1, 1), value, dtype) for value, dtype in ((pixeldq, np.uint32), (gain, "f4"), (noise, "f4"))]
        arrays = (data, groupdq, *single, frame, np.full((1, 1), dark, np.float32))
        rate, ints = fitted(be.kernel("ramp_fit"), arrays, put=put, get=get, **options)
        return {k: v[0, 0] for k, v in rate.items()}, {k: v[:, 0, 0] for k, v in ints.items()}

    return fit


def read_variance(n, time=TIMES[0]):
    return 12 * (NOISE / time) ** 2 / ((n**3 - n) * GAIN**2)


def photon_variance(rate, n, time=TIMES[0]):
    return rate / (time * GAIN * (n - 1))


def close(*values):
    return pytest.approx(values[0] if len(values) == 1 else list(values), rel=1e-5)


def test_a_straight_ramp_has_its_rate(fit_pixel):
    rate, ints = fit_pixel([100 + 30.0 * np.arange(8)])
    for fit in (rate, {name: plane[0] for name, plane in ints.items()}):
        assert fit["slope"] == close(3) and fit["dq"] == 0
        assert fit["var_read"] == close(read_variance(8)) and fit["var_photon"] == close(photon_variance(3, 8))
        assert fit["err"] == close(np.sqrt(read_variance(8) + photon_variance(3, 8)))


def test_the_average_dark_current_adds_noise_and_no_rate(fit_pixel):
    rate, _ = fit_pixel([30.0 * np.arange(8)], dark=2.0)
    assert rate["slope"] == close(3) and rate["var_photon"] == close(photon_variance(5, 8))
    rate, _ = fit_pixel([-30.0 * np.arange(8)], dark=2.0)  # a negative rate has no photons
    assert rate["slope"] == close(-3) and rate["var_photon"] == close(photon_variance(2, 8))
    rate, _ = fit_pixel([-30.0 * np.arange(8)])
    assert rate["var_photon"] == 0 and rate["err"] == close(np.sqrt(read_variance(8)))


def test_the_median_of_steps_makes_the_photon_noise(fit_pixel):
    rate, ints = fit_pixel([[0, 10, 30, 60, 100], [0, 70, 140, 210, 280]])  # steps of 10 to 40, of 70
    assert ints["var_photon"] == close(*[photon_variance((2.5 + 7) / 2, 5)] * 2)
    rate, ints = fit_pixel([[0, 10, 30, 930, 970]], [[0, 0, 0, JUMP_DET, 0]])  # steps of 10, 20 and 40 count
    assert rate["var_photon"] == close(2 / (10 * GAIN * (2 + 1)))


@pytest.mark.parametrize(("flux", "power"), [(2, 0), (7, 0.4), (20, 1), (100, 3), (600, 6), (3000, 10)])
def test_weights_follow_signal_to_noise(fit_pixel, flux, power):
    """Least squares with weights |(k - m) / m|**power, of a ramp that is bent."""
    k = np.arange(7.0)
    counts = flux * (k + 0.3 * np.sin(2 * k))
    rise = (counts[-1] - counts[0]) * GAIN
    assert {0: 0, 5: 0.4, 10: 1, 20: 3, 50: 6, 100: 10}[
        max(limit for limit in (0, 5, 10, 20, 50, 100) if limit <= rise / np.sqrt(NOISE**2 + rise))
    ] == power
    weights = np.abs((k - 3) / 3) ** power
    expected = np.polyfit(k, counts, 1, w=np.sqrt(weights))[0] / TIMES[0]
    assert fit_pixel([counts])[0]["slope"] == close(expected)


def test_a_jump_splits_a_ramp_and_begins_the_next_segment(fit_pixel):
    counts = np.array([0, 20, 40, 540, 566, 592, 618])
    rate, ints = fit_pixel([counts], [[0, 0, 0, JUMP_DET, 0, 0, 0]])
    variances = np.array([read_variance(3), read_variance(4)])
    slope = (2 / variances[0] + 2.6 / variances[1]) / (1 / variances).sum()
    assert rate["slope"] == close(slope) and rate["dq"] == ints["dq"][0] == JUMP_DET
    assert rate["var_read"] == close(1 / (1 / variances).sum())
    photon = photon_variance(2.3, np.array([3, 4]))  # the median of 20, 20, 26, 26, 26 is 26
    photon *= 2.6 / 2.3
    assert rate["var_photon"] == close(1 / (1 / photon).sum())
    assert ints["err"] == close(*[1 / np.sqrt((1 / (photon + variances)).sum())])
    assert rate["err"] == close(np.sqrt(rate["var_photon"] + rate["var_read"]))


def test_a_segment_begins_with_a_jump_and_nothing_else(fit_pixel):
    counts = [0, 20, 40, 1000, 5000, 5020, 5040]
    for flag, slope in ((JUMP_DET | DO_NOT_USE, 2), (JUMP_DET | AD_FLOOR, 2), (JUMP_DET | PERSISTENCE, 122)):
        # 4000 DN from the flagged group would tilt the last segment, had it four groups.
        rate, _ = fit_pixel([counts], [[0, 0, 0, 0 if flag == 0 else flag, 0, 0, 0]])
        assert (rate["slope"] < 3) == (slope == 2), flag


def test_segments_of_one_group_count_only_alone(fit_pixel):
    flag = DO_NOT_USE
    rate, _ = fit_pixel([[0, 20, 40, 999, 500, 999]], [[0, 0, 0, flag, 0, flag]])
    assert rate["slope"] == close(2) and rate["var_read"] == close(read_variance(3))
    rate, _ = fit_pixel([[300, 999, 800, 999, 900, 999]], [[0, flag, 0, flag, 0, flag]])
    assert rate["slope"] == close(30) and rate["var_read"] == close(read_variance(2))  # the first, over the group time
    rate, _ = fit_pixel([[300, 350, 999]], [[0, 0, flag]])
    assert rate["slope"] == close(5) and rate["var_read"] == close(read_variance(2))


def test_one_good_group_is_suppressed_or_timed_on_its_own(fit_pixel):
    flags = [[0, SATURATED, SATURATED]]
    rate, ints = fit_pixel([[300, 0, 0]], flags)
    assert np.isnan(rate["slope"]) and rate["dq"] == ints["dq"][0] == DO_NOT_USE | SATURATED
    assert rate["var_read"] == rate["var_photon"] == rate["err"] == ints["err"][0] == 0
    rate, ints = fit_pixel([[300, 0, 0]], flags, suppress=False)
    assert rate["slope"] == close(300 / TIMES[1]) and rate["dq"] == ints["dq"][0] == SATURATED
    assert rate["var_read"] == close(read_variance(2, TIMES[1]))
    assert rate["var_photon"] == close(photon_variance(300 / TIMES[1], 2, TIMES[1]))
    # Suppression does not look at PERSISTENCE, and one group of one is not suppressed by its callers.
    rate, _ = fit_pixel([[300, 0, 0]], [[PERSISTENCE, SATURATED, SATURATED]])
    assert rate["dq"] == DO_NOT_USE | SATURATED | PERSISTENCE
    rate, _ = fit_pixel([[300]], suppress=False)
    assert rate["slope"] == close(300 / TIMES[1]) and rate["var_photon"] == close(photon_variance(60, 2, TIMES[1]))


def test_the_zero_frame_stands_for_ramps_without_good_groups(fit_pixel):
    flags = [[SATURATED] * 3, [0, 0, 0]]
    counts = [[0, 0, 0], [0, 20, 40]]
    rate, ints = fit_pixel(counts, flags, zero=[80, 80], suppress=False)
    assert ints["slope"] == close(80 / TIMES[2], 2) and ints["dq"].tolist() == [SATURATED, 0]
    assert ints["var_read"] == close(read_variance(2, TIMES[2]), read_variance(3))
    for options in ({"zero": [0, 80], "suppress": False}, {"zero": [80, 80]}, {"zero": [80, 80], "frames": False}):
        _, ints = fit_pixel(counts, flags, **options)
        assert np.isnan(ints["slope"][0]) and ints["dq"][0] == DO_NOT_USE | SATURATED
    # Of one group that is saturated, no flag remains.
    rate, _ = fit_pixel([[9]], [[SATURATED]], zero=[80], suppress=False)
    assert rate["slope"] == close(20) and rate["dq"] == 0


def test_a_ramp_saturated_from_the_start_has_no_rate(fit_pixel):
    rate, ints = fit_pixel([[0, 20, 40, 60]] * 2, [[SATURATED, 0, 0, 0], [0, 0, 0, SATURATED]])
    assert np.isnan(ints["slope"][0]) and ints["dq"].tolist() == [DO_NOT_USE | SATURATED, SATURATED]
    assert ints["var_read"][0] == ints["var_photon"][0] == ints["err"][0] == 0
    assert rate["slope"] == close(2) and rate["dq"] == SATURATED and rate["var_read"] == close(read_variance(3))


def test_groups_that_are_all_unusable_or_only_flagged(fit_pixel):
    rate, _ = fit_pixel([[0, 20, 40]], [[DO_NOT_USE, SATURATED, DO_NOT_USE]])
    assert np.isnan(rate["slope"]) and rate["dq"] == DO_NOT_USE | SATURATED
    rate, _ = fit_pixel(
        [[0, 20, 40]], [[JUMP_DET] * 3]
    )  # nothing to fit, and nothing that says so: a quirk of the peer
    assert rate["slope"] == rate["err"] == rate["var_read"] == 0 and rate["dq"] == JUMP_DET


def test_persistence_is_reported_and_used(fit_pixel):
    rate, _ = fit_pixel([[0, 20, 40, 60]], [[0, PERSISTENCE, PERSISTENCE, 0]])
    assert rate["slope"] == close(2) and rate["dq"] == PERSISTENCE and rate["var_read"] == close(read_variance(4))


def test_flags_of_the_pixel_pass_and_blank(fit_pixel):
    rate, ints = fit_pixel([[0, 20, 40]], pixeldq=HOT)
    assert rate["slope"] == close(2) and rate["dq"] == ints["dq"][0] == HOT
    for flag in (DO_NOT_USE, SATURATED):
        rate, ints = fit_pixel([[0, 20, 40]], pixeldq=HOT | flag)
        assert np.isnan(rate["slope"]) and np.isnan(ints["slope"][0]) and rate["dq"] == ints["dq"][0] == HOT | flag
        assert rate["err"] == rate["var_read"] == rate["var_photon"] == ints["var_read"][0] == 0


@pytest.mark.parametrize("gain", [0, -1, np.nan])
def test_a_pixel_without_gain_is_flagged(fit_pixel, gain):
    rate, ints = fit_pixel([[0, 20, 40]], gain=gain)
    assert rate["dq"] == ints["dq"][0] == DO_NOT_USE | NO_GAIN_VALUE and np.isnan(rate["slope"]) and rate["err"] == 0


def test_integrations_add_up(fit_pixel):
    counts = [[0, 20, 40, 60], [0, 30, 60, 0], [9, 9, 9, 9]]
    flags = [[0] * 4, [0, 0, 0, SATURATED], [DO_NOT_USE] * 4]
    rate, ints = fit_pixel(counts, flags)
    weights = 1 / read_variance(np.array([4, 3]))
    assert rate["slope"] == close((weights * [2, 3]).sum() / weights.sum()) and rate["dq"] == SATURATED
    assert rate["var_read"] == close(1 / weights.sum())
    assert rate["var_photon"] == close(1 / (1 / photon_variance(5 / 3, np.array([4, 3]))).sum())
    assert ints["dq"].tolist() == [0, SATURATED, DO_NOT_USE] and np.isnan(ints["slope"][2])


def test_variances_of_a_million_are_written_as_zero(fit_pixel):
    for noise, kept in ((7000, True), (7100, False)):  # read variance of two groups: noise^2 / 50
        rate, ints = fit_pixel([[0, 20]], noise=noise, gain=1.0)
        assert (rate["var_read"] > 0) == (ints["var_read"][0] > 0) == (ints["err"][0] > 0) == kept
        assert rate["slope"] == (close(2) if kept else 0)


def test_charge_loss_leaves_the_read_noise(fit_pixel):
    lost = CHARGELOSS | DO_NOT_USE
    counts = [[0, 20, 40, 50, 55], [0, 20, 40, 60, 80]]
    rate, ints = fit_pixel(counts, [[0, 0, 0, lost, lost], [0] * 5])
    assert ints["slope"] == close(2, 2) and ints["dq"].tolist() == [0, 0]
    assert ints["var_read"] == close(read_variance(5), read_variance(5))
    assert rate["var_read"] == close(read_variance(5) / 2)
    assert ints["err"][0] == close(np.sqrt(read_variance(3) + ints["var_photon"][0]))  # the error as fitted


def test_leading_groups_and_the_jump_after_them_are_left_out(fit_pixel):
    flags = [[DO_NOT_USE | JUMP_DET, JUMP_DET, 0, 0, 0, SATURATED]]
    rate, _ = fit_pixel([[900, 0, 20, 40, 60, 999]], flags, groups=(1, 5))
    assert rate["slope"] == close(2) and rate["dq"] == 0 and rate["var_read"] == close(read_variance(4))


def test_nan_counts_as_zero_in_long_segments_and_as_nan_in_short(fit_pixel):
    """A quirk of the peer, whose signal to noise is then the highest."""
    rate, _ = fit_pixel([[100, 120, np.nan, 160, 180]])  # in the middle it weighs nothing
    assert rate["slope"] == close(2)
    rate, _ = fit_pixel([[np.nan, 20, 40]])
    assert rate["slope"] == close(2)
    rate, _ = fit_pixel([[np.nan, 20]])
    assert np.isnan(rate["slope"]) and rate["dq"] == 0


def test_rows_outside_are_not_fitted(be, put, get):
    arrays = scene((2, 5, 11, 37), 3)
    module = be.kernel("ramp_fit")
    every, some = fitted(module, arrays, put=put, get=get), fitted(module, arrays, put=put, get=get, rows=(3, 8))
    for whole, part in zip(every, some, strict=True):
        for name in PLANES:
            np.testing.assert_array_equal(part[name], whole[name][..., 3:8, :])


@pytest.mark.parametrize("suppress", [True, False])
def test_usable_groups(be, put, get, suppress):
    groupdq = np.zeros((2, 6, 5, 37), np.uint8)
    groupdq[:, 0] = DO_NOT_USE | JUMP_DET
    groupdq[:, 5] = DO_NOT_USE
    groupdq[0, 1] = DO_NOT_USE
    groupdq[1, 1] = SATURATED
    groupdq[:, 4] = DO_NOT_USE
    groupdq[1, :, 2, 36], groupdq[1, 4, 2, 36] = SATURATED | DO_NOT_USE, PERSISTENCE  # one good group, in group 4
    used = be.kernel("ramp_fit").usable_groups(put(groupdq), suppress_one_group=suppress)
    assert get(used).tolist() == [False, True, True, True, not suppress, False]
    assert reference.usable_groups(groupdq, suppress_one_group=suppress).tolist() == get(used).tolist()


SHAPES = [(2, 7, 37, 53), (1, 1, 5, 71), (3, 2, 6, 37), (2, 3, 6, 37), (1, 12, 7, 600), (1, 60, 3, 37), (2, 261, 1, 37)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("suppress", [True, False])
@pytest.mark.parametrize("flagged", [0, 0.4])
def test_twins_are_equal(be, put, get, shape, suppress, flagged):
    arrays = scene(shape, 1, flagged=flagged)
    options = {"suppress": suppress and shape[1] > 1, "frames": flagged > 0}
    assert_close(
        fitted(be.kernel("ramp_fit"), arrays, put=put, get=get, **options), fitted(reference, arrays, **options)
    )


@pytest.mark.parametrize("groups", [(1, 7), (0, 6), (2, 5)])
@pytest.mark.parametrize("suppress", [True, False])
def test_twins_are_equal_with_groups_left_out(be, put, get, groups, suppress):
    arrays = scene((2, 7, 11, 53), 2)
    arrays[1][:, : groups[0]] |= DO_NOT_USE
    arrays[1][:, groups[1] :] |= DO_NOT_USE
    options = {"groups": groups, "suppress": suppress}
    assert_close(
        fitted(be.kernel("ramp_fit"), arrays, put=put, get=get, **options), fitted(reference, arrays, **options)
    )


def test_twins_are_equal_where_most_pixels_skip_groups(be, put, get):
    arrays = scene((3, 9, 5, 301), 4)
    arrays[1][1:, :3] |= DO_NOT_USE
    arrays[1][:, -1] |= DO_NOT_USE
    assert_close(fitted(be.kernel("ramp_fit"), arrays, put=put, get=get), fitted(reference, arrays))


@settings(max_examples=60, deadline=None)
@given(
    groupdq=hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 3), st.integers(1, 9), st.just(1), st.just(6)),
        elements=st.sampled_from(FLAGS),
    ),
    suppress=st.booleans(),
    frames=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_flags(groupdq, suppress, frames, seed):
    arrays = list(scene(groupdq.shape, seed, flagged=0))
    arrays[1] = groupdq
    options = {"suppress": suppress and groupdq.shape[1] > 1, "frames": frames}
    assert_close(fitted(twin, arrays, **options), fitted(reference, arrays, **options))


def test_rates_are_unbiased_and_their_errors_right(be, put, get):
    """Photons and read noise as in flight: 24000 ramps of 8 groups at rates that meet every power of the weights."""
    rng = np.random.default_rng(8)
    for rate in (0.1, 1, 4, 20, 100, 1000):  # DN/s
        shape = (1, 8, 60, 400)
        counts = np.cumsum(rng.poisson(rate * GAIN * TIMES[0], shape), axis=1) + rng.normal(0, NOISE, shape)
        plane = np.ones(shape[2:], np.float32)
        arrays = ((counts / GAIN).astype(np.float32), np.zeros(shape, np.uint8), np.zeros(shape[2:], np.uint32))
        arrays += (GAIN * plane, NOISE * plane, np.zeros((1, 60, 400), np.float32), 0 * plane)
        fit, _ = fitted(be.kernel("ramp_fit"), arrays, put=put, get=get)
        # Weights follow the noise of each ramp's own ends, which might pull its slope: the mean of 24000 shows 1/155 sigma.
        assert abs(fit["slope"].mean() - rate) < 0.02 * fit["slope"].std()
        # Variances are those of photons at the ends alone and of read noise unweighted: near the truth, not exact.
        assert np.mean(((fit["slope"] - rate) / fit["err"]) ** 2) == pytest.approx(1, abs=0.1)
