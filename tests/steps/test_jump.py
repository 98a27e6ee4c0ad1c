"""The jump step: its tables, its choice of method, its keywords, and blocks of any size."""

import dataclasses

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, JUMP_DET, NO_GAIN_VALUE, SATURATED
from gpujw.errors import UsageError
from gpujw.exposure import Report
from gpujw.steps.jump import Jump

from .fakes import FakeReference, block_of, in_blocks, meta_of, on_device, ramp_of

SHAPE = (2, 7, 37, 53)
META = meta_of(NFRAMES=4, TGROUP=10.0, NGROUPS=7, NINTS=2)
GAIN, NOISE = 2.0, 6.0  # e-/DN, DN


def references():
    gain = np.full(SHAPE[2:], GAIN)
    gain[3, 4], gain[5, 6], gain[7, 8] = np.nan, 0, -1
    return {"gain": FakeReference(gain), "readnoise": FakeReference(np.full(SHAPE[2:], NOISE))}


def counts(shape=SHAPE, seed=1, hits=0.02):
    """Ramps of 20 DN a group, with their noise and with cosmic rays of 200 DN."""
    rng = np.random.default_rng(seed)
    data = np.cumsum(rng.poisson(20 * GAIN, shape), axis=1) / GAIN + rng.normal(0, 1, shape)
    return data + np.cumsum(rng.random(shape) < hits, axis=1) * 200


def run(data, put, step=None, meta=META, groupdq=None):
    step = step or Jump()
    ramp = ramp_of(data, meta, put, groupdq=groupdq)
    return step(ramp, on_device(step.prepare(references(), meta), put))


def test_tables_hold_gain_noise_in_electrons_and_what_has_no_gain():
    tables = Jump().prepare(references(), META)
    assert tables["gain"].dtype == tables["readnoise"].dtype == np.float32 and tables["dq"].dtype == np.uint32
    assert tables["readnoise"][0, 0] == GAIN * NOISE
    assert tables["median_gain"] == GAIN
    assert {tuple(yx) for yx in np.argwhere(tables["dq"])} == {(3, 4), (5, 6), (7, 8)}
    assert tables["dq"][3, 4] == NO_GAIN_VALUE | DO_NOT_USE


def test_pixels_without_gain_are_marked_and_counts_stay(put, get, stays_on_device):
    step, data = Jump(), counts().astype(np.float32)
    ramp, tables = ramp_of(data, META, put), on_device(step.prepare(references(), META), put)
    with stays_on_device(reads=1):
        out = step(ramp, tables)
    assert get(out.pixeldq)[5, 6] == NO_GAIN_VALUE | DO_NOT_USE and get(out.pixeldq)[0, 0] == 0
    np.testing.assert_array_equal(get(out.data), data)


def test_most_cosmic_rays_are_found_and_little_else(put, get):
    rng = np.random.default_rng(3)
    struck = rng.random(SHAPE) < 0.01
    struck[:, 0] = False
    data = counts(hits=0) + np.cumsum(struck, axis=1) * 200
    found = get(run(data, put, Jump(flag_4_neighbors=False)).groupdq) == JUMP_DET
    usable = np.isfinite(references()["gain"].image()) & (references()["gain"].image() != 0)
    assert found[struck & usable].mean() > 0.99  # of 25 sigma each, where another is not in the same pixel
    assert (found & ~struck).sum() <= 5  # of 23532 normal deviates 1.5 lie beyond 4 sigma


@pytest.mark.parametrize("size", [1, 5, 37])
@pytest.mark.parametrize(
    "step",
    [
        Jump(),
        Jump(flag_4_neighbors=False),
        Jump(min_diffs_single_pass=5),
        Jump(minimum_sigclip_groups=10, only_use_ints=False, rejection_threshold=2.5),
    ],
)
def test_blocks_give_what_the_whole_gives(size, step):
    tables = step.prepare(references(), META)
    data = counts(hits=0.05)
    ramp = ramp_of(data, META)
    whole = step(ramp_of(data, META), tables)
    assert (whole.groupdq == JUMP_DET).sum() > 500
    blocks = in_blocks(step, ramp, tables, size)
    np.testing.assert_array_equal(blocks.groupdq, whole.groupdq)
    assert step.keywords(ramp.report, ramp.meta) == step.keywords(whole.report, whole.meta)


def test_rows_seen_beside_the_own_are_not_counted():
    step = Jump()
    ramp = ramp_of(counts(hits=0.05), META)
    tables = step.prepare(references(), META)
    rows, interior = slice(9, 20), slice(1, 10)
    inner = dataclasses.replace(block_of(ramp, rows, interior), report=Report())
    outer = dataclasses.replace(block_of(ramp, rows, slice(0, 11)), report=Report())
    parts = [step(block, tables.cut(rows, slice(None))).report.counts for block in (inner, outer)]
    assert parts[0]["jump_pixels"] == 9 * 53 and parts[1]["jump_pixels"] == 11 * 53
    assert 0 < parts[0]["jumps"] < parts[1]["jumps"]


def test_keywords_are_rates_of_what_was_exposed(put):
    data = np.tile(np.arange(1.0, 8.0)[:, None, None] * 20, (2, 1, 37, 53))
    data[1, 3:, 20, 20:23] += 3000
    out = run(data, put)
    exposed = 10.0 * (2 * 7 - 2) * 37 * 53  # s pixel
    # Three jumps, though their neighbors are flagged too.
    assert Jump().keywords(out.report, out.meta) == {"PRIMECRS": 1000 * 3 / exposed, "EXTNCRS": 0.0}
    assert Jump().keywords(Report(), META) == {}


