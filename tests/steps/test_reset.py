"""The reset step: which integration and group of the reference goes where, its unknowns and flags."""

import numpy as np
import pytest

from gpujw.dq import HOT
from gpujw.steps.reset import Reset

from .fakes import FakeReference, in_blocks, meta_of, on_device, ramp_of

NY, NX = 37, 53
MIRI = {"INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE"}


def anomaly(nint, ngroup):
    """100 * (integration + 1) + 10 * group, and a slope over the frame."""
    place = np.arange(NY)[:, None] / 4 + np.arange(NX) / 8
    number = 100 * (1 + np.arange(nint))[:, None] + 10 * np.arange(ngroup)
    return number[..., None, None] + place


def prepared(shape, reference_shape, header=None, **cards):
    meta = meta_of(**MIRI, NINTS=shape[0], NGROUPS=shape[1], **cards)
    reference = FakeReference(anomaly(*reference_shape), dq=np.full((NY, NX), HOT), header=header)
    return meta, Reset().prepare({"reset": reference}, meta)


@pytest.mark.parametrize(
    ("shape", "reference_shape", "start", "integrations", "ngroup"),
    [
        ((3, 6), (2, 4), 1, [0, 1, 1], 4),
        ((2, 3), (4, 5), 1, [0, 1], 3),
        ((2, 6), (4, 4), 3, [2, 3], 4),
        ((3, 6), (4, 4), 3, [2, 3, 3], 4),
        ((2, 6), (4, 4), 9, [3, 3], 4),
        ((1, 1), (1, 1), 1, [0], 1),
        ((2, 6), (4, 4), None, [0, 1], 4),
    ],
)
def test_which_integration_and_group(put, get, shape, reference_shape, start, integrations, ngroup):
    meta, tables = prepared(shape, reference_shape, INTSTART=start)
    ramp = ramp_of(np.full((*shape, NY, NX), 70000), meta, put)
    off = 70000 - get(Reset()(ramp, on_device(tables, put)).data)
    for i, integration in enumerate(integrations):
        np.testing.assert_array_equal(off[i, :ngroup], anomaly(*reference_shape)[integration, :ngroup])
    assert not off[:, ngroup:].any()
    assert (get(ramp.pixeldq) == HOT).all()


def test_header_says_how_much_of_the_reference_counts(put, get):
    meta, tables = prepared((3, 6), (4, 5), header={"NINTS": 2, "NGROUPS": 3})
    off = 70000 - get(Reset()(ramp_of(np.full((3, 6, NY, NX), 70000), meta, put), on_device(tables, put)).data)
    np.testing.assert_array_equal(off[2, :3], anomaly(4, 5)[1, :3])
    assert not off[:, 3:].any()


def test_a_segment_may_be_shorter_than_the_exposure(put, get):
    # NINTS is that of the exposure; the segment at hand begins with INTSTART and has two of them.
    meta, tables = prepared((9, 2), (8, 2), INTSTART=4)
    off = 70000 - get(Reset()(ramp_of(np.full((2, 2, NY, NX), 70000), meta, put), on_device(tables, put)).data)
    np.testing.assert_array_equal(off, anomaly(8, 2)[3:5])


def test_unknowns_are_left_alone():
    frames = anomaly(2, 2)
    frames[1, 0, 3, 4] = np.nan
    meta = meta_of(**MIRI, NINTS=2, NGROUPS=2)
    tables = Reset().prepare({"reset": FakeReference(frames)}, meta)
    assert tables["frames"][3, 1, 0, 4] == 0 and np.isfinite(tables["frames"]).all()
    assert tables["frames"].dtype == np.float32 and tables["frames"].flags.c_contiguous


def test_blocks_of_any_size_give_the_same():
    meta, tables = prepared((3, 6), (2, 4))
    data = np.random.default_rng(0).normal(1000, 100, (3, 6, NY, NX))
    whole = Reset()(ramp_of(data, meta), tables)
    for size in (1, 5, 36):
        blocks = in_blocks(Reset(), ramp_of(data, meta), tables, size)
        np.testing.assert_array_equal(blocks.data, whole.data)
        np.testing.assert_array_equal(blocks.pixeldq, whole.pixeldq)


def test_only_miri_takes_it():
    assert Reset().inapplicable(meta_of(**MIRI)) is None
    assert "MIRI" in Reset().inapplicable(meta_of())
    assert (Reset().name, Reset().status, Reset.references) == ("reset", "S_RESET", ("reset",))
