"""The dark step against the peer's: every combination of readouts, segments of MIRI, and average rates.

Bit for bit but where a dark of the exposure's own readout is extrapolated: the peer then subtracts in float64 and
rounds once, gpujw rounds the dark to float32 first.
"""

import numpy as np
import pytest

from gpujw.step import SkipStep
from gpujw.steps.dark_current import DarkCurrent

from ..steps.fakes import FakeReference, meta_of, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("stcal.dark_current.dark_sub")
peer_step = pytest.importorskip("jwst.dark_current.dark_current_step")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")

NY, NX = 37, 53


def both(reference_shape, reference_cadence, shape, cadence, start=1, seed=0):
    """Ours and the peer's exposures after the step; None where the step is skipped."""
    rng = np.random.default_rng(seed)
    data = rng.normal(9000, 2000, (*shape, NY, NX)).astype(np.float32)
    ramp = np.cumsum(rng.normal(2, 3, (*reference_shape, NY, NX)), axis=-3).astype(np.float32)
    ramp[rng.random(ramp.shape) < 0.02] = np.nan
    miri = len(reference_shape) == 2
    flags = rng.integers(0, 2**32, (reference_shape[0], 1, NY, NX) if miri else (NY, NX), np.uint32)
    pixeldq = rng.integers(0, 2**16, (NY, NX), np.uint32)

    model = datamodels.RampModel(data=data.copy(), pixeldq=pixeldq.copy(), groupdq=np.zeros(data.shape, np.uint8))
    model.meta.instrument.name = "MIRI" if miri else "NIRCAM"
    reference = (datamodels.DarkMIRIModel if miri else datamodels.DarkModel)(data=ramp.copy(), dq=flags.copy())
    for exposure, (nframes, groupgap) in ((model.meta.exposure, cadence), (reference.meta.exposure, reference_cadence)):
        exposure.nframes, exposure.groupgap = nframes, groupgap
    model.meta.exposure.integration_start, reference.meta.exposure.ngroups = start, reference_shape[-1]
    theirs, _ = peer.do_correction(model, reference)

    names = ("NFRAMES", "GROUPGAP")
    cards = dict(zip(names, cadence, strict=True), INTSTART=start, INSTRUME=model.meta.instrument.name)
    meta = meta_of(**cards, NINTS=shape[0], NGROUPS=shape[1])
    header = dict(zip(names, reference_cadence, strict=True))
    try:
        tables = DarkCurrent().prepare({"dark": FakeReference(ramp, dq=flags, header=header)}, meta)
    except SkipStep:
        return None, None if theirs.cal_step == "SKIPPED" else theirs
    return DarkCurrent()(ramp_of(data, meta, pixeldq=pixeldq), tables), theirs


@pytest.mark.parametrize("cadence", [(1, 0), (2, 0), (4, 0), (4, 1), (8, 2), (1, 3), (5, 5)])
@pytest.mark.parametrize("ngroup", [1, 2, 6])
@pytest.mark.parametrize("reference_ngroup", [2, 7, 70])
def test_frames_of_single_darks(cadence, ngroup, reference_ngroup):
    ours, theirs = both((reference_ngroup,), (1, 0), (2, ngroup), cadence, seed=ngroup)
    if cadence == (1, 0) and ngroup > reference_ngroup:
        np.testing.assert_allclose(ours.data, theirs.data, rtol=2**-23)
    else:
        np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.pixeldq, theirs.pixeldq)


@pytest.mark.parametrize("reference_ngroup", [2, 5, 9])
@pytest.mark.parametrize("cadence", [(4, 0), (4, 1), (8, 2)])
def test_darks_of_the_same_readout(cadence, reference_ngroup):
    ours, theirs = both((reference_ngroup,), cadence, (2, 6), cadence)
    if reference_ngroup < 6:
        # The spacing of float32 numbers near 9000 is 2**-10, near 16384 2**-9.
        np.testing.assert_allclose(ours.data, theirs.data, rtol=2**-23)
    else:
        np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.pixeldq, theirs.pixeldq)


@pytest.mark.parametrize(("start", "nint"), [(None, 2), (1, 1), (1, 3), (1, 5), (4, 3)])
@pytest.mark.parametrize("reference_nint", [1, 2, 3])
@pytest.mark.parametrize("cadence", [(1, 0), (4, 0)])
def test_integrations_of_miri(start, nint, reference_nint, cadence):
    ours, theirs = both((reference_nint, 21), (1, 0), (nint, 5), cadence, start)
    np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.pixeldq, theirs.pixeldq)


def test_a_later_segment_shorter_than_the_dark():
    # The peer averages only as many of the dark's integrations as the segment has, then takes the last: it subtracts
    # zeros. gpujw averages the one it takes; tests/steps/test_dark_current.py has the values.
    ours, theirs = both((3, 21), (1, 0), (2, 5), (4, 0), 4)
    untouched = np.random.default_rng(0).normal(9000, 2000, (2, 5, NY, NX)).astype(np.float32)
    np.testing.assert_array_equal(theirs.data, untouched)
    assert (ours.data != untouched).mean() > 0.9


@pytest.mark.parametrize("reference_cadence", [(2, 0), (1, 1), (4, 4)])
def test_darks_read_more_coarsely(reference_cadence):
    assert both((9,), reference_cadence, (1, 4), (1, 0)) == (None, None)


@pytest.mark.parametrize("parameter", [None, 0.0, 0.3])
@pytest.mark.parametrize("keyword", [None, 0.02])
@pytest.mark.parametrize("image", [None, 0.0, 0.5])
def test_average_rate(parameter, keyword, image):
    model = datamodels.RampModel(data=np.zeros((1, 2, NY, NX), np.float32))
    reference = datamodels.DarkModel(data=np.zeros((2, NY, NX), np.float32))
    reference.meta.exposure.average_dark_current = keyword
    arrays = {} if image is None else {"AVDRKCUR": np.full((NY, NX), image, np.float32)}
    if image is not None:
        reference.average_dark_current = arrays["AVDRKCUR"]
    step = peer_step.DarkCurrentStep()
    step.average_dark_current = parameter
    step.set_average_dark_current(model, reference)
    theirs = model.average_dark_current

    header = {"NFRAMES": 1, "GROUPGAP": 0, "AVDRKCUR": keyword}
    dark = FakeReference({"SCI": reference.data, **arrays}, header=header)
    tables = DarkCurrent(average_dark_current=parameter).prepare({"dark": dark}, meta_of(NINTS=1, NGROUPS=2))
    ours = tables["rate"] if "rate" in tables else np.zeros((NY, NX), np.float32)
    np.testing.assert_array_equal(ours, np.zeros((NY, NX)) if theirs is None else theirs)
