"""The linearity step: pixels without a polynomial, the zero frame, when reads are corrected, blocks of any size."""

import numpy as np
import pytest

from gpujw.cpu_fallback.reference import linearity as kernel
from gpujw.dq import HOT, NO_LIN_CORR, SATURATED
from gpujw.errors import ReferenceError
from gpujw.steps.linearity import Linearity

from .fakes import FakeReference, in_blocks, meta_of, on_device, ramp_of

NY, NX = 37, 53
#: Pixels (y, x) by what is wrong with their polynomials; there is nothing wrong with GOOD.
FLAGGED, HOLE, FLAT, NO_INVERSE, GOOD = (1, 2), (3, 4), (5, 6), (7, 8), (9, 10)


@pytest.fixture
def reference():
    rng = np.random.default_rng(0)
    sizes = np.array([3, 0.01, 1e-7, 1e-12, 1e-17])[:, None, None]
    coeffs = rng.normal(0, 1, (5, NY, NX)) * sizes
    inverse = rng.normal(0, 1, (4, NY, NX)) * sizes[:4]
    coeffs[1] += 1
    inverse[1] += 1
    flags = np.zeros((NY, NX), np.uint32)
    flags[FLAGGED] = NO_LIN_CORR | HOT
    coeffs[(2, *HOLE)] = np.nan
    coeffs[(1, *FLAT)] = 0
    inverse[(0, *NO_INVERSE)] = np.nan
    return FakeReference({"COEFFS": coeffs, "INV_COEFFS": inverse}, dq=flags, path="jwst_nircam_linearity_0001.fits")


def prepared(reference, **cards):
    meta = meta_of(**cards)
    return meta, Linearity().prepare({"linearity": reference}, meta)


def scene():
    rng = np.random.default_rng(1)
    data = np.cumsum(rng.uniform(1000, 9000, (2, 6, NY, NX)), axis=1).astype(np.float32)
    groupdq = np.where(data > 30000, SATURATED, 0).astype(np.uint8)
    frame = rng.normal(2000, 200, (2, NY, NX)).astype(np.float32)
    frame[1, ::3] = 0
    return data, groupdq, frame


def test_pixels_without_a_polynomial_pass_and_are_flagged(put, get, stays_on_device, reference):
    meta, tables = prepared(reference)
    data, groupdq, _ = scene()
    ramp = ramp_of(data, meta, put, groupdq=groupdq)
    tables = on_device(tables, put)
    with stays_on_device():
        out = Linearity()(ramp, tables)
    flags, counts = get(out.pixeldq), get(out.data)
    for pixel in (FLAGGED, HOLE, FLAT):
        np.testing.assert_array_equal(counts[:, :, *pixel], data[:, :, *pixel])
        assert flags[pixel] & NO_LIN_CORR
    assert flags[FLAGGED] == NO_LIN_CORR | HOT
    assert np.count_nonzero(flags) == 3
    assert (counts[:, 0, *GOOD] != data[:, 0, *GOOD]).all()
    saturated = (groupdq & SATURATED) != 0
    np.testing.assert_array_equal(counts[saturated], data[saturated])


def test_zero_frame(put, get, reference):
    # Read by read where groups were averaged or not, the zero frame is one read.
    for cards in ({}, {"NFRAMES": 4}):
        meta, tables = prepared(reference, **cards)
        data, groupdq, frame = scene()
        out = Linearity()(ramp_of(data, meta, put, groupdq=groupdq, zeroframe=frame), on_device(tables, put))
        expected = frame[:, None].copy()
        kernel.linearize_inplace(expected, np.zeros(expected.shape, np.uint8), tables["coeffs"])
        np.testing.assert_array_equal(get(out.zeroframe), np.where(frame == 0, 0, expected[:, 0]))


@pytest.mark.parametrize(
    ("nframes", "inverse", "by_reads"), [(1, True, False), (4, False, False), (4, True, True), (None, True, False)]
)
def test_when_reads_are_corrected(put, get, reference, nframes, inverse, by_reads):
    if not inverse:
        del reference.arrays["INV_COEFFS"]
    meta, tables = prepared(reference, NFRAMES=nframes)
    assert ("inverse" in tables) == by_reads
    # The flag of a pixel that lacks only the way back is set when that is used.
    assert bool(tables["dq"][NO_INVERSE]) == by_reads
    data, groupdq, _ = scene()
    out = Linearity()(ramp_of(data, meta, put, groupdq=groupdq), on_device(tables, put))
    if by_reads:
        kernel.linearize_reads_inplace(data, groupdq, tables["coeffs"], tables["inverse"], nframe=nframes)
    else:
        kernel.linearize_inplace(data, groupdq, tables["coeffs"])
    np.testing.assert_array_equal(get(out.data), data)


@pytest.mark.parametrize("nframes", [1, 4])
def test_blocks_of_any_size_give_the_same(reference, nframes):
    meta, tables = prepared(reference, NFRAMES=nframes)
    data, groupdq, frame = scene()
    arrays = {"groupdq": groupdq, "zeroframe": frame}
    whole = Linearity()(ramp_of(data, meta, **arrays), tables)
    for size in (1, 5, 36):
        blocks = in_blocks(Linearity(), ramp_of(data, meta, **arrays), tables, size)
        for name in ("data", "groupdq", "pixeldq", "zeroframe"):
            np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))


def test_tables_are_ready_for_the_kernel(reference):
    _, tables = prepared(reference, NFRAMES=2)
    assert tables["coeffs"].shape == (NY, 5, NX) and tables["inverse"].shape == (NY, 4, NX)
    for name in ("coeffs", "inverse"):
        assert tables[name].dtype == np.float32 and tables[name].flags.c_contiguous


@pytest.mark.parametrize("shape", [(1, NY, NX), (NY, NX)])
def test_a_reference_that_is_no_polynomial(shape):
    reference = FakeReference({"COEFFS": np.ones(shape)}, dq=np.zeros((NY, NX)), path="jwst_miri_linearity_0001.fits")
    with pytest.raises(ReferenceError, match=r"jwst_miri_linearity_0001.fits, extension COEFFS: its shape is"):
        prepared(reference)


def test_names():
    assert (Linearity().name, Linearity().status, Linearity.references) == ("linearity", "S_LINEAR", ("linearity",))
