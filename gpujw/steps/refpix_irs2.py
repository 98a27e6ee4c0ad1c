"""What reference output and reference samples say of NIRSpec's IRS2 frames, and taking it off their pixels.

Each amplifier is corrected in the Fourier space of a whole frame in the order of time: its interleaved reference samples
times ``beta``, the reference output times ``alpha``, weights by frequency from the ``refpix`` reference file.
Rauscher et al. 2017 (PASP 129, 105003), section 4; "IRS2 Handoff", 2013, of which the filter's numbers are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import backend, irs2
from gpujw.dq import BAD_REF_PIXEL, DO_NOT_USE
from gpujw.errors import ReferenceError
from gpujw.steps.refpix_fourier import RADIX, ROW, SAMPLES, TICKS, mirrored, plan, real_series, smooth, spectrum
from gpujw.steps.refpix_measure import BORDER, Strip, average, clipped_means

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gpujw.exposure import Array, Meta, Ramp
    from gpujw.references import Reference
    from gpujw.step import Tables
    from gpujw.steps.refpix import RefPix

PASSES = 3  # of the filter over the gaps
NEVER = np.iinfo(np.int32).max
CLIPS = 5  # passes of a sigma clip


def prepare(reference: Reference, meta: Meta, *, preserve: bool) -> dict[str, Any]:
    """The weights by frequency of a frame's time series, and the frame's plan: what is where, and when it was read.

    ``alpha``, ``beta[4, 89, 8193]`` complex64. ``known[89, 16384]``: which ticks hold pixels. ``stage[nrow]``: at which
    row of the file's DQ table a sample is found bad, NEVER if at none. ``target[nrow]``: the row that each becomes;
    ``preserve`` keeps all rows.
    """
    turned = irs2.reverse(meta)
    pixels = irs2.is_pixel(irs2.ROWS, reverse=turned)
    kept = np.ones_like(pixels) if preserve else pixels
    ticks = irs2.tick_of(irs2.ROWS)
    known = np.zeros(TICKS, bool)
    known[ticks[~irs2.is_reference(irs2.ROWS)[: ticks.size]]] = True
    samples = np.flatnonzero(irs2.is_reference(irs2.ROWS))
    return {
        **weights(reference),
        **plan(),
        "window": np.sin(np.arange(1, 32, dtype=np.float32) / 32 * np.float32(np.pi)),
        "stage": stages(reference, turned=turned),
        "target": np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32),
        "pixels": np.flatnonzero(pixels),
        "known": np.ascontiguousarray(np.tile(known, irs2.PIXELS).reshape(ROW, RADIX).T),
        "samples": samples,
        "time": edge_times(turned=turned),
    }


def weights(reference: Reference) -> dict[str, NDArray[np.complex64]]:
    """``alpha`` and ``beta`` of each amplifier as spectra; ReferenceError if there are not as many as bins."""
    table, found = reference.table("IRS2"), {}
    if table.size != 2 * SAMPLES:
        raise ReferenceError(f"{reference.path}: the table IRS2 has {table.size} rows; {2 * SAMPLES} are needed")
    for name in ("alpha", "beta"):
        every = np.stack([table[f"{name}_{k}"].astype(np.float32).view(np.complex64) for k in range(4)])
        found[name] = mirrored(every)
    return found


def stages(reference: Reference, *, turned: bool) -> NDArray[np.int32]:
    """Where the file's DQ table finds reference samples bad: the first of its rows that does, for each row of a frame."""
    stage = np.full(irs2.ROWS, NEVER, np.int32)
    if "DQ" in reference:
        for number, (output, parity, mask) in enumerate(reference.table("DQ").tolist()):
            second = (parity == 2) != (output % 2 == 0)
            for bit in (bit for bit in range(32) if mask >> bit & 1):
                at = output * irs2.ROWS // irs2.OUTPUTS + irs2.NORMAL // 2 + bit * irs2.PERIOD + 2 * second
                stage[at : at + 2] = np.minimum(stage[at : at + 2], number)
    return stage[::-1].copy() if turned else stage


def edge_times(*, turned: bool) -> NDArray[np.float64]:
    """``[nrow, 8]`` ticks from the middle of a frame to each sample of its first and last four columns."""
    lines = np.arange(irs2.PIXELS)[:: -1 if turned else 1]
    time = np.empty((irs2.ROWS, 2 * BORDER))
    rows = irs2.rows_in_time(irs2.ROWS, reverse=turned)
    edges = np.append(lines[:BORDER], lines[-BORDER:]) * TICKS
    time[rows] = edges + irs2.tick_of(irs2.ROWS)[:, None] - (SAMPLES - 1) / 2
    return time


