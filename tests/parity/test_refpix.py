"""The reference-pixel correction against the peer's, over detectors, orientations, subarrays and bad pixels.

The peer works in float64 from an exposure's second group on, once it uses the side pixels, and rounds once; before
that, and where it does not use them, it works in float32 throughout. gpujw always works in float64 and rounds once.
"""

import types
from pathlib import Path

import numpy as np
import pytest

from gpujw import dq
from gpujw.exposure import Meta, Ramp
from gpujw.step import Tables
from gpujw.steps.refpix import RefPix

pytestmark = pytest.mark.parity
reference_pixels = pytest.importorskip("jwst.refpix.reference_pixels")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")

# INSTRUME, FASTAXIS, SLOWAXIS
DETECTORS = {
    "NRCA1": ("NIRCAM", -1, 2),
    "NRCB1": ("NIRCAM", 1, -2),
    "NIS": ("NIRISS", -2, -1),
    "NRS1": ("NIRSPEC", 2, 1),
    "NRS2": ("NIRSPEC", -2, -1),
    "GUIDER1": ("FGS", -2, -1),
    "GUIDER2": ("FGS", 2, -1),
    "MIRIMAGE": ("MIRI", 1, 2),
}
# First pixel and size, x before y
FULL, MIRI = (1, 1, 2048, 2048), (1, 1, 1032, 1024)
# Where the peer works in float32: the mean of a thousand counts of 1300 is right to about two spacings of float32
# there, and the difference is rounded too.
FLOAT32 = 3 * np.spacing(np.float32(1300))


def cards(detector, where, **others):
    instrument, fast, slow = DETECTORS[detector]
    names = ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")
    found = dict(zip(names, where, strict=True), INSTRUME=instrument, DETECTOR=detector, FASTAXIS=fast, SLOWAXIS=slow)
    return found | {"SUBARRAY": "FULL", "NOUTPUTS": 4, "READPATT": "RAPID", "ZEROFRAM": False} | others


def drifting(shape, rng):
    """Counts that drift by group, column and row, with spikes for the clipping to find."""
    nint, ngroup, ny, nx = shape
    data = (
        rng.normal(1000, 8, shape) + rng.normal(0, 20, (nint, ngroup, 1, nx)) + rng.normal(0, 20, (nint, ngroup, ny, 1))
    )
    data[:, :, ::13, ::37] += 500
    return (data + 300 * np.arange(ngroup)[:, None, None]).astype(np.float32)


