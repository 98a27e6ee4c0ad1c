from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpujw import dq
from gpujw.errors import InputError, StepError, UsageError
from gpujw.exposure import Meta, Ramp
from gpujw.step import Tables
from gpujw.steps.refpix import RefPix

# One rounding to float32 of counts below 2048.
ROUNDING = np.spacing(np.float32(2047))
CORNER = (1996, 1, 53, 37)  # SUBSTRT1, SUBSTRT2, SUBSIZE1, SUBSIZE2: bottom right of a near-infrared detector


def keywords(where=CORNER, **others):
    names = ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")
    cards = {
        "INSTRUME": "NIRCAM",
        "SUBARRAY": "SUBMADE",
        "FASTAXIS": 1,
        "SLOWAXIS": 2,
        "NOUTPUTS": 4,
        "READPATT": "RAPID",
    }
    return Meta(Path("made_uncal.fits"), cards | dict(zip(names, where, strict=True)) | others)


def border(meta, wide=2048, high=2048):
    """PIXELDQ with the reference pixels that lie in the exposure."""
    y = meta["SUBSTRT2"] - 1 + np.arange(meta["SUBSIZE2"])[:, None]
    x = meta["SUBSTRT1"] - 1 + np.arange(meta["SUBSIZE1"])[None]
    edge = (x < 4) | (x >= wide - 4) | (y < 4) | (y >= high - 4)
    return np.where(edge, dq.REFERENCE_PIXEL, 0).astype(np.uint32)


@pytest.fixture
def correct(put, get):
    """Counts, and zero frames if given, after the step; ``height`` cuts blocks of so many rows."""

    def run(counts, pixeldq, meta, zeroframe=None, height=1000, **parameters):
        ny, nx = pixeldq.shape
        step = RefPix(**parameters)

        def part(rows, columns):
            data = put(counts[..., rows, columns])
            frames = None if zeroframe is None else put(zeroframe[..., rows, columns])
            groupdq = put(np.zeros(data.shape, np.uint8))
            return Ramp(data, groupdq, put(pixeldq[rows, columns]), meta, rows, slice(None), zeroframe=frames)

        every = slice(0, ny), slice(None)
        edges = {"bottom": part(slice(0, 4), every[1]), "top": part(slice(max(0, ny - 4), ny), every[1])}
        edges |= {"left": part(every[0], slice(0, 4)), "right": part(every[0], slice(max(0, nx - 4), nx))}
        tables = step.measure(edges, Tables())
        blocks = [step(part(slice(y, min(y + height, ny)), every[1]), tables) for y in range(0, ny, height)]
        data = np.concatenate([get(block.data) for block in blocks], axis=2)
        if zeroframe is None:
            return data
        return data, np.concatenate([get(block.zeroframe) for block in blocks], axis=1)

    return run


def scene(rng, shape, meta):
    """Sky on the science pixels only, and drifts: by column parity of an amplifier, and linear along the rows."""
    sky = np.where(border(meta) == 0, rng.uniform(0, 900, shape[2:]), 0)
    levels = rng.normal(0, 60, (*shape[:2], 1, 2))[..., np.arange(shape[3]) % 2]
    slopes = rng.normal(0, 1, (*shape[:2], 1, 1)) * np.arange(shape[2])[:, None]
    return sky, (sky + levels + slopes).astype(np.float32)


def test_drifts_of_columns_and_rows_go(correct):
    meta = keywords()
    sky, counts = scene(np.random.default_rng(0), (2, 3, 37, 53), meta)
    after = correct(counts, border(meta), meta)
    # A median of rows is their middle one where the window is whole: not at the mirrored start, nor at the open end.
    np.testing.assert_allclose(
        after[:, :, 5:-5], np.broadcast_to(sky[5:-5], after[:, :, 5:-5].shape), atol=2 * ROUNDING
    )
    # Halves of the drift remain where half of the correction is asked for.
    half = correct(counts, border(meta), meta, side_gain=0.5)
    assert np.abs(half - sky)[:, :, 5:-5].max() > 1
    # Without the side pixels what is left is the slope of the rows about their first four.
    slope = correct(counts, border(meta), meta, use_side_ref_pixels=False) - sky
    np.testing.assert_allclose(slope[..., 0], slope[..., -1], atol=2 * ROUNDING)
    np.testing.assert_allclose(slope[:, :, :4].mean(axis=2), 0, atol=2 * ROUNDING)


def test_axes_may_be_swapped_and_mirrored(correct):
    meta = keywords()
    _, counts = scene(np.random.default_rng(1), (1, 2, 37, 53), meta)
    pixeldq = border(meta)
    pixeldq[1, ::5] |= dq.DO_NOT_USE
    expected = correct(counts, pixeldq, meta)
    swapped = keywords((1, 1996, 37, 53), FASTAXIS=-2, SLOWAXIS=-1)
    after = correct(counts.swapaxes(-2, -1), pixeldq.T, swapped)
    np.testing.assert_allclose(after.swapaxes(-2, -1), expected, atol=ROUNDING)
    mirrored = keywords((1, 2012, 53, 37), FASTAXIS=-1, SLOWAXIS=-2)
    after = correct(counts[..., ::-1, ::-1], pixeldq[::-1, ::-1], mirrored)
    np.testing.assert_allclose(after[..., ::-1, ::-1], expected, atol=ROUNDING)