def correct(ramp: Ramp, tables: Tables, step: RefPix) -> Ramp:
    """The exposure without what its amplifiers and references share, and without all rows but those of pixels."""
    found_bad(ramp, tables, step.ovr_corr_mitigation_ftr)
    if step.irs2_mean_subtraction:
        subtract_means(ramp, step)
    xp = backend.of(ramp.data).xp
    flagged = (ramp.pixeldq & BAD_REF_PIXEL != 0).any(axis=1)
    turned = irs2.reverse(ramp.meta)
    sources = sources_of(flagged, tables, turned=turned)
    kept = Kept(ramp.data, int(irs2.ROWS if step.preserve_irs2_refpix else irs2.PIXELS))
    for i in range(ramp.data.shape[0]):
        for frames in corrected(ramp.data[i], sources, tables, turned=turned, nrow=kept.nrow):
            kept.add(frames)
    ramp = ramp.replace(data=kept.array)
    if step.preserve_irs2_refpix:
        return ramp
    pixels = tables["pixels"]
    flags = Kept(ramp.groupdq, irs2.PIXELS)
    for groups in ramp.groupdq:
        for flag in groups:
            flags.add(flag[None, pixels])
    rows = slice(0, irs2.PIXELS)
    planes = {
        name: xp.ascontiguousarray(getattr(ramp, name)[..., pixels, :])
        for name in ("pixeldq", "zeroframe", "dark_rate")
        if getattr(ramp, name) is not None
    }
    return ramp.replace(groupdq=flags.array, rows=rows, interior=rows, **planes)


class Kept:
    """Frames of fewer rows, put into the memory of those they were made of: one behind the other, never ahead of them."""

    def __init__(self, frames: Array, nrow: int) -> None:
        self.nrow, self._count = nrow, 0
        nint, ngroup, _, nx = frames.shape
        self._shape = (nint, ngroup, nrow, nx)
        self._flat = frames.reshape(-1)[: nint * ngroup * nrow * nx].reshape(-1, nrow, nx)

    def add(self, frames: Array) -> None:
        """Put ``frames[n, nrow, nx]``, a copy of the next ones."""
        self._flat[self._count : self._count + len(frames)] = frames
        self._count += len(frames)

    @property
    def array(self) -> Array:
        """All of them, ``[nint, ngroup, nrow, nx]``."""
        return self._flat.reshape(self._shape)


def found_bad(ramp: Ramp, tables: Tables, sigma: float) -> None:
    """Flag reference samples that stand out from those of their output: BAD_REF_PIXEL and DO_NOT_USE in ``pixeldq``.

    The two samples of one reference pixel go together. Over all groups of an integration: mean difference of the two,
    mean, and standard deviation; a pair with any of them more than ``sigma`` deviations above the clipped mean of its
    output's pairs is bad, in all integrations. Pairs that were flagged before do not count.
    """
    xp, rows = backend.of(ramp.data).xp, tables["samples"]
    known = (ramp.pixeldq[rows] & BAD_REF_PIXEL != 0).any(axis=1)
    valid = ~known.reshape(irs2.OUTPUTS, 1, -1, 2).any(axis=-1)
    bad = xp.zeros((irs2.OUTPUTS, valid.shape[2]), bool)
    for groups in ramp.data:
        values = pair_statistics(groups, rows).reshape(3, irs2.OUTPUTS, -1).swapaxes(0, 1)
        mean, scatter = clipped(values, xp.broadcast_to(valid, values.shape), sigma)
        bad |= (valid & (values - mean > sigma * scatter)).any(axis=1)
    bad = known | xp.repeat(bad.ravel(), 2)
    pixeldq = ramp.pixeldq
    pixeldq[rows] |= xp.where(bad[:, None], np.uint32(BAD_REF_PIXEL | DO_NOT_USE), np.uint32(0))


