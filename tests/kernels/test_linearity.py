"""Linearity polynomials: ramps that are straight by construction, and the twins against the reference, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpujw.cpu_fallback import linearity as twin
from gpujw.cpu_fallback.reference import linearity as reference
from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED

FULL_WELL = 60000.0


def polynomials(rng, ny, nx, ncoeff):
    """Close to the identity: the term of order k is some per cent of the counts at full well."""
    sizes = np.array([2.0, 0.01, *(0.03 * FULL_WELL ** (1 - k) for k in range(2, ncoeff))])[:ncoeff]
    coeffs = rng.normal(0, 1, (ny, ncoeff, nx)) * sizes[:, None]
    coeffs[:, min(1, ncoeff - 1)] += 1
    return coeffs.astype(np.float32)


def ramps(shape, seed=0, ncoeff=5, ninverse=4):
    """Rising counts, saturated late, early or not at all, with NaN; polynomials, and others for the way back."""
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    data = np.cumsum(rng.uniform(0, 2 * FULL_WELL / ngroup, shape), axis=1).astype(np.float32)
    groupdq = np.where(data > FULL_WELL, SATURATED, 0) | np.where(rng.random(shape) < 0.1, DO_NOT_USE | JUMP_DET, 0)
    groupdq[rng.random(shape) < 0.02] |= SATURATED
    data[rng.random(shape) < 0.01] = np.nan
    coeffs, inverse = (polynomials(rng, ny, nx, n) for n in (ncoeff, ninverse))
    return data, groupdq.astype(np.uint8), coeffs, inverse


def linearized(be, put, get, arrays, nframe=None):
    """The counts after the kernel, which must have changed nothing else."""
    data, groupdq, coeffs, inverse = (put(array) for array in arrays)
    if nframe is None:
        be.kernel("linearity").linearize_inplace(data, groupdq, coeffs)
    else:
        be.kernel("linearity").linearize_reads_inplace(data, groupdq, coeffs, inverse, nframe=nframe)
    for held, array in zip((groupdq, coeffs, inverse), arrays[1:], strict=True):
        np.testing.assert_array_equal(get(held), array)
    return get(data)


def expected_of(arrays, nframe=None):
    data = arrays[0].copy()
    if nframe is None:
        reference.linearize_inplace(data, *arrays[1:3])
    else:
        reference.linearize_reads_inplace(data, *arrays[1:], nframe=nframe)
    return data


SIZES = [(2, 7, 37, 53), (1, 1, 1, 71), (3, 2, 37, 1), (1, 3, 300, 5), (1, 2, 0, 5)]


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("ncoeff", [2, 5, 11])
def test_groups_as_the_reference(be, put, get, shape, ncoeff):
    arrays = ramps(shape, ncoeff=ncoeff)
    np.testing.assert_array_equal(linearized(be, put, get, arrays), expected_of(arrays))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(("nframe", "ncoeff", "ninverse"), [(1, 5, 4), (2, 2, 3), (8, 5, 4)])
def test_reads_as_the_reference(be, put, get, shape, nframe, ncoeff, ninverse):
    arrays = ramps(shape, ncoeff=ncoeff, ninverse=ninverse)
    np.testing.assert_array_equal(linearized(be, put, get, arrays, nframe), expected_of(arrays, nframe))


def test_values(be, put, get):
    data = np.full((1, 2, 37, 53), 3, np.float32)
    groupdq = np.zeros(data.shape, np.uint8)
    groupdq[0, 1, ::2] = SATURATED | JUMP_DET
    groupdq[0, 0] = 255 - SATURATED
    coeffs = np.ones((37, 3, 53), np.float32) * np.array([5, 7, 11], np.float32)[:, None]
    coeffs[36, 2, 52] = 0
    out = linearized(be, put, get, (data, groupdq, coeffs, coeffs))
    assert (out[0, 1, ::2] == 3).all()
    assert out[0, 0, 36, 52] == 5 + 7 * 3
    assert (out[0, 0].ravel()[:-1] == 5 + 7 * 3 + 11 * 9).all() and (out[0, 1, 1::2] == 125).all()


def bent(counts):
    """What a detector with a bent response shows for ``counts``: the first two terms of the inverse of ``straight``."""
    return counts - 2e-6 * counts**2


def straightened_ramp(nframe, rate=600.0, ngroup=6):
    """Averages of the reads of a straight ramp, true and as they are seen; the kernel's arrays, seen counts first."""
    reads = rate * (1 + np.arange(ngroup * nframe)).reshape(ngroup, nframe)
    shape = (1, ngroup, 37, 53)
    true, seen = (np.broadcast_to(r.mean(axis=1)[:, None, None], shape) for r in (reads, bent(reads)))
    # y = x - a x^2, so x = y + a y^2 + 2 a^2 y^3 + 5 a^3 y^4 + 14 a^4 y^5 + ...
    catalan = [0, 1, 2e-6, 8e-12, 40e-18, 224e-24, 1344e-30, 8448e-36]
    coeffs, inverse = (np.broadcast_to(np.array(c)[:, None], (37, len(c), 53)) for c in (catalan, [0, 1, -2e-6]))
    types = (np.float32, np.uint8, np.float32, np.float32)
    return true, [a.astype(t) for a, t in zip((seen, np.zeros(shape), coeffs, inverse), types, strict=True)]