@pytest.mark.parametrize("instrument", ["NIRCAM", "MIRI"])
def test_blocks_give_the_same_bits(correct, instrument):
    meta = keywords(INSTRUME=instrument)
    rng = np.random.default_rng(2)
    _, counts = scene(rng, (2, 3, 37, 53), meta)
    frames = rng.normal(500, 5, (2, 37, 53)).astype(np.float32)
    frames[rng.random(frames.shape) < 0.2] = 0
    whole = correct(counts, border(meta), meta, frames)
    for height in (1, 7, 36):
        for part, all_at_once in zip(correct(counts, border(meta), meta, frames, height=height), whole, strict=True):
            np.testing.assert_array_equal(part, all_at_once)


def test_zeros_of_the_zero_frame_stay(correct):
    meta = keywords()
    rng = np.random.default_rng(3)
    _, counts = scene(rng, (2, 3, 37, 53), meta)
    frames = counts[:, 0].copy()
    saturated = rng.random(frames.shape) < 0.2
    saturated &= border(meta) == 0
    frames[saturated] = 0
    data, corrected = correct(counts, border(meta), meta, frames)
    np.testing.assert_array_equal(corrected[saturated], 0)
    # Frames with the reference pixels of the first group are corrected as it is.
    np.testing.assert_array_equal(corrected[~saturated], data[:, 0][~saturated])


def test_amplifiers_without_good_pixels_are_left(correct):
    meta = keywords((1500, 1, 53, 37))  # the last 37 columns belong to the next amplifier
    counts = np.full((1, 2, 37, 53), 100, np.float32)
    pixeldq = border(meta)
    pixeldq[:4, 1:36:2] |= dq.DO_NOT_USE
    expected = np.where(np.arange(53) < 37, 100, 0)
    np.testing.assert_array_equal(correct(counts, pixeldq, meta), np.broadcast_to(expected, counts.shape))
    # One parity of the amplifier is good: enough where they are not told apart.
    np.testing.assert_array_equal(correct(counts, pixeldq, meta, odd_even_columns=False), 0)
    pixeldq |= dq.DO_NOT_USE
    np.testing.assert_array_equal(correct(counts, pixeldq, meta), counts)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_of_reference_pixels_do_not_spread(correct, bad):
    meta = keywords()
    counts = np.full((1, 2, 37, 53), 100, np.float32)
    counts[0, 1, 2, 7] = counts[0, 1, 20, -2] = bad
    after = correct(counts, border(meta), meta)
    np.testing.assert_array_equal(after[np.isfinite(counts)], 0)


def test_even_smoothing_lengths_are_made_odd(correct):
    meta = keywords()
    counts = np.random.default_rng(4).normal(0, 9, (1, 1, 37, 53)).astype(np.float32)
    even, odd, other = (correct(counts, border(meta), meta, side_smoothing_length=n) for n in (4, 5, 3))
    np.testing.assert_array_equal(even, odd)
    assert (even != other).any()


@pytest.mark.parametrize("where", [(1, 1, 53, 37), (2043, 101, 6, 37), (2046, 5, 3, 6), (1, 2044, 7, 5), (1, 1, 5, 3)])
@pytest.mark.parametrize("odd_even_columns", [True, False])
def test_single_output_counts_each_reference_pixel_once(correct, where, odd_even_columns):
    meta = keywords(where, NOUTPUTS=1)
    rng = np.random.default_rng(5)
    counts = rng.normal(100, 30, (1, 2, where[3], where[2])).astype(np.float32)
    pixeldq = border(meta)
    pixeldq[0, 0] |= dq.DO_NOT_USE
    after = correct(counts, pixeldq, meta, odd_even_columns=odd_even_columns, siglimit=1e9)
    used = pixeldq == dq.REFERENCE_PIXEL
    parity = np.arange(where[2]) % 2 if odd_even_columns else np.zeros(where[2])
    for g in range(2):
        for p in np.unique(parity):
            level = counts[0, g][used & (parity == p)].astype(np.float64).mean()
            np.testing.assert_allclose(after[0, g][:, parity == p], counts[0, g][:, parity == p] - level, atol=ROUNDING)


def test_single_output_without_reference_pixels_is_left(correct):
    meta = keywords((500, 1000, 53, 37), NOUTPUTS=1, FASTAXIS=2, SLOWAXIS=1)
    counts = np.random.default_rng(6).normal(100, 30, (1, 2, 37, 53)).astype(np.float32)
    np.testing.assert_array_equal(correct(counts, border(meta), meta), counts)
    # In some NIRSpec subarrays the outermost columns serve.
    named = Meta(meta.path, {**meta.cards, "SUBARRAY": "SUB512"})
    counts[..., 4:-4] += 1000
    after = correct(counts, border(meta), named, odd_even_columns=False, siglimit=1e9)
    level = np.concatenate([counts[..., :4], counts[..., -4:]], axis=-1).astype(np.float64).mean(axis=(2, 3))
    np.testing.assert_allclose(after, counts - level[:, :, None, None], atol=ROUNDING)


