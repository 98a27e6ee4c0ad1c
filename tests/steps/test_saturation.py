"""The saturation step: its tables, its zero frame, its options, and blocks of any size."""

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, NO_SAT_CHECK, SATURATED
from gpujw.errors import InputError
from gpujw.steps.saturation import Saturation

from .fakes import FakeReference, in_blocks, meta_of, on_device, ramp_of

SHAPE = (2, 6, 37, 53)
META = meta_of(NFRAMES=4, READPATT="BRIGHT1", NGROUPS=6)


def references(superbias=True):
    threshold = np.full(SHAPE[2:], 40000.0)
    threshold[3, 4], threshold[5, 6] = np.nan, 50000
    dq = np.zeros(SHAPE[2:], np.uint32)
    dq[5, 6], dq[7, 8] = NO_SAT_CHECK, 4096
    bias = FakeReference(np.full(SHAPE[2:], 9000.0)) if superbias else None
    return {"saturation": FakeReference(threshold, dq), "superbias": bias}


def counts(seed=1):
    rng = np.random.default_rng(seed)
    rate = 10 ** np.where(rng.random(SHAPE[2:]) < 0.05, 4, 2) * rng.uniform(0.5, 2, SHAPE[2:])
    hits = np.cumsum(rng.random(SHAPE) < 0.005, axis=1) * 12000
    return 9000 + np.arange(1, 7)[:, None, None] * rate + hits


def test_pixels_without_a_threshold_get_one_out_of_reach():
    tables = Saturation().prepare(references(), META)
    threshold, dq = tables["threshold"], tables["dq"]
    assert threshold.dtype == np.float32 and dq.dtype == np.uint32 and tables["bias"].dtype == np.float32
    assert threshold[0, 0] == 40000 and threshold[3, 4] == threshold[5, 6] == 65536
    assert dq[3, 4] == dq[5, 6] == NO_SAT_CHECK and dq[7, 8] == 4096
    assert not Saturation().prepare(references(superbias=False), META)["bias"].any()


def test_flags_join_those_of_the_pixels(put, get):
    step = Saturation()
    ramp = ramp_of(counts(), META, put, pixeldq=np.full(SHAPE[2:], 2, np.uint32))
    out = step(ramp, on_device(step.prepare(references(), META), put))
    pixeldq = get(out.pixeldq)
    assert pixeldq[0, 0] == 2 and pixeldq[3, 4] == pixeldq[5, 6] == 2 | NO_SAT_CHECK and pixeldq[7, 8] == 2 | 4096
    np.testing.assert_array_equal(get(out.data), counts().astype(np.float32))


def test_a_zero_frame_keeps_what_is_neither_saturated_nor_empty(put, get, stays_on_device):
    frame = np.full((2, 37, 53), 9000.0)
    frame[0, 10, 10], frame[0, 20, 20], frame[1, 30, 30], frame[1, 2, 2] = 40000, 0, -5, np.nan
    step = Saturation()
    tables = on_device(step.prepare(references(), META), put)
    ramp = ramp_of(counts() * 0 + 10000, META, put, zeroframe=frame)
    with stays_on_device():
        out = step(ramp, tables)
    expected = frame.astype(np.float32)
    expected[0, 9:12, 9:12] = expected[0, 20, 20] = expected[1, 30, 30] = 0
    np.testing.assert_array_equal(get(out.zeroframe), expected)
    assert not get(out.groupdq).any()


@pytest.mark.parametrize("size", [1, 5, 36])
@pytest.mark.parametrize("step", [Saturation(), Saturation(n_pix_grow_sat=3), Saturation(use_readpatt=False)])
def test_blocks_of_any_size_give_the_same(step, size):
    tables = on_device(step.prepare(references(), META))
    frame = counts(2)[:, 0] * 4
    whole = step(ramp_of(counts(), META, zeroframe=frame), tables)
    blocks = in_blocks(step, ramp_of(counts(), META, zeroframe=frame), tables, size)
    for name in ("data", "groupdq", "pixeldq", "zeroframe"):
        np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name), err_msg=name)
    assert (whole.groupdq & SATURATED).any() and (whole.zeroframe == 0).any()
    assert (whole.groupdq == DO_NOT_USE).any() == step.use_readpatt


def test_rows_that_it_must_see():
    assert Saturation().halo(META) == 2
    assert Saturation(n_pix_grow_sat=3).halo(META) == 6
    assert Saturation().halo(meta_of(NFRAMES=1)) == 1
    assert Saturation(use_readpatt=False).halo(META) == 1
    assert Saturation(n_pix_grow_sat=0).halo(META) == Saturation(n_pix_grow_sat=-1).halo(META) == 0


def test_a_negative_growth_is_none():
    tables = on_device(Saturation().prepare(references(), META))
    grown, none, negative = (Saturation(n_pix_grow_sat=n)(ramp_of(counts(), META), tables).groupdq for n in (1, 0, -1))
    np.testing.assert_array_equal(none, negative)
    assert (grown != none).any()


def test_what_it_refuses():
    assert Saturation().inapplicable(META) is None
    with pytest.raises(InputError, match="NFRAMES"):
        Saturation().halo(meta_of(NFRAMES=None))
    assert Saturation().status == "S_SATURA" and Saturation().name == "saturation"
