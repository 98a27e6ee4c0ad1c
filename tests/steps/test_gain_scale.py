"""The gain-scale step: where its factor comes from, and what it multiplies."""

import numpy as np
import pytest

from gpujw.exposure import Rate, Report, Slopes
from gpujw.step import SkipStep
from gpujw.steps.gain_scale import GainScale

from .fakes import FakeReference, meta_of

NY, NX = 37, 53


def gain(factor):
    return FakeReference(np.ones((NY, NX)), header={} if factor == "absent" else {"GAINFACT": factor})


@pytest.mark.parametrize(
    ("reference", "keyword", "factor"),
    [
        (gain(1.25), None, 1.25),
        (gain(1.25), 2.0, 1.25),
        (gain(None), 2.0, 2.0),
        (gain("absent"), 2.0, 2.0),
        (None, 2, 2.0),
        (gain("absent"), None, None),
        (gain(None), None, None),
        (None, None, None),
    ],
)
def test_where_the_factor_comes_from(reference, keyword, factor):
    meta = meta_of(GAINFACT=keyword)
    if factor is None:
        with pytest.raises(SkipStep, match="GAINFACT"):
            GainScale().prepare({"gain": reference}, meta)
    else:
        assert GainScale().prepare({"gain": reference}, meta)["factor"] == factor


def rates(put, shape):
    rng = np.random.default_rng(len(shape))
    arrays = [rng.normal(5, 2, shape).astype(np.float32) for _ in range(4)]
    arrays[0][..., 3, 4] = np.nan
    return arrays, Rate(put(arrays[0]), put(arrays[1]), put(np.ones(shape, np.uint32)), *map(put, arrays[2:]))


def test_rates_and_variances(put, get, stays_on_device):
    (before, rate), (before_ints, ints) = rates(put, (NY, NX)), rates(put, (2, NY, NX))
    slopes = Slopes(rate, ints, meta_of(), slice(0, NY), report=Report())
    tables = GainScale().prepare({"gain": gain(1.1)}, meta_of())
    with stays_on_device():
        out = GainScale()(slopes, tables)
    for arrays, scaled in ((before, out.rate), (before_ints, out.ints)):
        np.testing.assert_array_equal(get(scaled.data), arrays[0] * np.float32(1.1))
        np.testing.assert_array_equal(get(scaled.err), arrays[1] * np.float32(1.1))
        np.testing.assert_array_equal(get(scaled.var_poisson), arrays[2] * np.float32(1.1**2))
        np.testing.assert_array_equal(get(scaled.var_rnoise), arrays[3] * np.float32(1.1**2))
        assert (get(scaled.dq) == 1).all()
        assert scaled.data.dtype == scaled.var_poisson.dtype == np.float32
    assert GainScale().keywords(out.report, meta_of()) == {"GAINFACT": 1.1}


def test_names():
    assert (GainScale().name, GainScale().status, GainScale.references) == ("gain_scale", "S_GANSCL", ())
    assert GainScale.optional == ("gain",)
