"""Components: against SciPy's labels, in shapes that lead astray, and all three forms against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from gpujw.cpu_fallback import label
from gpujw.cpu_fallback.reference import label as reference

JUMP, OTHER = 4, 3
SHAPES = st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 70))


def drawn(*rows):
    """A frame ``[1, ny, nx]`` from a picture of # and dots; what is not flagged has other bits set."""
    return np.array([[[JUMP if pixel == "#" else OTHER for pixel in row] for row in rows]], np.uint8)


def areas(be, put, flags, min_area=1):
    return be.kernel("label").components(put(flags), bit=JUMP, min_area=min_area)[:, 1].tolist()


def test_moments_are_about_the_center(be, put):
    table = be.kernel("label").components(put(drawn("....", ".##.", "..#.")), bit=JUMP, min_area=1)
    np.testing.assert_allclose(table, [[0, 3, 5 / 3, 4 / 3, 2 / 3, 1 / 3, 2 / 3]], rtol=1e-15)


def test_corners_touch(be, put):
    assert areas(be, put, drawn("#..#", ".##.", "#..#")) == [6]
    assert areas(be, put, drawn("#.#", "...", "#.#")) == [1, 1, 1, 1]


def test_arms_that_meet_late_are_one(be, put):
    assert areas(be, put, drawn("#.#.#.#", "#.#.#.#", "#.#.#.#", "#######")) == [19]
    assert areas(be, put, drawn("#######", "#.....#", "#.###.#", "#.#...#", "#.#####")) == [23]


def test_rows_do_not_wrap_round(be, put):
    assert areas(be, put, drawn("..#", "#..", "..#")) == [1, 1, 1]


def test_frames_are_apart_and_in_order(be, put):
    full = np.full((3, 5, 67), JUMP, np.uint8)
    full[1] = 0
    table = be.kernel("label").components(put(full), bit=JUMP, min_area=1)
    assert table[:, :2].tolist() == [[0, 335], [2, 335]]


def test_order_is_that_of_the_first_pixels(be, put):
    assert areas(be, put, drawn("..#...#", "..#..##", "##...##", "##.....")) == [2 + 4, 5]
    assert areas(be, put, drawn("......#", ".#....#", ".......", "##.....")) == [2, 1, 2]


def test_holes_count_towards_the_area_but_not_the_moments(be, put):
    ring = drawn("####", "#..#", "#..#", "####")
    assert areas(be, put, ring, min_area=16) == [12]
    assert areas(be, put, ring, min_area=17) == []


def test_a_hole_leaks_through_a_corner(be, put):
    assert areas(be, put, drawn("###", "#.#", "##."), min_area=8) == []
    assert areas(be, put, drawn(".#.", "#.#", ".#."), min_area=5) == []
    assert areas(be, put, drawn("###", "#.#", "###"), min_area=9) == [8]


def test_a_component_in_a_hole_fills_it(be, put):
    nested = drawn("#######", "#.....#", "#..#..#", "#.....#", "#######")
    assert areas(be, put, nested, min_area=35) == [20]
    assert areas(be, put, nested, min_area=21) == [20]


def test_a_winding_way_out_is_found(be, put):
    spiral = drawn("#########", "#.......#", "#.#####.#", "#.#...#.#", "#.###.#.#", "#.....#.#", "#######.#")
    assert areas(be, put, spiral, min_area=40) == []
    closed = drawn("#########", "#.......#", "#.#####.#", "#.#...#.#", "#.###.#.#", "#.....#.#", "#########")
    assert areas(be, put, closed, min_area=63) == [40]


def test_nothing_flagged(be, put):
    for shape in ((1, 1, 1), (2, 3, 130), (1, 0, 5)):
        table = be.kernel("label").components(put(np.full(shape, OTHER, np.uint8)), bit=JUMP, min_area=1)
        assert table.shape == (0, 7)
        assert table.dtype == np.float64
        assert isinstance(table, np.ndarray)


@pytest.mark.parametrize("fraction", [0.03, 0.3, 0.45, 0.6, 1.0])
@pytest.mark.parametrize("shape", [(2, 37, 53), (1, 1, 193), (3, 71, 1), (1, 29, 131)])
def test_equals_the_reference(be, put, shape, fraction):
    rng = np.random.default_rng(5)
    flags = np.where(rng.random(shape) < fraction, JUMP, 0).astype(np.uint8) | rng.integers(0, 4, shape, np.uint8)
    for min_area in (1, 5, 12, 40):
        found = be.kernel("label").components(put(flags), bit=JUMP, min_area=min_area)
        np.testing.assert_array_equal(found, reference.components(flags, bit=JUMP, min_area=min_area))


@settings(deadline=None, max_examples=200)
@given(arrays(np.uint8, SHAPES, elements=st.sampled_from([0, JUMP])))
def test_equals_scipy_as_partitions(flags):
    labels, count = ndimage.label(flags[0], np.ones((3, 3)))
    y, x = np.indices(labels.shape)
    area, sx, sy, sxx, sxy, syy = (
        ndimage.sum_labels(values, labels, range(1, count + 1)) for values in (x * 0 + 1, x, y, x * x, x * y, y * y)
    )
    expected = [area, sx / area, sy / area, sxx - sx * sx / area, sxy - sx * sy / area, syy - sy * sy / area]
    found = label.components(flags, bit=JUMP, min_area=1)
    # Expected by differences of sums of up to 70 * 70 * 630, in float64.
    np.testing.assert_allclose(found[:, 1:].T, expected, rtol=1e-14, atol=1e-9)