def test_the_average_of_bent_reads_is_straightened(be, put, get):
    true, arrays = straightened_ramp(8)
    by_reads, by_groups = linearized(be, put, get, arrays, 8), linearized(be, put, get, arrays)
    # Curvature 2e-6 and reads scattered by 600 * 2.29: groups come out low by 2e-6 * 1375^2 = 3.8 DN or more.
    assert (true - by_groups > 3).all()
    # The rate is found from groups that are low by some DN in 28 000 each: by then the spread is right to 1e-4; the
    # rest is the series, cut at order 7, and the spacing of float32 there, 0.002 DN.
    assert np.abs(by_reads - true).max() < 0.05


def test_saturated_groups_do_not_guide_the_reads(be, put, get):
    true, arrays = straightened_ramp(4)
    arrays[0][:, 4:] = 65535
    arrays[1][:, 4:] = SATURATED
    out = linearized(be, put, get, arrays, 4)
    assert (out[:, 4:] == 65535).all()
    assert np.abs(out - true)[:, :4].max() < 0.05


def test_single_reads_are_groups(be, put, get):
    # One read a group: predicted and shifted it is the group itself, whatever the way back. Rounding: float64
    # polynomials rounded once against float32 ones rounded at every term.
    arrays = ramps((2, 7, 37, 53))
    arrays[0][np.isnan(arrays[0])] = 7
    by_reads, by_groups = linearized(be, put, get, arrays, 1), linearized(be, put, get, arrays)
    np.testing.assert_allclose(by_reads, by_groups, rtol=5 * 2**-23, atol=0.05)


def test_one_group_has_no_rate(be, put, get):
    arrays = ramps((2, 1, 37, 53))
    arrays[0][np.isnan(arrays[0])] = 7
    by_reads, by_groups = linearized(be, put, get, arrays, 8), linearized(be, put, get, arrays)
    np.testing.assert_allclose(by_reads, by_groups, rtol=5 * 2**-23, atol=0.05)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(1, 40)),
    nframe=st.sampled_from([None, 1, 3, 4]),
    seed=st.integers(0, 99),
)
def test_twin_as_the_reference(shape, nframe, seed):
    arrays = ramps(shape, seed)
    expected = expected_of(arrays, nframe)
    if nframe is None:
        twin.linearize_inplace(*arrays[:3])
    else:
        twin.linearize_reads_inplace(*arrays, nframe=nframe)
    np.testing.assert_array_equal(arrays[0], expected)
