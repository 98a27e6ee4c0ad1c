"""Blocks: an exposure goes through its steps in rows that fit the cache, or whole where a step must see all of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gpujw.exposure import Ramp, Report
from gpujw.step import Stage, Tables, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gpujw.io import Loader

#: Bytes of a float32 block that leave room, in a shared cache of some 32 MiB, for flags and references.
CACHE_BYTES = 6 << 20
#: Bytes that a block may take where its halo would cost more than the cache gives.
BLOCK_BYTES = 512 << 20
#: Width of the frame's edge that holds reference pixels.
EDGE = 4


@dataclass(frozen=True)
class Blocks:
    """How an exposure of ``ny`` rows is cut: ``count`` nearly equal blocks, each seeing ``halo`` rows beyond its own."""

    ny: int
    count: int
    halo: int

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """Rows seen and, within them, the rows answered for."""
        bounds = [self.ny * i // self.count for i in range(self.count + 1)]
        for first, last in zip(bounds, bounds[1:], strict=False):
            start, stop = max(0, first - self.halo), min(self.ny, last + self.halo)
            yield slice(start, stop), slice(first - start, last - start)


def cut(shape: tuple[int, int, int, int], halo: int, *, cached: bool) -> Blocks:
    """Blocks for ramps of ``shape``: small ones where a cache is to be used, else one."""
    nint, ngroup, ny, nx = shape
    row = 4 * nint * ngroup * nx
    if not cached:
        return Blocks(ny, 1, halo)
    rows = min(max(CACHE_BYTES // row, 16 * max(1, halo)), max(1, BLOCK_BYTES // row))
    return Blocks(ny, -(-ny // max(1, rows)), halo)


def calibrate(
    stages: Sequence[Stage],
    loader: Loader,
    shape: tuple[int, int, int, int],
    taps: Mapping[str, Callable[[Any], None]],
    *,
    cached: bool,
    tick: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Take an exposure through ``stages``; ``taps`` get every block after the step they are named for, interior marked.

    ``cached`` cuts small blocks; ``tick`` is told what fraction of the rows is done.
    """
    active = [stage for stage in stages if stage.skipped is None]
    _measure(active, loader, shape)
    meta = loader.meta
    first_whole = next(
        (i for i, stage in enumerate(stages) if stage.skipped is None and stage.step.whole(meta)), len(stages)
    )
    front, back = stages[:first_whole], stages[first_whole:]
    halo = sum(stage.step.halo(meta) for stage in front if stage.skipped is None)
    blocks = cut(shape, halo, cached=cached)
    if blocks.count == 1 or not back:
        for rows, interior in blocks:
            run(stages, loader.block(rows, interior), taps)
            tick(rows.stop / blocks.ny)
        return
    whole = loader.whole(shape)
    for rows, interior in blocks:
        _keep(whole, run(front, loader.block(rows, interior), taps))
        tick(rows.stop / blocks.ny / 2)
    run(back, whole, taps)


def _keep(whole: Ramp, block: Ramp) -> None:
    """Copy a block's own rows to their place in the whole exposure."""
    own = slice(block.rows.start + block.interior.start, block.rows.start + block.interior.stop)
    whole.data[:, :, own] = block.data[:, :, block.interior]
    whole.groupdq[:, :, own] = block.groupdq[:, :, block.interior]
    whole.pixeldq[own] = block.pixeldq[block.interior]
    for name in ("zeroframe", "dark_rate"):
        part, target = getattr(block, name), getattr(whole, name)
        if part is not None:
            target[..., own, :] = part[..., block.interior, :]


def _measure(stages: Sequence[Stage], loader: Loader, shape: tuple[int, int, int, int]) -> None:
    """Let each step that measures on the frame's edges do so, on edges taken through the steps before it."""
    for i, stage in enumerate(stages):
        if stage.step.measures and not stage.step.whole(loader.meta):
            before = [Stage(s.step, s.tables) for s in stages[:i]]
            halo = sum(s.step.halo(loader.meta) for s in before)
            with stage.timed(loader.backend.xp):
                edges = {name: _edge(before, loader, shape, halo, name) for name in ("bottom", "top", "left", "right")}
                measured = stage.step.measure(edges, stage.tables)
            stage.tables = Tables({**stage.tables.rows, **measured.rows}, {**stage.tables.fixed, **measured.fixed})


def _edge(before: Sequence[Stage], loader: Loader, shape: tuple[int, int, int, int], halo: int, name: str) -> Ramp:
    """One edge of the frames, four pixels wide, after the steps ``before``; what they count there is not reported."""
    ny, nx = shape[2:]
    span, along = (ny, slice(0, nx)) if name in ("bottom", "top") else (nx, slice(0, ny))
    low = name in ("bottom", "left")
    wide = slice(0, min(span, EDGE + halo)) if low else slice(max(0, span - EDGE - halo), span)
    own = slice(0, EDGE) if low else slice(max(0, wide.stop - wide.start - EDGE), None)
    rows, columns = (wide, along) if name in ("bottom", "top") else (along, wide)
    scratch = replace(loader, report=Report(), _arrays={})
    ramp = run(before, scratch.block(rows, slice(0, rows.stop - rows.start), columns))
    keep = (own, slice(None)) if name in ("bottom", "top") else (slice(None), own)
    xp = loader.backend.xp
    cropped = {
        f: xp.ascontiguousarray(getattr(ramp, f)[(..., *keep)])
        for f in ("data", "groupdq", "pixeldq", "zeroframe", "dark_rate")
        if getattr(ramp, f) is not None
    }
    edge: Ramp = ramp.replace(**cropped)
    return edge