def miri(rng):
    """Four outputs in turn along x, each with its drift, by parity of the row, since the first group."""
    meta = keywords((1, 1, 53, 37), INSTRUME="MIRI", SUBARRAY="FULL")
    signal = rng.uniform(0, 900, (1, 1, 37, 53))
    drift = rng.normal(0, 20, (2, 3, 2, 4))
    drift[:, 0] = 0
    y, x = np.indices((37, 53))
    return meta, signal, drift[:, :, y % 2, x % 4]


def test_miri_outputs(correct):
    meta, signal, drift = miri(np.random.default_rng(7))
    counts = (signal + drift).astype(np.float32)
    after = correct(counts, np.zeros((37, 53), np.uint32), meta)
    # Counts, and the differences that are averaged, are rounded before.
    np.testing.assert_allclose(after, np.broadcast_to(signal, after.shape), atol=4 * ROUNDING)
    np.testing.assert_array_equal(after[:, 0], counts[:, 0])
    mixed = correct(counts, np.zeros((37, 53), np.uint32), meta, odd_even_rows=False)
    assert np.abs(mixed - signal).max() > 1


@pytest.mark.parametrize("odd_even_rows", [True, False])
def test_miri_is_left_where_an_output_has_no_good_pixel(correct, odd_even_rows):
    meta, signal, drift = miri(np.random.default_rng(8))
    counts = (signal + drift).astype(np.float32)
    pixeldq = np.zeros((37, 53), np.uint32)
    pixeldq[:, -2] = dq.DO_NOT_USE
    np.testing.assert_array_equal(correct(counts, pixeldq, meta, odd_even_rows=odd_even_rows), counts)
    pixeldq[4] = 0  # one good pixel, in an even row
    after = correct(counts, pixeldq, meta, odd_even_rows=odd_even_rows)
    assert np.array_equal(after, counts) == odd_even_rows


def test_levels_stay_on_the_device(put, stays_on_device):
    meta = keywords()
    pixeldq = border(meta)
    rows = slice(0, 37)
    cuts = {"bottom": np.s_[:4], "top": np.s_[-4:], "left": np.s_[:, :4], "right": np.s_[:, -4:], "all": np.s_[:]}
    blocks = {}
    for name, cut in cuts.items():
        dqs = pixeldq[cut]
        data = put(np.ones((1, 2, *dqs.shape), np.float32))
        frames = put(np.ones((1, *dqs.shape), np.float32))
        blocks[name] = Ramp(data, put(np.zeros(data.shape, np.uint8)), put(dqs), meta, rows, rows, zeroframe=frames)
    ramp, step = blocks.pop("all"), RefPix()
    with stays_on_device():
        step(ramp, step.measure(blocks, Tables()))
    one_output = Meta(meta.path, {**meta.cards, "NOUTPUTS": 1})
    with stays_on_device():
        step.measure({name: replace(block, meta=one_output) for name, block in blocks.items()}, Tables())


def test_what_takes_the_step():
    step = RefPix()
    assert step.name == "refpix"
    assert step.inapplicable(keywords()) is None
    assert step.inapplicable(keywords((1, 1, 1032, 1024), INSTRUME="MIRI")) is None
    assert step.inapplicable(keywords((1, 1, 72, 1024), INSTRUME="MIRI")) == "MIRI subarray"
    assert "beyond" in step.inapplicable(keywords((2000, 1, 53, 37)))
    assert "beyond" in step.inapplicable(keywords((0, 1, 53, 37)))
    with pytest.raises(InputError, match="SUBSIZE1"):
        step.inapplicable(Meta(Path("made_uncal.fits"), {}))


@pytest.mark.parametrize(
    ("parameters", "others", "named"),
    [
        ({}, {"NAXIS2": 3200, "NRS_NORM": 8, "INSTRUME": "NIRSPEC"}, "3200, 8, 4"),
        ({"refpix_algorithm": "sirs"}, {"SUBARRAY": "FULL"}, "sirs"),
    ],
)
def test_what_is_not_supported_is_an_error(parameters, others, named):
    with pytest.raises(StepError, match=named) as caught:
        RefPix(**parameters).inapplicable(keywords(**others))
    assert "made_uncal.fits" in str(caught.value)
    assert caught.value.code == 30


def test_sirs_is_for_near_infrared_full_frames_only():
    step = RefPix(refpix_algorithm="sirs")
    assert step.inapplicable(keywords()) is None
    assert step.inapplicable(keywords((1, 1, 1032, 1024), INSTRUME="MIRI", SUBARRAY="FULL")) is None


@pytest.mark.parametrize(
    "wrong", [{"refpix_algorithm": "mean"}, {"side_smoothing_length": 0}, {"side_smoothing_length": 4096}]
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        RefPix(**wrong)
