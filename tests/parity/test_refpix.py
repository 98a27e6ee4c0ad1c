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
# The spacing of float32 numbers as large as the counts made here, below 4096.
SPACING = np.spacing(np.float32(4095))


def cards(detector, where, **others):
    instrument, fast, slow = DETECTORS[detector]
    names = ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")
    found = dict(zip(names, where, strict=True), INSTRUME=instrument, DETECTOR=detector, FASTAXIS=fast, SLOWAXIS=slow)
    return found | {"SUBARRAY": "FULL", "NOUTPUTS": 4, "READPATT": "RAPID", "ZEROFRAM": False} | others


def drifting(shape, rng):
    """Counts that drift by group, column and row, with spikes for the clipping to find."""
    nint, ngroup, ny, nx = shape
    data = rng.normal(1000, 8, shape) + rng.normal(0, 20, (nint, ngroup, 1, nx)) + rng.normal(0, 20, (nint, ngroup, ny, 1))
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
    kernel = {"refpix_algorithm": "median", "sirs_kernel_model": None, "sigreject": 4.0, "gaussmooth": 1.0, "halfwidth": 30}
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


def compare(card, *, seed=0, ngroup=2, exact=1, spoil=None, with_zeroframe=False, **parameters):
    """Both corrections of a made exposure; groups from ``exact`` on must agree to rounding."""
    rng = np.random.default_rng(seed)
    ny, nx = card["SUBSIZE2"], card["SUBSIZE1"]
    data, pixeldq = drifting((1, ngroup, ny, nx), rng), flagged(card, rng)
    if spoil is not None:
        spoil(pixeldq)
    zeroframe = None
    if with_zeroframe:
        zeroframe = drifting((1, 1, ny, nx), rng)[:, 0]
        zeroframe[rng.random(zeroframe.shape) < 0.1] = 0
        card = card | {"ZEROFRAM": True}
    theirs = corrected_by_peer(data, pixeldq, card, zeroframe, **parameters)
    ours = corrected(data, pixeldq, card, zeroframe, **parameters)
    return types.SimpleNamespace(data=data, ours=ours[0], theirs=theirs[0], our_zeros=ours[1], their_zeros=theirs[1])
