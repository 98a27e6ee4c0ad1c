"""Painting ellipses: which pixels are inside, what is painted over them, and in which groups."""

from __future__ import annotations

import numpy as np
import pytest

from gpujw.cpu_fallback.reference import ellipse as reference
from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED

SHAPE = 2, 5, 37, 53


def outline(integration, group, box, center, radii, angle=0.0):
    return [integration, group, *box, *center, np.sin(angle), np.cos(angle), *radii]


def painted(be, put, get, ellipse, after=0):
    marks = put(np.zeros(SHAPE, np.uint8))
    groupdq = put(np.zeros(SHAPE, np.uint8))
    be.kernel("ellipse").flag_inplace(marks, groupdq, np.array([ellipse]), after=after, spare=SATURATED)
    return get(marks)


def test_a_pixel_on_the_ellipse_is_outside(be, put, get):
    frame = painted(be, put, get, outline(1, 2, (8, 17, 18, 29), (12, 23), (4.0, 5.0)))[1, 2]
    rows, columns = np.nonzero(frame)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (9, 15, 19, 27)
    dy, dx = np.indices(frame.shape) - np.array([12, 23]).reshape(2, 1, 1)
    np.testing.assert_array_equal(frame, JUMP_DET * ((dy / 4) ** 2 + (dx / 5) ** 2 < 1))


def test_the_first_radius_lies_along_the_rows_at_angle_zero_and_turns(be, put, get):
    box = (0, 37, 0, 53)
    tall = painted(be, put, get, outline(0, 0, box, (18, 26), (9.5, 2.5)))[0, 0]
    assert (tall[18 - 9, 26], tall[18, 26 + 3]) == (JUMP_DET, 0)
    wide = painted(be, put, get, outline(0, 0, box, (18, 26), (9.5, 2.5), np.pi / 2))[0, 0]
    assert (wide[18 - 3, 26], wide[18, 26 + 9]) == (0, JUMP_DET)
    slant = painted(be, put, get, outline(0, 0, box, (18, 26), (9.5, 2.5), np.pi / 4))[0, 0]
    assert (slant[18 + 6, 26 + 6], slant[18 + 6, 26 - 6]) == (JUMP_DET, 0)


def test_the_box_clips(be, put, get):
    frame = painted(be, put, get, outline(0, 0, (0, 3, 50, 53), (1, 52), (20.0, 20.0)))[0, 0]
    assert np.count_nonzero(frame) == 9


def test_only_the_groups_asked_for_are_flagged(be, put, get):
    ellipse = outline(1, 2, (8, 17, 18, 29), (12, 23), (4.0, 5.0))
    for after, last in ((0, 2), (1, 3), (2, 4), (9, 4)):
        flagged = painted(be, put, get, ellipse, after).any(axis=(2, 3))
        assert np.argwhere(flagged).tolist() == [[1, g] for g in range(2, last + 1)]


def test_a_pixel_is_spared_from_its_first_saturated_group_on(be, put, get):
    groupdq = np.full(SHAPE, DO_NOT_USE, np.uint8)
    groupdq[0, 2, 12, 23] = SATURATED
    ellipses = np.array([outline(0, 1, (8, 17, 18, 29), (12, 23), (4.0, 5.0))])
    for spare, expected in ((SATURATED, [0, 4, 0, 0, 0]), (0, [0, 4, 4, 4, 0])):
        marks = put(np.zeros(SHAPE, np.uint8))
        be.kernel("ellipse").flag_inplace(marks, put(groupdq), ellipses, after=2, spare=spare)
        assert get(marks)[0, :, 12, 23].tolist() == expected
        assert get(marks)[0, :, 12, 24].tolist() == [0, 4, 4, 4, 0]


def test_flags_join_what_is_there(be, put, get):
    groupdq = put(np.full(SHAPE, DO_NOT_USE, np.uint8))
    ellipses = np.array([outline(0, 1, (8, 17, 18, 29), (12, 23), (4.0, 5.0))])
    be.kernel("ellipse").flag_inplace(groupdq, groupdq, ellipses, after=0, spare=SATURATED)
    assert get(groupdq)[0, :, 12, 23].tolist() == [1, 5, 1, 1, 1]


def test_saturation_replaces_what_is_there_to_the_end(be, put, get):
    groupdq = put(np.full(SHAPE, DO_NOT_USE | JUMP_DET, np.uint8))
    ellipses = np.array([outline(1, 3, (8, 17, 18, 29), (12, 23), (4.0, 5.0))])
    be.kernel("ellipse").saturate_inplace(groupdq, ellipses)
    found = get(groupdq)
    assert found[1, :, 12, 23].tolist() == [5, 5, 5, SATURATED, SATURATED]
    assert (found[1, :3] == 5).all()
    assert (found[0] == 5).all()


def random_ellipses(count):
    rng = np.random.default_rng(8)
    rows = np.sort(rng.integers(0, SHAPE[2] + 1, (count, 2)), axis=1)
    columns = np.sort(rng.integers(0, SHAPE[3] + 1, (count, 2)), axis=1)
    where = np.stack([rng.integers(0, 2, count), rng.integers(0, 5, count)], axis=1)
    center = np.stack([rng.integers(0, SHAPE[2], count), rng.integers(0, SHAPE[3], count)], axis=1)
    angle = rng.uniform(0, np.pi, (count, 1))
    # Radii may be negative: their squares are meant. Some boxes are empty.
    radii = rng.choice([-2.0, 1.0, 2.0, 5.0, 11.0], (count, 2))
    return np.concatenate([where, rows, columns, center, np.sin(angle), np.cos(angle), radii], axis=1)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_equals_the_reference(be, put, get, count):
    groupdq = np.random.default_rng(2).choice(np.array([0, 1, 2, 4, 6], np.uint8), SHAPE)
    ellipses = random_ellipses(count)
    for run in (
        lambda kernel, flags: kernel.saturate_inplace(flags, ellipses),
        lambda kernel, flags: kernel.flag_inplace(flags, flags, ellipses, after=0, spare=SATURATED),
        lambda kernel, flags: kernel.flag_inplace(flags, flags, ellipses, after=2, spare=0),
    ):
        found, expected = put(groupdq), groupdq.copy()
        run(be.kernel("ellipse"), found)
        run(reference, expected)
        np.testing.assert_array_equal(get(found), expected)
