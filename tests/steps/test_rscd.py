"""The RSCD step: how many groups are lost, which bright pixels lose fewer, and what the header tells of it."""

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, FLUX_ESTIMATED, JUMP_DET, SATURATED
from gpujw.step import SkipStep
from gpujw.steps.rscd import RSCD, groups_to_skip

from .fakes import FakeReference, block_of, meta_of, on_device, ramp_of

COLUMNS = [("subarray", "U17"), ("readpatt", "U12"), ("group_skip1", "i4"), ("group_skip", "i4")]
ROWS = [("FULL", "SLOWR1", 0, 0), ("FULL", "FASTR1", 2, 4), ("SLITLESSPRISM", "FASTR1", -1, 3)]


def refs(kind="U"):
    columns = [(name, dtype.replace("U", kind)) for name, dtype in COLUMNS]
    return {"rscd": FakeReference(tables={"RSCD_GROUP_SKIP": np.array(ROWS, columns)}, path="jwst_miri_rscd_0020.fits")}


def miri(**cards):
    usual = {"INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE", "READPATT": "FASTR1", "NGROUPS": 10, "NINTS": 3}
    return meta_of(**{**usual, **cards})


def skips(**cards):
    return RSCD().prepare(refs(), miri(**cards))["skips"]


@pytest.mark.parametrize("kind", ["U", "S"])
def test_the_row_of_the_subarray_and_pattern(kind):
    assert RSCD().prepare(refs(kind), miri())["skips"] == (2, 4)
    assert RSCD().prepare(refs(kind), miri(SUBARRAY="SLITLESSPRISM"))["skips"] == (1, 3)
    assert RSCD().prepare(refs(kind), miri(SUBARRAY="SUBPRISM"))["skips"] == (1, 3)
    with pytest.raises(SkipStep, match="jwst_miri_rscd_0020.fits has no row for SUBARRAY BRIGHTSKY, READPATT FASTR1"):
        RSCD().prepare(refs(kind), miri(SUBARRAY="BRIGHTSKY"))


@pytest.mark.parametrize(
    ("skip", "ngroup", "lost"),
    [(4, 10, 4), (4, 7, 4), (4, 6, 3), (4, 5, 1), (0, 5, 1), (4, 4, 1), (4, 3, 0), (0, 9, 0)],
)
def test_short_ramps_lose_fewer(skip, ngroup, lost):
    assert groups_to_skip(skip, ngroup) == lost


@pytest.mark.parametrize(
    ("detector", "ngroup", "reason"),
    [
        ("MIRIMAGE", 3, None),
        ("MIRIFULONG", 2, "NGROUPS 2: too few groups, 3 are needed"),
        ("NRCA1", 10, "detector NRCA1: for MIRI only"),
    ],
)
def test_when_it_applies(detector, ngroup, reason):
    assert RSCD().inapplicable(meta_of(DETECTOR=detector, NGROUPS=ngroup)) == reason


def saturating(groups, shape=(3, 10, 1, 8)):
    """Flags of one row of pixels, each saturated from its own group on, in every integration."""
    since = np.resize(groups, shape[3])
    flags = np.where(np.arange(shape[1])[:, None, None] >= since, SATURATED, 0)
    return np.broadcast_to(flags, shape).astype(np.uint8)


def test_bright_pixels_keep_two_groups_if_they_can(put, get):
    """With 4 groups to lose: all are lost where 6 are not saturated, and none where only 2 are."""
    groupdq = saturating([10, 6, 5, 4, 3, 2, 1, 0]) | JUMP_DET
    ramp = ramp_of(np.ones(groupdq.shape), miri(), put, groupdq)
    tables = on_device(RSCD().prepare(refs(), miri()), put)
    out = RSCD()(ramp, tables)
    new = get(out.groupdq) & ~groupdq
    assert (new & ~np.uint8(DO_NOT_USE) == 0).all()
    # Saturated in the first group is beyond help: as many are lost as anywhere.
    lost = new.astype(bool).sum(axis=1)[:, 0]
    assert lost[0].tolist() == [2, 2, 2, 2, 1, 0, 0, 2]
    assert lost[1].tolist() == lost[2].tolist() == [4, 4, 3, 2, 1, 0, 0, 4]
    assert (np.diff(new.astype(int), axis=1) <= 0).all()  # from the first group on, none between
    assert (get(out.pixeldq)[0] == np.array([0, 0, 1, 1, 1, 1, 1, 0]) * FLUX_ESTIMATED).all()
    assert out.report.keywords == {"INT1SKIP": 2, "INT2SKIP": 4}
    told = RSCD().keywords(out.report, out.meta)
    assert told == {"INT1BORS": 3, "INT1UGP1": 2, "INT2BORS": 5, "INT2UGP1": 2}
    assert all(type(value) is int for value in told.values())


def test_a_later_segment_has_no_first_integration():
    groupdq = saturating([10, 3, 2, 0])
    ramp = ramp_of(np.ones(groupdq.shape), miri(INTSTART=4, NINTS=9), groupdq=groupdq)
    out = RSCD()(ramp, RSCD().prepare(refs(), miri()))
    assert ((out.groupdq[:, :, 0, 0] == DO_NOT_USE).sum(axis=1) == 4).all()
    assert out.report.keywords == {"INT2SKIP": 4}
    assert set(RSCD().keywords(out.report, out.meta)) == {"INT2BORS", "INT2UGP1"}


def test_a_single_integration():
    groupdq = saturating([10, 3, 2, 0], (1, 10, 1, 8))
    out = RSCD()(ramp_of(np.ones(groupdq.shape), miri(NINTS=1), groupdq=groupdq), RSCD().prepare(refs(), miri()))
    assert (out.groupdq[0, :, 0, 0] == DO_NOT_USE).sum() == 2
    assert set(RSCD().keywords(out.report, out.meta)) == {"INT1BORS", "INT1UGP1"}


def test_the_header_counts_every_row_once():
    """Blocks with a halo, as other steps ask for, count the rows that they answer for."""
    rng = np.random.default_rng(0)
    since = rng.integers(0, 11, (37, 53))
    groupdq = np.where(np.arange(10)[:, None, None] >= since, SATURATED, 0) * np.ones((3, 1, 1, 1), int)
    ramp = ramp_of(np.ones(groupdq.shape), miri(), groupdq=groupdq.astype(np.uint8))
    tables = RSCD().prepare(refs(), miri())
    blocks = [(slice(0, 9), slice(0, 7)), (slice(5, 37), slice(2, 32))]
    parts = [block_of(ramp, rows, interior) for rows, interior in blocks]
    whole = RSCD()(block_of(ramp, slice(0, 37), slice(0, 37)).replace(report=type(ramp.report)()), tables)
    for part in parts:
        RSCD()(part, tables)
    told = RSCD().keywords(whole.report, whole.meta)
    assert RSCD().keywords(ramp.report, ramp.meta) == told
    assert 0 < told["INT1BORS"] < told["INT2BORS"] < 37 * 53
    np.testing.assert_array_equal(
        np.concatenate([part.groupdq[:, :, part.interior] for part in parts], axis=2), whole.groupdq
    )
