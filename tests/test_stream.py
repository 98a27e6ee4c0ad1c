"""Cutting an exposure into blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpujw import stream


@given(ny=st.integers(1, 300), count=st.integers(1, 300), halo=st.integers(0, 9))
def test_every_row_is_answered_for_once_with_its_halo(ny, count, halo):
    count = min(count, ny)
    answered = []
    for rows, interior in stream.Blocks(ny, count, halo):
        own = range(rows.start + interior.start, rows.start + interior.stop)
        answered += own
        assert rows.start == max(0, own.start - halo)
        assert rows.stop == min(ny, own.stop + halo)
    assert answered == list(range(ny))


@given(
    nint=st.integers(1, 600),
    ngroup=st.integers(1, 60),
    ny=st.integers(1, 2048),
    nx=st.integers(1, 2048),
    halo=st.integers(0, 5),
)
def test_cached_blocks_are_small_and_others_are_one(nint, ngroup, ny, nx, halo):
    shape = (nint, ngroup, ny, nx)
    assert stream.cut(shape, halo, cached=False).count == 1
    blocks = stream.cut(shape, halo, cached=True)
    assert 1 <= blocks.count <= ny
    largest = max(interior.stop - interior.start for _, interior in blocks)
    row = 4 * nint * ngroup * nx
    assert largest * row <= stream.BLOCK_BYTES or largest == 1
