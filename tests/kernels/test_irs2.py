"""IRS2 frames in the order of time: the readout told sample by sample, gaps, and the twins against the reference."""

import numpy as np
import pytest

from gpujw import irs2
from gpujw.cpu_fallback.reference import irs2 as reference

NROW, NX, RADIX, STEPS = 300, 37, 37, 2  # three turns a line of each output: 74 ticks
NTICK = RADIX * STEPS
WINDOW = np.sin(np.arange(1, 8, dtype=np.float32) / 8 * np.float32(np.pi))


@pytest.fixture
def kernel(be):
    return be.kernel("irs2")


def told():
    """(sample, tick, where the sample goes) of a line, as the detector reads it: the oracle of all that is laid out."""
    tick, found = 0, []
    for sample in range(NROW // 5):
        inside = (sample - 8) % 20
        if sample >= 8 and inside in (0, 4):
            tick += 1  # out to the references, and back
        found.append((sample, tick, inside if sample >= 8 and inside < 4 else None))
        tick += 1
    assert tick + 8 == NTICK
    return found


def plain(reverse=False):
    """Sources and targets of a frame without a bad sample."""
    pixels = irs2.is_pixel(NROW, reverse=reverse)
    target = np.where(pixels, np.cumsum(pixels) - 1, -1).astype(np.int32)
    return np.repeat(np.arange(NROW, dtype=np.int32)[:, None], 2, axis=1), target


def awkward(seed, ngroup=3):
    """Counts with samples that equal their mean, bad samples with one source, two and none."""
    rng = np.random.default_rng(seed)
    data = rng.normal(1000, 30, (ngroup, NROW, NX)).astype(np.float32)
    data[:, 3, ::5], data[:, 71, 9] = 1234, 0
    sources, _ = plain()
    sources[8], sources[70], sources[150], sources[211] = (28, 48), (50, 50), (-1, -1), (191, 231)
    lines = np.stack([rng.normal(0, 20, (ngroup, 5)), rng.normal(0, 1e-2, (ngroup, 5))], axis=-1).astype(np.float32)
    return data, sources, lines


@pytest.mark.parametrize("reverse", [False, True])
def test_samples_go_where_they_were_read(kernel, put, get, reverse):
    """Every sample holds its own number, output by output, line by line and in the order of reading."""
    number = np.arange(1, 5 * NX * 60 + 1, dtype=np.float32).reshape(5, NX, 60)
    frame = number.copy()
    frame[::2] = frame[::2, :, ::-1]  # the reference output, and every other amplifier, are read backwards
    frame = frame.swapaxes(1, 2).reshape(NROW, NX)
    frame = frame[::-1, ::-1] if reverse else frame
    expected = np.zeros((5, NX, NTICK), np.float32)
    for sample, tick, read in told():
        expected[0, :, tick] = number[0, :, sample]
        if read is not None:
            # Reads 0 and 2, twice in turn, then 1 and 3: the block of 8 begins two ticks before the first of them.
            for place in np.flatnonzero(np.array([0, 2, 0, 2, 1, 3, 1, 3]) == read):
                expected[1:, :, tick - read - 2 + place] = number[1:, :, sample]
    series = put(np.zeros((5, RADIX, NX, STEPS), np.float32))
    still, means = np.zeros((5, 2), np.float32), np.zeros((NROW, NX))
    arrays = [put(a) for a in (frame, means, plain()[0], still)]
    kernel.lay_out_inplace(*arrays, series, reverse=reverse)
    laid = get(series).transpose(0, 2, 3, 1).reshape(5, NX, NTICK)
    np.testing.assert_array_equal(laid, expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_line_in_time_is_taken_off(kernel, put, get, reverse):
    """A ramp in time is laid out as nothing, and pixels come back as their means."""
    ticks = (np.arange(NX)[:, None] * NTICK + irs2.tick_of(NROW) - (NX * NTICK - 1) / 2).T
    ramp = np.empty((NROW, NX))
    ramp[irs2.rows_in_time(NROW, reverse=reverse)] = 5 + 0.25 * (ticks[:, ::-1] if reverse else ticks)
    means = np.random.default_rng(0).integers(0, 999, (NROW, NX)).astype(float)
    sources, target = plain(reverse)
    lines = np.tile(np.array([5, 0.25], np.float32), (5, 1))
    arrays = [put(a) for a in ((ramp + means).astype(np.float32), means, sources, lines)]
    series, out = put(np.zeros((5, RADIX, NX, STEPS), np.float32)), put(np.zeros((192, NX), np.float32))
    kernel.lay_out_inplace(*arrays, series, reverse=reverse)
    assert np.abs(get(series)).max() < 1e-3
    kernel.subtract(*arrays, put(np.zeros(series.shape, np.float32)), put(target), out, reverse=reverse)
    np.testing.assert_allclose(get(out), means[target >= 0], atol=1e-3)


def test_gaps_are_weighted_means(kernel, put, get):
    series = np.full((37, 22), 3.0, np.float32)
    series[5:9], series[:, 21] = 0, 0
    filled = get(kernel.fill_gaps(put(series), put(WINDOW)))
    np.testing.assert_allclose(filled[series == 0][[0, -1]], 3, rtol=1e-6)
    np.testing.assert_array_equal(filled[series != 0], 3)
    assert not get(kernel.fill_gaps(put(np.zeros((37, 22), np.float32)), put(WINDOW))).any()
    ends = np.zeros((7, 3), np.float32)
    ends[6, 2] = 8  # the last sample; the first is beside it
    filled = get(kernel.fill_gaps(put(ends), put(WINDOW))).T.ravel()
    np.testing.assert_array_equal(np.flatnonzero(filled), [0, 1, 2, 17, 18, 19, 20])


def test_means_equal_the_reference(kernel, put, get):
    data, sources, _ = awkward(1)
    means = get(kernel.sample_means(put(data), put(sources)))
    np.testing.assert_array_equal(means, reference.sample_means(data, sources))
    assert means[8, 0] == ((data[:, 28, 0] + data[:, 48, 0]) / np.float32(2)).mean(dtype=float)
    assert not means[150].any()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("preserve", [False, True])
def test_equals_the_reference(kernel, put, get, reverse, preserve):
    """In bits: the same float32 and float64 operations everywhere."""
    data, sources, lines = awkward(2)
    means = reference.sample_means(data, sources)
    target = np.arange(NROW, dtype=np.int32) if preserve else plain(reverse)[1]
    correction = np.random.default_rng(3).normal(0, 5, (5, RADIX, NX, STEPS)).astype(np.float32)
    for frame, line in zip(data, lines, strict=True):
        expected = np.zeros(correction.shape, np.float32), np.zeros((target.max() + 1, NX), np.float32)
        reference.lay_out_inplace(frame, means, sources, line, expected[0], reverse=reverse)
        reference.subtract(frame, means, sources, line, correction, target, expected[1], reverse=reverse)
        arrays = [put(a) for a in (frame, means, sources, line)]
        series, out = put(np.zeros(correction.shape, np.float32)), put(np.full(expected[1].shape, 7, np.float32))
        kernel.lay_out_inplace(*arrays, series, reverse=reverse)
        kernel.subtract(*arrays, put(correction), put(target), out, reverse=reverse)
        np.testing.assert_array_equal(get(series), expected[0])
        np.testing.assert_array_equal(get(out), expected[1])
    gaps = expected[0][0].reshape(RADIX, -1)
    filled = get(kernel.fill_gaps(put(gaps), put(WINDOW)))
    np.testing.assert_allclose(filled, reference.fill_gaps(gaps, WINDOW), rtol=1e-5, atol=1e-5)  # order of the sums


def test_where_pixels_lie():
    """Frames of flight: 2048 rows of pixels; ticks to the end of a line; a row of pixels is never far."""
    for reverse in (False, True):
        pixels = irs2.is_pixel(irs2.ROWS, reverse=reverse)
        assert pixels.sum() == irs2.PIXELS and pixels[640:-640].sum() == 1536
        assert pixels[:640].any() == reverse
        rows = np.flatnonzero(pixels)
        assert all(rows[n:].tolist() <= (rows[: rows.size - n] + irs2.halo(n)).tolist() for n in (1, 3, 16, 17))
    assert irs2.ticks(irs2.ROWS) == 712 and irs2.tick_of(irs2.ROWS)[-1] == 703
