"""The RSCD step against the peer's: flags, counts and what is skipped, over ramps of any length and segments."""

import numpy as np
import pytest

from gpujw.dq import SATURATED
from gpujw.step import SkipStep
from gpujw.steps.rscd import RSCD

from ..steps.fakes import FakeReference, meta_of, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.rscd.rscd_sub")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")

COLUMNS = [("subarray", "S17"), ("readpatt", "S12"), ("group_skip1", "i4"), ("group_skip", "i4")]
KEYWORDS = {
    "SKIP": "ngroups_skip_int",
    "BORS": "keep_groups_saturation_int",
    "UGP1": "keep_bright_firstgroup_int",
}


def table(first, others):
    rows = [("BRIGHTSKY", "FASTR1", 7, 7), ("FULL", "FASTR1", first, others), ("SLITLESSPRISM", "FASTR1", 1, 5)]
    return np.array(rows, COLUMNS)


def by_peer(groupdq, cards, rows):
    model = datamodels.RampModel(
        data=np.ones(groupdq.shape, np.float32),
        groupdq=groupdq.copy(),
        pixeldq=np.full(groupdq.shape[2:], 4, np.uint32),
    )
    model.meta.instrument.name, model.meta.instrument.detector = "MIRI", "MIRIMAGE"
    model.meta.subarray.name = cards["SUBARRAY"]
    names = {"READPATT": "readpatt", "NINTS": "nints", "NGROUPS": "ngroups", "INTSTART": "integration_start"}
    for keyword, name in names.items():
        setattr(model.meta.exposure, name, cards[keyword])
    out = peer.do_correction(model, datamodels.RSCDModel(rscd_group_skip_table=rows))
    said = {}
    for which, suffix in (("INT1", "1"), ("INT2", "2p")):
        for keyword, name in KEYWORDS.items():
            value = getattr(out.meta.rscd, name + suffix)
            if value is not None:
                said[which + keyword] = value
    return out, said


def by_gpujw(groupdq, cards, rows):
    meta = meta_of(**cards)
    ramp = ramp_of(np.ones(groupdq.shape), meta, groupdq=groupdq, pixeldq=np.full(groupdq.shape[2:], 4, np.uint32))
    if RSCD().inapplicable(ramp.meta):
        return ramp, None
    try:
        tables = RSCD().prepare({"rscd": FakeReference(tables={"RSCD_GROUP_SKIP": rows})}, ramp.meta)
    except SkipStep:
        return ramp, None
    out = RSCD()(ramp, tables)
    return out, {**out.report.keywords, **RSCD().keywords(out.report, out.meta)}


def check(shape, first=2, others=4, seed=0, saturated=0.3, **changes):
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    since = np.where(rng.random((nint, 1, ny, nx)) < saturated, rng.integers(0, ngroup, (nint, 1, ny, nx)), ngroup)
    groupdq = np.where(np.arange(ngroup)[:, None, None] >= since, SATURATED, 0).astype(np.uint8)
    groupdq |= rng.choice([0, 0, 1, 4], shape).astype(np.uint8)
    cards = {"DETECTOR": "MIRIMAGE", "SUBARRAY": "FULL", "READPATT": "FASTR1", "INTSTART": 1}
    cards |= {"NINTS": nint, "NGROUPS": ngroup} | changes
    theirs, said = by_peer(groupdq, cards, table(first, others))
    mine, told = by_gpujw(groupdq, cards, table(first, others))
    assert (told is None) == (theirs.meta.cal_step.rscd == "SKIPPED")
    assert (told or {}) == said
    np.testing.assert_array_equal(mine.groupdq, theirs.groupdq)
    np.testing.assert_array_equal(mine.pixeldq, theirs.pixeldq)
    return told


@pytest.mark.parametrize("ngroup", [1, 2, 3, 4, 5, 6, 7, 8, 12])
@pytest.mark.parametrize("nint", [1, 3])
def test_lengths(nint, ngroup):
    told = check((nint, ngroup, 37, 53), seed=ngroup)
    if ngroup == 12 and nint == 3:
        assert 0 < told["INT1BORS"] < told["INT2BORS"] and told["INT2UGP1"] > 0


@pytest.mark.parametrize(("first", "others"), [(0, 0), (-1, 3), (5, 0), (9, 9)])
def test_rows_of_the_table(first, others):
    check((3, 12, 37, 53), first, others)


def test_nothing_saturated():
    assert check((2, 12, 37, 53), 0, 4, saturated=0)["INT1UGP1"] == 0


def test_segments_and_subarrays():
    check((3, 12, 37, 53), INTSTART=4, NINTS=9)
    check((1, 12, 37, 53), INTSTART=1, NINTS=9)
    check((3, 12, 37, 53), INTSTART=None)
    check((3, 12, 37, 53), SUBARRAY="SUBPRISM")
    assert check((3, 12, 37, 53), SUBARRAY="SUB64") is None