def flagged(card, rng):
    """Reference pixels where the detector has them, a few of them bad."""
    x0, y0, nx, ny = (card[name] for name in ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2"))
    y, x = y0 - 1 + np.arange(ny)[:, None], x0 - 1 + np.arange(nx)[None]
    miri = card["INSTRUME"] == "MIRI"
    wide = 1032 if miri else 2048
    border = (x < 4) | (x >= wide - 4) | ((y < 4) | (y >= 2044)) & (not miri)
    pixeldq = np.where(border, dq.REFERENCE_PIXEL, 0).astype(np.uint32)
    pixeldq[rng.random((ny, nx)) < 0.03] |= dq.DO_NOT_USE
    return pixeldq


def corrected_by_peer(data, pixeldq, card, zeroframe=None, **parameters):
    model = datamodels.RampModel(data=data.copy(), pixeldq=pixeldq.copy(), groupdq=np.zeros(data.shape, np.uint8))
    model.meta.instrument.name, model.meta.instrument.detector = card["INSTRUME"], card["DETECTOR"]
    for name, key in (("xstart", "SUBSTRT1"), ("ystart", "SUBSTRT2"), ("xsize", "SUBSIZE1"), ("ysize", "SUBSIZE2")):
        setattr(model.meta.subarray, name, card[key])
    model.meta.subarray.name = card["SUBARRAY"]
    model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = card["FASTAXIS"], card["SLOWAXIS"]
    model.meta.exposure.noutputs = card["NOUTPUTS"]
    model.meta.exposure.nints, model.meta.exposure.ngroups = data.shape[:2]
    if zeroframe is not None:
        model.zeroframe, model.meta.exposure.zero_frame = zeroframe.copy(), True
    step = RefPix(**parameters)
    names = ("odd_even_columns", "use_side_ref_pixels", "side_smoothing_length", "side_gain", "odd_even_rows")
    kernel = {
        "refpix_algorithm": "median",
        "sirs_kernel_model": None,
        "sigreject": 4.0,
        "gaussmooth": 1.0,
        "halfwidth": 30,
    }
    status = reference_pixels.correct_model(model, *(getattr(step, name) for name in names), kernel, step.siglimit)
    assert status == reference_pixels.REFPIX_OK
    return model.data, model.zeroframe


def corrected(data, pixeldq, card, zeroframe=None, **parameters):
    step, meta = RefPix(**parameters), Meta(Path("made_uncal.fits"), card)
    assert step.inapplicable(meta) is None
    ny, nx = pixeldq.shape

    def part(rows, columns):
        frames = None if zeroframe is None else zeroframe[:, rows, columns].copy()
        blocks = [array[..., rows, columns].copy() for array in (data, data.astype(np.uint8), pixeldq)]
        return Ramp(*blocks, meta, slice(*rows.indices(ny)[:2]), slice(None), zeroframe=frames)

    every = slice(None)
    edges = {
        **{"bottom": part(slice(0, 4), every), "top": part(slice(ny - 4, ny), every)},
        **{"left": part(every, slice(0, 4)), "right": part(every, slice(nx - 4, nx))},
    }
    ramp = step(part(every, every), step.measure(edges, Tables()))
    return ramp.data, ramp.zeroframe


def compare(card, *, nint=1, ngroup=2, spoil=None, with_zeroframe=False, **parameters):
    """Both corrections of one made exposure."""
    rng = np.random.default_rng(7)
    ny, nx = card["SUBSIZE2"], card["SUBSIZE1"]
    data, pixeldq = drifting((nint, ngroup, ny, nx), rng), flagged(card, rng)
    if spoil is not None:
        spoil(pixeldq)
    zeroframe = None
    if with_zeroframe:
        zeroframe = drifting((nint, 1, ny, nx), rng)[:, 0]
        zeroframe[rng.random(zeroframe.shape) < 0.1] = 0
        card = card | {"ZEROFRAM": True}
    theirs = corrected_by_peer(data, pixeldq, card, zeroframe, **parameters)
    ours = corrected(data, pixeldq, card, zeroframe, **parameters)
    return types.SimpleNamespace(data=data, ours=ours[0], theirs=theirs[0], our_zeros=ours[1], their_zeros=theirs[1])


def assert_same(found, *, exact):
    """Within float32 of the peer; with ``exact``, from the second group on equal but for ties in the last bit."""
    assert found.ours.dtype == found.theirs.dtype == np.float32
    np.testing.assert_allclose(found.ours, found.theirs, rtol=0, atol=FLOAT32)
    if exact:
        ours, theirs = found.ours[:, 1:], found.theirs[:, 1:]
        np.testing.assert_allclose(ours, theirs, rtol=np.finfo(np.float32).eps, atol=1e-9)
        assert np.mean(ours == theirs) > 1 - 1e-6


def moved(found):
    """How far the correction moves the counts: what a test would miss if neither did anything."""
    return np.abs(found.ours - found.data).max()


@pytest.mark.parametrize("detector", ["NRCA1", "NRCB1", "NIS", "NRS1", "NRS2", "GUIDER1", "GUIDER2"])
def test_full_frames(detector):
    found = compare(cards(detector, FULL), with_zeroframe=detector in ("NRCA1", "NRS2"))
    assert moved(found) > 1000
    assert_same(found, exact=True)
    if found.our_zeros is not None:
        np.testing.assert_allclose(found.our_zeros, found.their_zeros, rtol=np.finfo(np.float32).eps, atol=1e-9)
        np.testing.assert_array_equal(found.our_zeros == 0, found.their_zeros == 0)
        assert 0.09 < np.mean(found.our_zeros == 0) < 0.11


@pytest.mark.parametrize(
    ("parameters", "exact"),
    [
        ({"use_side_ref_pixels": False}, False),
        ({"odd_even_columns": False}, True),
        ({"odd_even_columns": False, "use_side_ref_pixels": False}, False),
        ({"side_smoothing_length": 45, "side_gain": 0.7}, True),
        ({"siglimit": 2.0}, True),
    ],
)
def test_parameters(parameters, exact):
    assert_same(compare(cards("NIS", FULL), **parameters), exact=exact)


def bad_amplifier(pixeldq):
    pixeldq[:4, 512:1024:2] |= dq.DO_NOT_USE
    pixeldq[-4:, 512:1024:2] |= dq.DO_NOT_USE
    pixeldq[:4, :512] |= dq.DO_NOT_USE


def bad_sides(pixeldq):
    pixeldq[:, :4] |= dq.DO_NOT_USE
    pixeldq[700:740, -4:] |= dq.DO_NOT_USE


def bad_border(pixeldq):
    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
        pixeldq[edge] |= dq.DO_NOT_USE


@pytest.mark.parametrize("spoil", [bad_amplifier, bad_sides, bad_border])
@pytest.mark.parametrize("detector", ["NRCA1", "NRS1"])
def test_bad_reference_pixels(detector, spoil):
    found = compare(cards(detector, FULL), spoil=spoil)
    assert_same(found, exact=True)
    assert (moved(found) > 0) == (spoil is not bad_border)


@pytest.mark.parametrize(
    ("detector", "where", "name"),
    [
        ("NRS1", (1, 1000, 2048, 32), "SUB2048"),
        ("NRS2", (500, 1000, 512, 32), "SUB512"),
        ("NRS1", (1, 900, 43, 53), "SUB512S"),
        ("NIS", (1050, 1969, 80, 80), "SUB80"),
        ("NIS", (1, 1793, 2048, 256), "SUBSTRIP256"),
        ("NRCB1", (1, 1985, 64, 64), "SUB64P"),
        ("NRCA1", (1201, 1, 400, 400), "SUB400P"),
        ("NRCA1", (701, 501, 53, 37), "SUB32TATS"),
        ("GUIDER2", (2, 3, 53, 37), "SUB128LL"),
    ],
)
@pytest.mark.parametrize("odd_even_columns", [True, False])
def test_subarrays_of_one_output(detector, where, name, odd_even_columns):
    card = cards(detector, where, SUBARRAY=name, NOUTPUTS=1)
    found = compare(card, nint=2, with_zeroframe=True, odd_even_columns=odd_even_columns)
    assert_same(found, exact=False)
    np.testing.assert_allclose(found.our_zeros, found.their_zeros, rtol=0, atol=FLOAT32)
    assert (moved(found) > 1000) == (name != "SUB32TATS")


@pytest.mark.parametrize(
    ("detector", "where"),
    [
        ("NRCA1", (1, 1, 2048, 64)),
        ("NRCB1", (3, 3, 1000, 64)),
        ("NRCA1", (1001, 2003, 1048, 46)),
        ("NIS", (1, 1025, 53, 1024)),
        ("NRCA1", (701, 501, 53, 37)),
    ],
)
def test_subarrays_of_four_outputs(detector, where):
    assert_same(compare(cards(detector, where, SUBARRAY="SUBGRISM64", NOUTPUTS=4), with_zeroframe=True), exact=True)


@pytest.mark.parametrize("odd_even_rows", [True, False])
def test_miri(odd_even_rows):
    found = compare(cards("MIRIMAGE", MIRI), nint=2, ngroup=3, odd_even_rows=odd_even_rows)
    assert moved(found) > 300
    assert_same(found, exact=False)


def test_miri_with_a_bad_output():
    def spoil(pixeldq):
        pixeldq[::2, 1029] |= dq.DO_NOT_USE

    found = compare(cards("MIRIMAGE", MIRI), spoil=spoil)
    assert_same(found, exact=False)
    assert moved(found) == 0
