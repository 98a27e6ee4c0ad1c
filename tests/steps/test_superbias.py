"""The superbias step: the bias off every group and off the zero frame, its unknowns and flags, blocks of any size."""

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, UNRELIABLE_BIAS
from gpujw.steps.superbias import SuperBias

from .fakes import FakeReference, in_blocks, meta_of, on_device, ramp_of

NY, NX = 37, 53


@pytest.fixture
def bias():
    values = np.random.default_rng(0).normal(9000, 50, (NY, NX)).astype(np.float32)
    values[3, 4] = np.nan
    return values


@pytest.fixture
def reference(bias):
    flags = np.zeros((NY, NX), np.uint32)
    flags[5, ::2] = UNRELIABLE_BIAS
    return FakeReference(bias, dq=flags)


def scene():
    rng = np.random.default_rng(1)
    data = rng.normal(20000, 3000, (2, 3, NY, NX)).astype(np.float32)
    frame = rng.normal(12000, 2000, (2, NY, NX)).astype(np.float32)
    frame[1, ::3] = 0
    return data, frame


def test_counts_zero_frame_and_flags(put, get, stays_on_device, bias, reference):
    data, frame = scene()
    tables = on_device(SuperBias().prepare({"superbias": reference}, meta_of()), put)
    before = np.full((NY, NX), DO_NOT_USE, np.uint32)
    ramp = ramp_of(data, meta_of(), put, pixeldq=before, zeroframe=frame)
    with stays_on_device():
        out = SuperBias()(ramp, tables)
    known = np.nan_to_num(bias)
    np.testing.assert_array_equal(get(out.data), data - known)
    np.testing.assert_array_equal(get(out.zeroframe), np.where(frame == 0, 0, frame - known))
    np.testing.assert_array_equal(get(out.pixeldq), before | reference.dq())
    assert out.data is ramp.data and out.data.dtype == out.zeroframe.dtype == np.float32
    assert not get(out.groupdq).any()


def test_there_may_be_no_zero_frame(put, reference):
    tables = on_device(SuperBias().prepare({"superbias": reference}, meta_of()), put)
    assert SuperBias()(ramp_of(scene()[0], meta_of(), put), tables).zeroframe is None


def test_blocks_of_any_size_give_the_same(reference):
    data, frame = scene()
    tables = SuperBias().prepare({"superbias": reference}, meta_of())
    whole = SuperBias()(ramp_of(data, meta_of(), zeroframe=frame), tables)
    for size in (1, 5, 36):
        blocks = in_blocks(SuperBias(), ramp_of(data, meta_of(), zeroframe=frame), tables, size)
        for name in ("data", "zeroframe", "pixeldq"):
            np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))


def test_names():
    assert (SuperBias().name, SuperBias().status, SuperBias.references) == ("superbias", "S_SUPERB", ("superbias",))