def pair_statistics(groups: Array, rows: Array) -> Array:
    """``[3, npair]`` of rows that pair up, ``groups[ngroup, nrow, nx]``: mean difference, mean, standard deviation."""
    xp = backend.of(groups).xp
    sums = xp.zeros((3, rows.size // 2))
    for frame in groups:
        pair = frame[rows].reshape(-1, 2, frame.shape[1])
        sums[0] += xp.abs(pair[:, 1] - pair[:, 0]).sum(axis=1, dtype=np.float64)
        sums[1] += pair.sum(axis=(1, 2), dtype=np.float64)
        sums[2] += xp.square(pair).sum(axis=(1, 2), dtype=np.float64)
    number = groups.shape[0] * groups.shape[2]
    mean = sums[1] / (2 * number)
    deviation = xp.sqrt(xp.maximum(sums[2] / (2 * number) - mean**2, 0))
    return xp.stack([sums[0] / number, mean, deviation])


def clipped(values: Array, valid: Array, sigma: float) -> tuple[Array, Array]:
    """Mean and deviation of the valid values along the last axis, those beyond ``sigma`` about the median left out."""
    xp = backend.of(values).xp
    for _ in range(CLIPS):
        ordered, number = xp.sort(xp.where(valid, values, np.inf), axis=-1), valid.sum(axis=-1, keepdims=True)
        low, high = (xp.take_along_axis(ordered, xp.maximum(number - 1 + k, 0) // 2, axis=-1) for k in (0, 1))
        valid = valid & (xp.abs(values - (low + high) / 2) <= sigma * moments(values, valid)[1])
    return moments(values, valid)


def moments(values: Array, valid: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the valid values along the last axis."""
    xp = backend.of(values).xp
    number = xp.maximum(valid.sum(axis=-1, keepdims=True), 1)
    mean = xp.where(valid, values, 0).sum(axis=-1, keepdims=True) / number
    return mean, xp.sqrt(xp.where(valid, (values - mean) ** 2, 0).sum(axis=-1, keepdims=True) / number)


def subtract_means(ramp: Ramp, step: RefPix) -> None:
    """Take off each output of every frame the level of the pixels at its first and last lines, by parity of the pixel.

    The two samples of a reference pixel are of one parity.
    """
    be = backend.of(ramp.data)
    row = be.xp.arange(irs2.ROWS)
    place = irs2.ROWS - 1 - row if irs2.reverse(ramp.meta) else row
    inside = place % (irs2.ROWS // irs2.OUTPUTS)
    sampled = (inside - irs2.NORMAL // 2) % irs2.PERIOD < irs2.REFERENCE
    nparity = 2 if step.odd_even_columns else 1
    parity = be.xp.where(sampled, place // 2, place) % nparity
    label = place // (irs2.ROWS // irs2.OUTPUTS) * nparity + parity
    means = []
    for columns in (slice(0, BORDER), slice(-BORDER, None)):
        good = ramp.pixeldq[:, columns] & DO_NOT_USE == 0
        strip = Strip(ramp.data[..., columns], ramp.pixeldq[:, columns], row[:, None], row[None, :BORDER])
        means.append(clipped_means([strip], [be.xp.where(good, label[:, None], -1)], (irs2.OUTPUTS, nparity), step))
    level = average(*means)
    level = be.xp.where(be.xp.isnan(level).any(axis=-1, keepdims=True), 0, level)
    rows = be.xp.ascontiguousarray(level.reshape(*level.shape[:2], -1)[:, :, label])
    columns = be.xp.zeros((*level.shape[:2], 1, ramp.data.shape[3]))
    be.kernel("refpix").subtract_inplace(ramp.data, columns, rows, row_start=0, keep_zeros=False)


@dataclass(frozen=True)
class Search:
    """Good samples at the time when those in the rows ``at`` are replaced: when they are found bad themselves."""

    flagged: Array
    stage: Array
    at: Array

    def good(self, step: int) -> Array:
        """The rows ``step`` beyond, where these are good reference samples of the same output; -1 elsewhere."""
        xp = backend.of(self.flagged).xp
        length, nrow = irs2.ROWS // irs2.OUTPUTS, irs2.ROWS
        there = self.at + step
        inside = (there >= 0) & (there < nrow) & (there // length == self.at // length)
        there = xp.where(inside, there, 0)
        sampled = (there % length - irs2.NORMAL // 2) % irs2.PERIOD < irs2.REFERENCE
        now = xp.where(self.flagged[self.at], -1, self.stage[self.at])
        return xp.where(inside & sampled & ~self.flagged[there] & (self.stage[there] > now), there, -1)


def sources_of(flagged: Array, tables: Tables, *, turned: bool) -> Array:
    """``[nrow, 2]`` int32: the two rows whose mean stands for each; the row itself twice, -1 twice for zero.

    A bad sample is replaced by those of the same parity, one turn before and after, by one of them, by one of the other
    parity, or by nothing. Samples ``flagged[nrow]`` go first, then those of the reference file's DQ table, row by row of
    it and in the detector's order: what is found bad later still serves.
    """
    xp = backend.of(flagged).xp
    every = xp.arange(flagged.size)
    sampled = (every % (irs2.ROWS // irs2.OUTPUTS) - irs2.NORMAL // 2) % irs2.PERIOD < irs2.REFERENCE
    bad = sampled & (flagged | (tables["stage"] < NEVER))
    search = Search(flagged, tables["stage"], every)
    below, above = search.good(-irs2.PERIOD), search.good(irs2.PERIOD)
    before, after = search.good(-2), search.good(2)
    upward = flagged | (not turned)  # the order in which neighbours are asked
    first, second = xp.where(upward, before, after), xp.where(upward, after, before)
    neighbour = xp.where(first >= 0, first, second)
    one, other = xp.where(below >= 0, below, above), xp.where(above >= 0, above, below)
    pair = xp.stack([xp.where(one >= 0, one, neighbour), xp.where(other >= 0, other, neighbour)], axis=1)
    return xp.ascontiguousarray(xp.where(bad[:, None], pair, every[:, None])).astype(np.int32)


def corrected(data: Array, sources: Array, tables: Tables, *, turned: bool, nrow: int) -> Iterator[Array]:
    """Frames of one integration, ``data[ngroup, ROWS, nx]``, some at a time: ``[n, nrow, nx]``, arrays of their own."""
    be = backend.of(data)
    kernel, (ngroup, _, nx) = be.kernel("irs2"), data.shape
    means = kernel.sample_means(data, sources)
    lines = fit_lines(data, means, sources, tables["time"], turned=turned)
    step = min(be.fft_workers, ngroup)
    series = be.xp.zeros((step, irs2.OUTPUTS, RADIX, nx, TICKS // RADIX), np.float32)
    for first in range(0, ngroup, step):
        frames = data[first : first + step]
        for frame, line, laid in zip(frames, lines[first:], series, strict=False):
            kernel.lay_out_inplace(frame, means, sources, line, laid, reverse=turned)
        found = corrections(series[: len(frames)], tables)
        out = be.xp.empty((len(frames), nrow, nx), np.float32)
        for frame, line, correction, kept in zip(frames, lines[first:], found, out, strict=False):
            arrays = (frame, means, sources, line, correction, tables["target"], kept)
            kernel.subtract(*arrays, reverse=turned)
        yield out


def fit_lines(data: Array, means: Array, sources: Array, time: Array, *, turned: bool) -> Array:
    """``[ngroup, 5, 2]`` float32: level and slope in time of each output's samples in the first and last four lines.

    ``time[nrow, 8]`` ticks. By least squares, over the samples that differ from their mean.
    """
    xp = backend.of(data).xp
    edges = [xp.concatenate([part[..., :BORDER], part[..., -BORDER:]], axis=-1) for part in (data, means)]
    first, second = sources[:, 0], sources[:, 1]
    value = (edges[0][:, first] + edges[0][:, second]) * np.float32(0.5)
    value = xp.where((first >= 0)[:, None], (value - edges[1]).astype(np.float32), np.float32(0)).astype(np.float64)
    known = value != 0
    terms = (known, known * time, value, known * time**2, value * time)
    number, x, y, xx, xy = (part.reshape(len(data), irs2.OUTPUTS, -1).sum(axis=-1, dtype=np.float64) for part in terms)
    number = xp.maximum(number, 1)
    spread = xx - x**2 / number
    slope = xp.where(spread > 0, (xy - x * y / number) / xp.where(spread > 0, spread, 1), 0)
    lines = xp.stack([(y - slope * x) / number, slope], axis=-1).astype(np.float32)
    return xp.ascontiguousarray(lines[:, ::-1] if turned else lines)


def corrections(series: Array, tables: Tables) -> Array:
    """What to take off each amplifier, ``[n, 5, 89, nx, 8]`` as laid out; first, the reference output, its gaps filled.

    ``series`` as laid out, of the same shape.
    """
    be, shape = backend.of(series), series.shape
    flat = series.reshape(*shape[:3], -1)
    found = be.xp.empty(flat.shape, np.float32)
    for laid, filled in zip(flat, found, strict=True):
        filled[0] = be.kernel("irs2").fill_gaps(laid[0], tables["window"])
    reference = found[:, 0]
    known = reference.copy()
    for _ in range(PASSES):
        reference[...] = be.xp.where(tables["known"], known, smooth(reference, tables))
    shared = spectrum(reference[:, None], tables)
    spectra = spectrum(flat[:, 1:], tables)
    spectra *= tables["beta"]
    spectra += tables["alpha"] * shared
    found[:, 1:] = real_series(spectra, tables)
    return found.reshape(shape)
