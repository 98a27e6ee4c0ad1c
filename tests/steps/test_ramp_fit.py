"""RampFit: what it prepares, selects, refuses and reports, and blocks that give what the whole gives."""

import logging

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED
from gpujw.errors import StepError, UsageError
from gpujw.steps.ramp_fit import POWERS, RampFit, slope_coefficients

from .fakes import FakeReference, block_of, meta_of, on_device, ramp_of

SHAPE = (2, 7, 37, 53)
CARDS = {"TGROUP": 10.0, "TFRAME": 2.5, "NFRAMES": 4, "NGROUPS": SHAPE[1], "NINTS": SHAPE[0]}
META = meta_of(**CARDS)
PLANES = ("data", "err", "dq", "var_poisson", "var_rnoise")


def references(seed=1, shape=SHAPE[2:], **header):
    rng = np.random.default_rng(seed)
    gain = FakeReference(rng.uniform(1.5, 2.5, shape), header=header)
    return {"gain": gain, "readnoise": FakeReference(rng.uniform(5, 20, shape))}


def ramps(seed=2, shape=SHAPE, **options):
    """A ramp with what the jump and saturation steps leave."""
    rng = np.random.default_rng(seed)
    rate = 10 ** rng.uniform(0, 3, shape[2:])
    data = np.cumsum(rng.poisson(rate, shape), axis=1) + rng.normal(100, 8, shape)
    groupdq = np.where(rng.random(shape) < 0.05, JUMP_DET, 0).astype(np.uint8)
    late = np.where(
        rng.random((shape[0], 1, *shape[2:])) < 0.2, rng.integers(0, shape[1], (shape[0], 1, *shape[2:])), 99
    )
    groupdq[np.arange(shape[1])[:, None, None] >= late] |= SATURATED
    pixeldq = np.where(rng.random(shape[2:]) < 0.05, DO_NOT_USE, 0).astype(np.uint32)
    return ramp_of(data, options.pop("meta", META), groupdq=groupdq, pixeldq=pixeldq, **options)


def planes(fit, get=np.array):
    return {name: get(getattr(fit, name)) for name in PLANES}


def put_ramp(ramp, put):
    arrays = {name: put(getattr(ramp, name)) for name in ("data", "groupdq", "pixeldq")}
    return ramp.replace(**arrays)


def fit(step, ramp, put=np.array, refs=None):
    tables = on_device(step.prepare(refs or references(), ramp.meta), put)
    return step(put_ramp(ramp, put), tables)


def assert_same(ours, other):
    for name in PLANES:
        np.testing.assert_array_equal(getattr(ours, name), getattr(other, name), err_msg=name)


def test_read_noise_becomes_electrons_of_a_group():
    refs = references()
    tables = RampFit().prepare(refs, META)
    gain, noise = refs["gain"].image(), refs["readnoise"].image()
    np.testing.assert_array_equal(tables["gain"], gain)
    np.testing.assert_allclose(
        tables["read_noise"], noise * gain / np.sqrt(8), rtol=1e-6
    )  # of two frames each, 4 a group
    assert tables["read_noise"].dtype == np.float32 and tables["coeffs"].shape == (8, 6, 3)