def test_few_groups_are_no_ramp():
    assert "3 groups" in Jump().inapplicable(meta_of(NGROUPS=2))
    assert Jump().inapplicable(meta_of(NGROUPS=3)) is None


def test_neighbors_need_a_row_and_large_events_all():
    nircam, miri = meta_of(), meta_of(INSTRUME="MIRI")
    assert Jump().halo(nircam) == 1 and Jump(flag_4_neighbors=False).halo(nircam) == 0
    assert not Jump().whole(nircam) and Jump().whole(miri)
    assert Jump(expand_large_events=True).whole(nircam) and Jump(find_showers=True).whole(nircam)


@pytest.mark.parametrize(
    ("nint", "ngroup", "unused", "options", "method"),
    [
        (1, 10, [0], {}, "search"),
        (1, 11, [0], {}, "single"),
        (1, 11, [1], {}, "search"),
        (2, 11, [0, 1], {}, "search"),
        (2, 11, [0, 1], {"min_diffs_single_pass": 9}, "single"),
        (1, 4, [2], {}, None),
        (1, 4, [1], {}, "search"),
        (1, 4, [1], {"minimum_groups": 4}, None),
        (99, 4, [0] * 99, {}, "search"),
        (100, 4, [0] * 100, {}, "clip"),
        (100, 4, [2] * 100, {}, "clip"),
        (99, 4, [0] * 99, {"only_use_ints": False}, "clip"),
        (50, 4, [2] * 50, {"only_use_ints": False}, "clip"),
        (49, 4, [2] * 49, {"only_use_ints": False}, None),
    ],
)
def test_the_method_depends_on_what_there_is_to_compare(nint, ngroup, unused, options, method):
    assert Jump(**options).method(nint, ngroup, unused) == method


def test_groups_that_no_pixel_may_use_are_not_counted(put, get):
    """MIRI: of 12 groups two are lost, which leaves nine differences: too few for a single pass."""
    meta = meta_of(INSTRUME="MIRI", NFRAMES=1, TGROUP=10.0)
    shape = (2, 12, 37, 53)
    groupdq = np.zeros(shape, np.uint8)
    groupdq[:, [0, -1]] = DO_NOT_USE
    groupdq[:, 5, 0, 0] = DO_NOT_USE  # of one pixel only
    data = counts(shape, hits=0.03)
    # A low threshold, so that the methods differ.
    steps = [Jump(min_diffs_single_pass=least, rejection_threshold=1.5) for least in (10, 100, 9)]
    default, search, single = (run(data, put, step, meta, groupdq) for step in steps)
    np.testing.assert_array_equal(get(default.groupdq), get(search.groupdq))
    assert (get(default.groupdq) != get(single.groupdq)).any()
    assert default.report.counts["jump_samples"] == (2 * 12 - 4 - 2) * 37 * 53


def test_an_exposure_that_cannot_be_searched_says_so(put, get):
    meta = meta_of(INSTRUME="MIRI", NFRAMES=1, TGROUP=10.0)
    groupdq = np.zeros((1, 4, 37, 53), np.uint8)
    groupdq[:, [0, -1]] = DO_NOT_USE
    groupdq[0, 1, 2, 3], groupdq[0, 1, 4, 5] = JUMP_DET, JUMP_DET | SATURATED
    groupdq[0, 0, 6, 7] = JUMP_DET | DO_NOT_USE
    expected = groupdq.copy()
    expected[0, 1, 4, 5], expected[0, 0, 6, 7] = SATURATED, DO_NOT_USE
    out = run(counts((1, 4, 37, 53), hits=0.1), put, meta=meta, groupdq=groupdq)
    np.testing.assert_array_equal(get(out.groupdq), expected)
    assert Jump().keywords(out.report, out.meta)["PRIMECRS"] == 1000 * -99 / (10.0 * 37 * 53)


def test_sigma_clipping_leaves_a_frame_full_of_jumps(put, get):
    meta = meta_of(INSTRUME="MIRI", NFRAMES=1, TGROUP=10.0)
    data = np.random.default_rng(4).normal(0, 5, (110, 4, 6, 7)) + 100 * np.arange(4)[:, None, None]
    data[30, 2:] += 5000  # a flash
    data[60, 3:, 2, 3] += 5000
    refs = {"gain": FakeReference(np.full((6, 7), GAIN)), "readnoise": FakeReference(np.full((6, 7), NOISE))}
    step = Jump(flag_4_neighbors=False)
    ramp = ramp_of(data, meta, put)
    out = step(ramp, on_device(step.prepare(refs, meta), put))
    found = get(out.groupdq)
    assert found[60, 3, 2, 3] == JUMP_DET and not found[30, 2].any()
    assert out.report.counts["jumps"] == (found & JUMP_DET > 0).sum()


def test_groups_after_jumps_are_flagged_by_time(put, get):
    step = Jump(after_jump_flag_dn1=100, after_jump_flag_time1=25, flag_4_neighbors=False)
    data = np.tile(np.arange(1.0, 8.0)[:, None, None] * 20, (2, 1, 37, 53))
    data[1, 2:, 20, 20] += 150
    data[1, 2:, 20, 22] += 90
    found = get(run(data, put, step).groupdq)
    assert np.flatnonzero(found[1, :, 20, 20]).tolist() == [2, 3, 4]  # 25 s are two groups of 10 s
    assert np.flatnonzero(found[1, :, 20, 22]).tolist() == [2]


def test_thresholds_are_not_negative():
    with pytest.raises(UsageError, match="jump.four_group_rejection_threshold=-1"):
        Jump(four_group_rejection_threshold=-1.0)
