"""The data-quality step: the mask's flags, the user's, and what it says of a file that does not fit."""

import numpy as np
import pytest
from astropy.io import fits

from gpujw.dq import DEAD, DO_NOT_USE, HOT, PERSISTENCE, SATURATED
from gpujw.errors import InputError
from gpujw.steps.dq_init import DQInit

from .fakes import FakeReference, in_blocks, meta_of, on_device, ramp_of

SHAPE = (2, 3, 37, 53)


def masked():
    flags = np.zeros(SHAPE[2:], np.uint32)
    flags[3, 4], flags[5, 6], flags[7, 8] = DEAD | DO_NOT_USE, HOT | PERSISTENCE, 1 << 31
    return {"mask": FakeReference(np.zeros(SHAPE[2:]), flags)}


def test_bad_pixels_are_flagged_and_not_used(put, get, stays_on_device):
    step = DQInit()
    tables = on_device(step.prepare(masked(), meta_of()), put)
    groupdq, pixeldq = np.full(SHAPE, SATURATED, np.uint8), np.full(SHAPE[2:], HOT, np.uint32)
    ramp = ramp_of(np.ones(SHAPE), meta_of(), put, groupdq, pixeldq)
    with stays_on_device():
        out = step(ramp, tables)
    groupdq[:, :, 3, 4] |= DO_NOT_USE
    pixeldq[3, 4], pixeldq[5, 6], pixeldq[7, 8] = HOT | DEAD | DO_NOT_USE, HOT | PERSISTENCE, HOT | 1 << 31
    np.testing.assert_array_equal(get(out.groupdq), groupdq)
    np.testing.assert_array_equal(get(out.pixeldq), pixeldq)
    assert step.name == "dq_init" and step.status == "S_DQINIT"


@pytest.mark.parametrize("dtype", ["u1", ">i2", ">i4", "u4", ">f4"])
def test_flags_of_the_user_join_those_of_the_mask(tmp_path, dtype):
    path = tmp_path / "mine.fits"
    flags = np.zeros(SHAPE[2:], dtype)
    flags[0, 0], flags[3, 4] = DO_NOT_USE, SATURATED
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(flags)]).writeto(path)
    dq = DQInit(user_supplied_dq=str(path)).prepare(masked(), meta_of())["dq"]
    assert dq.dtype == np.uint32
    assert dq[0, 0] == DO_NOT_USE and dq[3, 4] == DEAD | DO_NOT_USE | SATURATED and dq[5, 6] == HOT | PERSISTENCE


def test_files_of_the_user_that_do_not_fit(tmp_path):
    def refused(path, match):
        with pytest.raises(InputError, match=match) as error:
            DQInit(user_supplied_dq=str(path)).prepare(masked(), meta_of())
        assert str(path) in str(error.value)

    other = tmp_path / "other.fits"
    fits.PrimaryHDU(np.zeros((53, 37), np.uint8)).writeto(other)
    refused(other, r"is of shape \[53, 37\]; the exposure needs \[37, 53\]")
    refused(tmp_path / "absent.fits", "cannot be read")
    text = tmp_path / "text.fits"
    text.write_text("no FITS at all")
    refused(text, "cannot be read")
    empty = tmp_path / "empty.fits"
    fits.PrimaryHDU().writeto(empty)
    refused(empty, "cannot be read")


def test_blocks_of_any_size_give_the_same():
    step = DQInit()
    tables = step.prepare(masked(), meta_of())
    whole = step(ramp_of(np.ones(SHAPE), meta_of()), tables)
    blocks = in_blocks(step, ramp_of(np.ones(SHAPE), meta_of()), tables, 5)
    np.testing.assert_array_equal(blocks.groupdq, whole.groupdq)
    np.testing.assert_array_equal(blocks.pixeldq, whole.pixeldq)
