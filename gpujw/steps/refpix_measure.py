"""What the reference pixels of an exposure say: levels to subtract along the columns and rows of each frame.

Amplifiers share the fast axis, which is x or y of the science frame. Mirroring an axis changes none of the rules, so of
FASTAXIS only its direction matters, and all is written in (slow, fast) order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpujw import backend
from gpujw.dq import DO_NOT_USE, REFERENCE_PIXEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujw.exposure import Array, Ramp
    from gpujw.steps.refpix import RefPix

BORDER = 4  # reference pixels along each edge
NEAR_IR = 2048  # pixels of a near-infrared detector along either axis
AMPLIFIERS, WIDTH = 4, 512  # of a near-infrared detector, side by side
OUTPUTS = 4  # of MIRI, column by column in turn
#: NIRSpec subarrays away from the detector's edges: their outermost science columns serve as reference pixels.
EDGELESS = ("SUB512", "SUB512S", "SUB32")


@dataclass(frozen=True)
class Strip:
    """The pixels along one edge: ``data[nint, ngroup, nslow, nfast]`` DN, ``dq[nslow, nfast]``.

    ``slow[nslow, 1]`` and ``fast[1, nfast]`` are their places on the detector.
    """

    data: Array
    dq: Array
    slow: Array
    fast: Array

    @property
    def good(self) -> Array:
        """Which pixels may be used, ``[nslow, nfast]``."""
        return self.dq & DO_NOT_USE == 0


@dataclass(frozen=True)
class Border:
    """The edges of an exposure: ``ends`` of its columns, ``sides`` of its rows, in (slow, fast) order.

    ``first`` is the place on the detector of its first row; ``along_x`` says that the fast axis is x.
    """

    ends: tuple[Strip, Strip]
    sides: tuple[Strip, Strip]
    first: int
    along_x: bool

    @property
    def is_full(self) -> bool:
        """Whether this is the border of a whole near-infrared detector."""
        return bool(self.ends[0].fast.size >= NEAR_IR and self.sides[0].slow.size >= NEAR_IR)


def measure(edges: Mapping[str, Ramp], data: Mapping[str, Array], step: RefPix) -> tuple[Array, Array]:
    """The levels of each frame, DN float64: ``columns[nint, ngroup, nparity, nx]`` and ``rows[nint, ngroup, ny]``.

    ``edges`` are the blocks "bottom", "top", "left" and "right", ``data[edge][nint, ngroup, ...]`` the frames meant.
    """
    meta, border = edges["left"].meta, border_of(edges, data)
    xp = backend.of(*data.values()).xp
    if meta["INSTRUME"] == "MIRI":
        columns = output_levels(border, step)
        return columns, xp.zeros((*columns.shape[:2], border.sides[0].slow.size))
    if border.is_full or meta.get("NOUTPUTS") == AMPLIFIERS:
        fast, slow = amplifier_levels(border, step), None
        if step.use_side_ref_pixels:
            slow = side_levels(border, fast, step)
    else:
        fast, slow = subarray_levels(border, step), None
    if slow is None:
        slow = xp.zeros((*fast.shape[:2], border.sides[0].slow.size))
    columns, rows = (fast, slow) if border.along_x else (slow, fast)
    return xp.ascontiguousarray(columns[:, :, None]), xp.ascontiguousarray(rows)


def border_of(edges: Mapping[str, Ramp], data: Mapping[str, Array]) -> Border:
    """The edges of an exposure, turned so that the fast axis comes last."""
    meta = edges["left"].meta
    xp = backend.of(*data.values()).xp
    (ny, wide), (high, nx) = data["left"].shape[-2:], data["bottom"].shape[-2:]
    y, x = xp.arange(ny)[:, None], xp.arange(nx)[None]
    outermost = (x < BORDER) | (x >= nx - BORDER)
    along_x = abs(meta["FASTAXIS"]) == 1

    def strip(name: str, rows: slice = slice(None), columns: slice = slice(None)) -> Strip:
        dq, slow, fast = edges[name].pixeldq, y[rows] + (meta["SUBSTRT2"] - 1), x[:, columns] + (meta["SUBSTRT1"] - 1)
        if meta.get("SUBARRAY") in EDGELESS:
            dq = xp.where(outermost[:, columns], dq | REFERENCE_PIXEL, dq)
        if along_x:
            return Strip(data[name], dq, slow, fast)
        return Strip(data[name].swapaxes(-2, -1), dq.T, fast.T, slow.T)

    across = strip("bottom", rows=slice(high)), strip("top", rows=slice(ny - high, ny))
    along = strip("left", columns=slice(wide)), strip("right", columns=slice(nx - wide, nx))
    if along_x:
        return Border(across, along, meta["SUBSTRT2"] - 1, along_x)
    return Border(along, across, meta["SUBSTRT1"] - 1, along_x)


def amplifier_levels(border: Border, step: RefPix) -> Array:
    """Levels ``[nint, ngroup, nfast]`` of four amplifiers, by parity of the column, from the rows at both ends.

    An amplifier without a good reference pixel in either parity has none.
    """
    xp = backend.of(border.ends[0].data).xp
    nparity = 2 if step.odd_even_columns else 1
    inside = at_border(*(end.slow for end in border.ends))
    means = []
    for strip, at in zip(border.ends, inside, strict=True):
        label = xp.where(strip.good & at, strip.fast // WIDTH * nparity + strip.fast % nparity, -1)
        means.append(clipped_means([strip], [label], (AMPLIFIERS, nparity), step))
    level = average(*means)
    level = xp.where(xp.isnan(level).any(axis=-1, keepdims=True), 0, level)
    fast = border.ends[0].fast[0]
    return level[:, :, fast // WIDTH, fast % nparity]


def side_levels(border: Border, fast: Array, step: RefPix) -> Array:
    """Levels ``[nint, ngroup, nslow]``: medians of the rows about each, at both sides, once ``fast`` is subtracted."""
    be = backend.of(fast)
    wide = border.sides[0].fast.size
    inside = at_border(*(side.fast for side in border.sides))
    medians = []
    for strip, at, level in zip(border.sides, inside, (fast[..., :wide], fast[..., -wide:]), strict=True):
        values = be.xp.ascontiguousarray(strip.data - level[:, :, None])
        good = be.xp.ascontiguousarray(strip.good & at).astype(be.xp.uint8)
        found = be.kernel("refpix").running_medians(
            values.reshape(-1, *good.shape), good, window=step.window, first=border.first, length=NEAR_IR
        )
        medians.append(found.reshape(values.shape[:3]))
    return be.xp.nan_to_num(average(*medians)) * step.side_gain


def subarray_levels(border: Border, step: RefPix) -> Array:
    """Levels ``[nint, ngroup, nfast]`` of a single output, by parity of the column, from all reference pixels.

    Without a good reference pixel in either parity there are none.
    """
    xp = backend.of(border.ends[0].data).xp
    nparity = 2 if step.odd_even_columns else 1
    (bottom, top), (left, right) = border.ends, border.sides
    between = (left.slow > bottom.slow[-1]) & (left.slow < top.slow[0])
    # Each pixel once: strips meet in the corners, and overlap where there are fewer than eight rows or columns.
    once = [bottom.slow >= 0, top.slow > bottom.slow[-1], between, between & (right.fast > left.fast[:, -1])]
    strips = (bottom, top, left, right)
    labels = [
        xp.where(strip.good & (strip.dq & REFERENCE_PIXEL != 0) & new, strip.fast % nparity, -1)
        for strip, new in zip(strips, once, strict=True)
    ]
    level = clipped_means(strips, labels, (nparity,), step)
    level = xp.where(xp.isnan(level).any(axis=-1, keepdims=True), 0, level)
    return level[:, :, bottom.fast[0] % nparity]


def output_levels(border: Border, step: RefPix) -> Array:
    """Levels ``[nint, ngroup, nparity, nx]`` of MIRI's outputs, relative to each integration's first group.

    From the reference columns of both sides, by parity of the row; none for frames where any of them is wholly bad.
    """
    xp = backend.of(border.sides[0].data).xp
    nparity = 2 if step.odd_even_rows else 1
    means = []
    for side in border.sides:
        strip = replace(side, data=side.data - side.data[:, :1])
        label = xp.where(strip.good, strip.fast % OUTPUTS * nparity + strip.slow % nparity, -1)
        means.append(clipped_means([strip], [label], (OUTPUTS, nparity), step))
    level = 0.5 * (means[0] + means[1])
    level = xp.where(xp.isnan(level).any(axis=(2, 3), keepdims=True), 0, level)
    x = border.ends[0].fast[0]
    return xp.ascontiguousarray(level[:, :, x % OUTPUTS].swapaxes(-2, -1))


def clipped_means(strips: Sequence[Strip], labels: Sequence[Array], shape: tuple[int, ...], step: RefPix) -> Array:
    """Sigma-clipped means ``[nint, ngroup, *shape]`` of the pixels of each label; NaN where there are none.

    ``labels[strip][nslow, nfast]`` count through ``shape``; pixels labelled -1 are left out.
    """
    be = backend.of(labels[0])
    frames = strips[0].data.shape[:2]
    label = be.xp.concatenate([part.ravel() for part in labels])
    values = [be.xp.ascontiguousarray(strip.data).reshape(math.prod(frames), -1) for strip in strips]
    # By label, then by place: keys without ties sort alike everywhere.
    order = be.xp.argsort(label * label.size + be.xp.arange(label.size))
    starts = be.xp.searchsorted(label[order], be.xp.arange(math.prod(shape) + 1))
    samples = values[0] if len(values) == 1 else be.xp.concatenate(values, axis=1)
    means = be.kernel("refpix").clipped_means(samples, order, starts, siglimit=step.siglimit)
    return means.reshape(*frames, *shape)


def at_border(low: Array, high: Array) -> tuple[Array, Array]:
    """Which places lie among the detector's first, and which among its last reference pixels."""
    return low < BORDER, high >= NEAR_IR - BORDER


def average(a: Array, b: Array) -> Array:
    """The mean of two levels; of one where the other is NaN."""
    xp = backend.of(a, b).xp
    return xp.where(xp.isnan(a), b, xp.where(xp.isnan(b), a, 0.5 * (a + b)))
