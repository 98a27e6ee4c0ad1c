"""The gain-scale step against the peer's, bit for bit."""

import numpy as np
import pytest

from gpujw.exposure import Rate, Report, Slopes
from gpujw.steps.gain_scale import GainScale

from ..steps.fakes import FakeReference, meta_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.gain_scale.gain_scale")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")

NAMES = ("data", "err", "dq", "var_poisson", "var_rnoise")


def arrays_of(shape):
    rng = np.random.default_rng(len(shape))
    arrays = {name: rng.normal(5, 2, shape).astype(np.float32) for name in NAMES}
    arrays["data"][..., 3, 4] = np.nan
    return {**arrays, "dq": np.ones(shape, np.uint32)}


@pytest.mark.parametrize("factor", [0.5, 1.1, 2.0123456789])
def test_rates(factor):
    single, ints = arrays_of((37, 53)), arrays_of((3, 37, 53))
    theirs = [
        peer.do_correction(model(**{name: array.copy() for name, array in arrays.items()}), factor)
        for model, arrays in ((datamodels.ImageModel, single), (datamodels.CubeModel, ints))
    ]
    slopes = Slopes(Rate(**single), Rate(**ints), meta_of(), slice(0, 37), report=Report())
    gain = FakeReference(np.ones((37, 53)), header={"GAINFACT": factor})
    ours = GainScale()(slopes, GainScale().prepare({"gain": gain}, meta_of()))
    for mine, model in zip((ours.rate, ours.ints), theirs, strict=True):
        for name in NAMES:
            np.testing.assert_array_equal(getattr(mine, name), getattr(model, name))
        assert GainScale().keywords(ours.report, meta_of())["GAINFACT"] == model.meta.exposure.gain_factor