@pytest.mark.parametrize("n", [2, 3, 4, 9, 30])
def test_coefficients_are_those_of_weighted_least_squares(n):
    rng = np.random.default_rng(n)
    k, f = np.arange(n), rng.normal(0, 100, n)
    coeffs = slope_coefficients(30)
    for p, power in enumerate(POWERS):
        weights = np.abs((k - (n - 1) / 2) / ((n - 1) / 2)) ** power + 1e-300
        expected = np.polyfit(k, f, 1, w=np.sqrt(weights))[0]
        slope = sum(coeffs[n, p, j] * (f[n - 1 - j] - f[j]) for j in range(n // 2))
        assert slope == pytest.approx(expected, rel=1e-9), power
    assert (coeffs[n, :, n // 2 :] == 0).all()


def test_what_is_not_there_is_refused():
    with pytest.raises(UsageError, match="OLS_C"):
        RampFit(algorithm="OLS")
    with pytest.raises(StepError, match="save_opt") as error:
        RampFit(save_opt=True).prepare(references(), META)
    assert error.value.code == 30
    # Of fewer than four groups there is no likelihood fit: the peer, too, takes the other then.
    few = meta_of(**{**CARDS, "NGROUPS": 3})
    assert "coeffs" in RampFit(algorithm="LIKELY").prepare(references(), few)
    assert "coeffs" not in RampFit(algorithm="LIKELY").prepare(references(), META)


@pytest.mark.parametrize(
    ("first", "last", "selected"),
    [
        (None, None, (0, 7)),
        (2, None, (2, 7)),
        (None, 4, (0, 5)),
        (1, 5, (1, 6)),
        (-3, 5, (0, 6)),
        (1, 40, (1, 7)),
        (3, 3, (0, 7)),  # ignored, as all where the first is not before the last
        (6, None, (0, 7)),
        (None, 0, (0, 7)),
        (None, -1, (0, 7)),
        (9, None, (0, 7)),
    ],
)
def test_groups_are_selected_from_first_to_last(first, last, selected):
    step = RampFit(firstgroup=first, lastgroup=last)
    assert step.selected(7) == selected
    out, ramp = step, ramps()
    every = fit(RampFit(), cut_groups(ramp, *selected))
    assert_same(fit(out, ramp).ints, every.ints)


def cut_groups(ramp, first, last):
    """The ramp with groups outside flagged by hand."""
    groupdq = ramp.groupdq.copy()
    groupdq[:, :first] |= DO_NOT_USE
    groupdq[:, last:] |= DO_NOT_USE
    return ramp.replace(groupdq=groupdq)


def test_a_selection_that_selects_all_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        RampFit(firstgroup=3, lastgroup=3).prepare(references(), META)
    assert "firstgroup=3" in caplog.text


def test_times_come_from_the_keywords(put, get):
    """Four frames are averaged to a group: their mean lies 2.5 frame times after the reset."""
    data = np.full((1, 3, 2, 5), 500.0)
    groupdq = np.zeros(data.shape, np.uint8)
    groupdq[:, 1:] = SATURATED
    meta = meta_of(**{**CARDS, "NGROUPS": 3, "NINTS": 1})
    ramp = ramp_of(data, meta, groupdq=groupdq)
    out = fit(RampFit(suppress_one_group=False), ramp, put, references(shape=(2, 5)))
    np.testing.assert_allclose(get(out.rate.data), 500 / (2.5 * 2.5), rtol=1e-6)
    assert (get(fit(RampFit(), ramp, put, references(shape=(2, 5))).rate.dq) == DO_NOT_USE | SATURATED).all()


def test_exposures_of_one_group_are_not_suppressed(put, get):
    meta = meta_of(**{**CARDS, "NGROUPS": 1, "NINTS": 1})
    out = fit(RampFit(), ramp_of(np.full((1, 1, 2, 5), 500.0), meta), put, references(shape=(2, 5)))
    np.testing.assert_allclose(get(out.rate.data), 500 / (2.5 * 2.5), rtol=1e-6)


def test_an_exposure_saturated_from_the_start_gives_nan(put, get):
    ramp = ramps()
    ramp.groupdq[:] |= SATURATED
    out = fit(RampFit(), ramp, put)
    assert np.isnan(get(out.rate.data)).all() and np.isnan(get(out.ints.data)).all()
    assert (get(out.rate.dq) & (DO_NOT_USE | SATURATED) == DO_NOT_USE | SATURATED).all()


def miri(**cards):
    return meta_of(**{**CARDS, "INSTRUME": "MIRI", **cards})


def test_miri_leaves_out_groups_that_no_pixel_may_use(put, get):
    ramp = ramps(meta=miri())
    ramp.groupdq[:, :2] |= DO_NOT_USE
    ramp.groupdq[:, -1] |= DO_NOT_USE | SATURATED
    ramp.groupdq[:, 2, :, :9] |= JUMP_DET
    assert RampFit().whole(ramp.meta) and not RampFit().whole(META)
    # Good groups are counted before the jump is taken off the first: no ramp is suppressed here, so none is by that.
    step = RampFit(suppress_one_group=False)
    out = fit(step, ramp, put)
    groupdq = ramp.groupdq[:, 2:-1].copy()
    groupdq[:, 0] &= ~np.uint8(JUMP_DET)
    rest = ramp_of(ramp.data[:, 2:-1], meta_of(**{**CARDS, "NGROUPS": 4}), groupdq=groupdq, pixeldq=ramp.pixeldq)
    expected = fit(step, rest)
    for ours, other in ((out.rate, expected.rate), (out.ints, expected.ints)):
        for name, plane in planes(ours, get).items():
            np.testing.assert_allclose(plane, getattr(other, name), rtol=1e-6, atol=1e-6, err_msg=name)


def test_miri_needs_two_groups(put):
    ramp = ramps(meta=miri())
    ramp.groupdq[:] = DO_NOT_USE
    ramp.groupdq[:, 0] = 0
    ramp.groupdq[0, 5, 3, 4] = 0  # one pixel may use a sixth: only the ends are left out
    fit(RampFit(), ramp, put)
    ramp.groupdq[:, :6], ramp.groupdq[:, 6] = DO_NOT_USE, 0
    with pytest.raises(StepError, match="1 are left"):
        fit(RampFit(suppress_one_group=False), ramp, put)
    with pytest.raises(StepError, match="0 are left"):
        fit(RampFit(), ramp, put)  # each ramp's one good group is suppressed


@pytest.mark.parametrize("meta", [META, miri()], ids=["near_ir", "miri"])
def test_nothing_leaves_the_device_but_the_groups_in_use(put, stays_on_device, meta):
    step, ramp = RampFit(), put_ramp(ramps(meta=meta), put)
    tables = on_device(step.prepare(references(), ramp.meta), put)
    with stays_on_device(downloads=int(meta is not META)):
        step(ramp, tables)


@pytest.mark.parametrize("size", [1, 5, 37])
def test_blocks_give_what_the_whole_gives(size):
    step, ramp = RampFit(), ramps()
    tables = step.prepare(references(), ramp.meta)
    whole = step(block_of(ramp, slice(0, 37), slice(0, 37)), tables)
    parts = []
    for first in range(0, 37, size):
        rows = slice(max(first - 2, 0), min(first + size + 1, 37))  # with rows of others' halo
        interior = slice(first - rows.start, min(first + size, 37) - rows.start)
        parts.append(step(block_of(ramp, rows, interior), tables.cut(rows, slice(None))))
    assert [part.rows for part in parts] == [slice(y, min(y + size, 37)) for y in range(0, 37, size)]
    for kind in ("rate", "ints"):
        for name, plane in planes(getattr(whole, kind)).items():
            joined = np.concatenate([getattr(getattr(part, kind), name) for part in parts], axis=-2)
            np.testing.assert_array_equal(joined, plane)


def test_fits_are_of_the_promised_types(put, get):
    out = fit(RampFit(), ramps(), put)
    assert out.rate.data.shape == SHAPE[2:] and out.ints.data.shape == (SHAPE[0], *SHAPE[2:])
    for rate in (out.rate, out.ints):
        types = {name: plane.dtype for name, plane in planes(rate, get).items()}
        assert types == {name: np.uint32 if name == "dq" else np.float32 for name in PLANES}
        assert all(getattr(rate, name).flags.c_contiguous for name in PLANES)


def test_the_gain_factor_is_handed_on():
    assert fit(RampFit(), ramps(), refs=references(GAINFACT=2.0)).report.keywords == {"GAINFACT": 2.0}
    assert fit(RampFit(), ramps()).report.keywords == {}
