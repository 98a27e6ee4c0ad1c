"""The counts mean what the truth says: slopes, variances, events, and the axes of the read-out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from gpujw import dq
from gpujw.simulate import electronics, events, pixels, ramp, scene
from gpujw.simulate.mode import load

QUIET = {"drift": 0.0, "row_noise": 0.0}
NOTHING = events.Deposits(*(np.zeros(0, int) for _ in range(3)), np.zeros(0, np.float32))
SMALL = {
    "RAPID": (load("nircam-sub"), {"nints": 30}),
    "zero frame": (load("niriss-sub80"), {"nints": 20}),
    "averaged frames": (
        load("nircam"),
        {"nints": 30, "start": (1001, 701), "size": (67, 53), "stars": 3000.0, "brightest": 2e4},
    ),
    "time series": (load("nirspec-bots"), {"nints": 12}),
}


@pytest.fixture(scope="module", params=SMALL)
def quiet(request):
    """An exposure without events and drifts: mode, pixels, rate, linear counts above pedestal and dark, good pixels."""
    row, changes = SMALL[request.param]
    mode = replace(row, **QUIET, **changes)
    here = pixels.window(mode)
    rate, _ = scene.render(mode, 0, 1)
    data = ramp.expose(mode, here, rate, NOTHING, None, mode.rng(0, 1))
    return mode, here, rate, linear_counts(mode, here, data.ramp), (here.dq == 0) & ~data.saturated


def linear_counts(mode, here, raw):
    """[nint, ngroup, ny, nx] counts of light, by the formulas of the references."""
    coefficients = pixels.linear_coefficients(here.curvature).astype(float)
    counts = raw - pixels.pedestal(mode).astype(float)
    counts = sum(coefficient * counts**power for power, coefficient in enumerate(coefficients))
    for group in range(mode.ngroups):
        for frame in group * (mode.nframes + mode.groupgap) + np.arange(mode.nframes):
            dark = here.dark * (frame + 1) * mode.tframe + ramp.settling(mode, 0, frame) * ramp.settling_pattern(mode)
            counts[:, group] -= dark / mode.nframes
    return counts


def read_times(mode):
    """Mean time of the reads of a group since reset, and its tau (Brandt 2024, eq. 11), of every group."""
    first = np.arange(mode.ngroups)[:, None] * (mode.nframes + mode.groupgap)
    times = (first + 1 + np.arange(mode.nframes)) * mode.tframe
    weights = 2 * mode.nframes - 1 - 2 * np.arange(mode.nframes)
    return times.mean(axis=1), times @ weights / mode.nframes**2


def test_slopes_are_those_of_the_truth(quiet):
    mode, here, rate, counts, good = quiet
    slope = (counts[:, -1] - counts[:, 0]).mean(axis=0) / ((mode.ngroups - 1) * mode.tgroup)
    electrons = rate * here.gain * (mode.ngroups - 1) * mode.tgroup
    variance = (electrons / here.gain**2 + 2 * here.readnoise**2 / mode.nframes) / mode.nints
    z = ((slope - rate) * (mode.ngroups - 1) * mode.tgroup / np.sqrt(variance))[good]
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert z.std() == pytest.approx(
        1, abs=5 / np.sqrt(2 * z.size) + 0.03
    )  # linearity stretches the noise of bright pixels


def test_noise_is_that_of_frames_averaged_in_groups(quiet):
    """Variance and covariance of neighbouring differences, from the read times."""
    mode, here, rate, counts, good = quiet
    good = good & (rate < 0.02 * here.well / (mode.frames * mode.tframe))  # where linearity stretches by less than 1 %
    mean, tau = read_times(mode)
    excess = np.diff(counts, axis=1) - rate * mode.tgroup
    photons, read = (rate + here.dark) / here.gain, here.readnoise.astype(float) ** 2 / mode.nframes
    for group in range(mode.ngroups - 2):
        here_too = excess[:, group], excess[:, group + 1]
        variance = photons * (tau[group + 1] + tau[group] - 2 * mean[group]) + 2 * read + 1 / 6
        covariance = photons * (mean[group + 1] - tau[group + 1]) - read - 1 / 12
        # A mean of n squares of a Gaussian is known to sqrt(2 / n), one of products to no more of the variance.
        error = 5 * np.sqrt(2 / (good.sum() * mode.nints)) + 0.01
        assert (here_too[0] ** 2).mean(axis=0)[good].mean() == pytest.approx(variance[good].mean(), rel=error)
        assert (here_too[0] * here_too[1]).mean(axis=0)[good].mean() == pytest.approx(
            covariance[good].mean(), abs=error * variance[good].mean()
        )


def test_arrivals_are_poisson():
    mode = replace(load("nircam-sub"), start=(501, 501), size=(203, 307))
    for mean in (0.4, 11.0, 13.0, 400.0):
        block = next(ramp._blocks(mode, _flat(mode, mean), np.zeros(mode.shape, np.float32), None, mode.rng(1, 1)))
        number = block.arrivals(1)
        size = number.size
        assert number.min() >= 0
        np.testing.assert_array_equal(number, np.rint(number))
        assert number.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / size))
        assert number.var() == pytest.approx(mean, rel=5 * np.sqrt((2 + 1 / mean) / size))
        skew = ((number - mean) ** 3).mean() / mean**1.5
        assert skew == pytest.approx(mean**-0.5, abs=5 * np.sqrt((15 + 25 / mean) / size))


def _flat(mode, electrons):
    """Pixels all alike whose dark alone gives that many electrons in a frame."""
    ones = np.ones(mode.shape, np.float32)
    dark = ones * np.float32(electrons / mode.tframe)
    return pixels.Pixels(ones, ones, ones * 0, ones * 1e6, dark, np.zeros(mode.shape, np.uint32))


def test_events_are_in_the_ramp(uncal, truth, mode_name):
    """Every large hit is a step of its size, in its group, and at its pixel."""
    mode = load(mode_name)
    here = pixels.window(mode)
    table = fits.getdata(truth, "JUMPS")
    flags = fits.getdata(truth, "DQ")
    assert ((table["y"] < mode.shape[0]) & (table["x"] < mode.shape[1])).all()
    assert (flags[table["y"], table["x"]] & dq.JUMP_DET != 0).all()
    assert not here.has(dq.REFERENCE_PIXEL | dq.DEAD)[table["y"], table["x"]].any()
    if mode.detector.miri:
        return
    counts = linear_counts(mode, here, fits.getdata(uncal, "SCI"))
    rate = fits.getdata(truth, "RATE")
    sigma = np.sqrt(rate * mode.tgroup / here.gain + 2 * here.readnoise**2)
    first = table["group"] + table["frame"] > 0
    seen = table[first & (flags[table["y"], table["x"]] & dq.SATURATED == 0)]
    assert len(seen) > 20
    where = seen["integration"], seen["group"], seen["y"], seen["x"]
    before = seen["integration"], seen["group"] - 1, seen["y"], seen["x"]
    pixel = where[2:]
    excess = counts[where] - counts[before] - rate[pixel] * mode.tgroup - seen["amplitude"]
    _, same = np.unique(np.stack(where), axis=1, return_inverse=True)
    alone = np.bincount(same)[same] == 1
    quiet = alone & ~here.has(dq.TELEGRAPH | dq.BAD_REF_PIXEL | dq.NO_LIN_CORR)[pixel]
    drift = 5 * mode.drift  # amplifiers walk from group to group
    assert (np.abs(excess[quiet]) < 6 * sigma[pixel][quiet] + drift + 0.02 * seen["amplitude"][quiet]).all()


def test_snowballs_and_showers_have_their_shape():
    for name, kind in (("nirspec-full", b"SNOWBALL"), ("miri", b"SHOWER")):
        mode = load(name)
        here = pixels.window(mode)
        deposits, table = events.draw(mode, here, mode.rng(0, 1))
        large = table[table["radius"] > 0]
        assert len(large) > 0
        assert (large["kind"] == kind.decode() if large["kind"].dtype.kind == "U" else large["kind"] == kind).all()
        event = large[np.argmax(large["radius"])]
        when = event["integration"] * mode.ngroups * mode.nframes + event["group"] * mode.nframes + event["frame"]
        y, x, electrons = deposits.at(int(when), slice(0, mode.shape[0]))
        distance = np.hypot(y - event["y"], x - event["x"])
        inside = distance <= event["radius"]
        area = np.pi * event["radius"] ** 2
        assert 0.2 * area < inside.sum() < 1.2 * area  # less where it meets the edge
        core = electrons[distance < 1.5]
        if kind == b"SNOWBALL":
            assert core.min() > mode.detector.well * mode.detector.gain
        else:
            assert electrons[inside].mean() < 3 * mode.detector.readnoise * mode.detector.gain


@pytest.mark.parametrize("name", ["nircam", "niriss", "nirspec-full", "fgs"])
def test_amplifiers_follow_the_detector(name):
    """In the detector's frame each quarter of the columns has two offsets, of even and of odd columns."""
    mode = replace(load(name), row_noise=0.0)
    offset = electronics.Readout(mode, mode.rng(0, 1)).offset(0, 1, slice(0, 2048))
    field = to_detector(np.broadcast_to(offset, mode.shape), mode.detector)
    assert (np.ptp(field, axis=0) == 0).all()
    pairs = field[0].reshape(4, 256, 2)
    assert (np.ptp(pairs, axis=1) == 0).all()
    assert len(np.unique(pairs)) == 8


@pytest.mark.parametrize("name", ["nircam", "niriss", "nirspec-bots", "nircam-sub"])
def test_one_over_f_noise_follows_the_rows(name):
    mode = replace(load(name), drift=0.0, nints=1)
    offset = electronics.Readout(mode, mode.rng(0, 1)).offset(0, 1, slice(0, mode.shape[0]))
    field = to_detector(np.broadcast_to(offset, mode.shape), mode.detector)
    width = field.shape[1] // mode.noutputs
    for amplifier in range(mode.noutputs):
        assert (np.ptp(field[:, amplifier * width : (amplifier + 1) * width], axis=1) == 0).all()
    assert np.corrcoef(field[1:, 0], field[:-1, 0])[0, 1] > 0.3  # rows near in time are alike
    assert field.std() == pytest.approx(mode.row_noise, rel=0.6)  # mostly of its longest waves: few in a window


def to_detector(image, detector):
    """Science frame to detector frame, by the rule of the FASTAXIS and SLOWAXIS keywords."""
    if abs(detector.fast_axis) == 1:
        return image[:: np.sign(detector.slow_axis), :: np.sign(detector.fast_axis)]
    return image[:: np.sign(detector.fast_axis), :: np.sign(detector.slow_axis)].T


def test_miri_outputs_are_interleaved():
    mode = load("miri-sub")
    offset = electronics.Readout(mode, mode.rng(0, 1)).offset(0, 1, slice(0, mode.shape[0]))
    for row in range(2):
        for column in range(4):
            assert np.ptp(offset[row::2, column::4]) == 0
    assert len(np.unique(offset)) == 8


def test_windows_are_cut_from_one_detector():
    mode = load("niriss-sub80")
    full, here = pixels.build(mode.detector), pixels.window(mode)
    for name in ("gain", "readnoise", "curvature", "well", "dark", "dq"):
        np.testing.assert_array_equal(getattr(here, name), getattr(full, name)[mode.cut])


def test_full_well_is_never_passed():
    """A star that saturates stays at its level, and raw counts never run over."""
    mode = replace(load("niriss-sub80"), target=2e8, nints=1, **QUIET)
    here = pixels.window(mode)
    rate, stars = scene.render(mode, 0, 1)
    data = ramp.expose(mode, here, rate, NOTHING, None, mode.rng(0, 1))
    y, x = round(float(stars["y"][0])), round(float(stars["x"][0]))
    assert data.saturated[y, x]
    level = pixels.saturation_level(mode.detector, here)[y, x]
    core = data.ramp[0, :, y, x].astype(int)
    assert (core > level).all()
    assert np.ptp(core) < 12 * here.readnoise[y, x]
