"""NIRSpec's IRS2 frames: their samples in the order of time, and the correction taken off them."""

from __future__ import annotations

import numpy as np

from gpujw import irs2

#: Ticks, in each turn of 22, of the four samples taken at the references, and the two where each is put.
READ, PUT = 9, np.array([[7, 9], [11, 13], [8, 10], [12, 14]])


def sample_means(data, sources):
    """Mean over the groups of an integration of every sample of a frame, bad reference samples replaced.

    ``data[ngroup, nrow, nx]`` DN float32; ``sources[nrow, 2]`` int32, the two rows whose mean stands for each row, the
    row itself twice where it is good, -1 for zero. Returns ``means[nrow, nx]`` float64.
    """
    return _replaced(data, sources).mean(axis=0, dtype=np.float64)


def lay_out_inplace(frame, means, sources, lines, series, *, reverse):
    """Samples of one frame less their mean over the groups and a line in time, in the order in which they were read.

    ``frame[nrow, nx]`` DN, ``means`` and ``sources`` as for ``sample_means``; ``lines[5, 2]`` float32, of each output
    the level in the middle of the frame and the slope per tick; samples that equal their mean are missing and stay
    zero. ``series[5, radix, nx, nstep]`` float32, zero before: tick ``t`` of line ``y`` lies at ``[t % radix, y,
    t // radix]``. ``series[0]`` takes the reference output, sample by sample, the others the samples that their
    amplifier took at its references, each twice, so that a step of 4 fills 8 ticks about its middle. ``reverse``: rows
    and columns run backwards in time.
    """
    rows, tick = irs2.rows_in_time(frame.shape[0], reverse=reverse), irs2.tick_of(frame.shape[0])
    radix = series.shape[1]
    samples = _less_lines(frame, means, sources, lines, radix * series.shape[3], reverse)[rows]
    if reverse:
        samples = samples[:, :, ::-1]
    series[0, tick % radix, :, tick // radix] = samples[0]
    at = irs2.is_reference(frame.shape[0])[: tick.size]
    turn, read = tick[at] // irs2.TICKS * irs2.TICKS, tick[at] % irs2.TICKS - READ
    for copy in range(2):
        put = turn + PUT[read, copy]
        for output in range(1, irs2.OUTPUTS):
            series[output, put % radix, :, put // radix] = samples[output, at]


def fill_gaps(series, window):
    """Samples that are missing, 0, interpolated: weighted means of those about them.

    ``series[radix, nrow]`` float32, sample ``i`` at ``[i % radix, i // radix]``, its ends joined; ``window[nwindow]``
    float32 weights, an odd number. Returns ``filled`` of the same shape; zero where all samples under the window are
    missing. Sums in float64.
    """
    half = window.size // 2
    weights, samples = window.astype(np.float64), series.T.ravel()
    sums = [
        np.correlate(np.pad(part.astype(np.float64), half, mode="wrap"), weights).astype(np.float32)
        for part in (samples, samples != 0)
    ]
    inside = sums[0] / np.where(sums[1] == 0, np.float32(1), sums[1])
    filled = np.where((samples == 0) & (sums[1] != 0), inside, samples)
    return np.ascontiguousarray(filled.reshape(series.shape[::-1]).T)


def subtract(frame, means, sources, lines, series, target, out, *, reverse):
    """One frame less its lines and the correction of each amplifier, row by row of what is kept.

    ``frame``, ``means``, ``sources`` and ``lines`` as for ``lay_out_inplace``; ``series``, laid out alike, the corrections
    of the amplifiers, and in ``series[0]`` what the reference output itself is to become; ``target[nrow]`` int32, the
    row of ``out[nout, nx]`` float32 that each row becomes, -1 for none. Pixels and the reference output are given back
    their means; the amplifiers' reference samples are not.
    """
    rows, tick = irs2.rows_in_time(frame.shape[0], reverse=reverse), irs2.tick_of(frame.shape[0])
    radix, correction = series.shape[1], np.empty_like(frame)
    for row, laid in zip(rows, series[:, :, ::-1] if reverse else series, strict=True):
        correction[row] = laid[tick % radix, :, tick // radix]
    kept = _less_lines(frame, means, sources, lines, radix * series.shape[3], reverse) - correction
    kept[rows[0]] = correction[rows[0]]
    level = means.copy()
    level[rows[1:, irs2.is_reference(frame.shape[0])[: tick.size]]] = 0
    out[target[target >= 0]] = (kept + level)[target >= 0]


def _replaced(data, sources):
    first, second = sources.T
    mean = (data[..., first, :] + data[..., second, :]) / np.float32(2)
    return np.where(first[:, None] < 0, np.float32(0), mean)


def _less_lines(frame, means, sources, lines, nticks, reverse):
    # Samples less their means and the line of their output, float32; those that equal their mean stay 0.
    values = (_replaced(frame, sources) - means).astype(np.float32)
    rows, tick = irs2.rows_in_time(frame.shape[0], reverse=reverse), irs2.tick_of(frame.shape[0])
    nx = frame.shape[1]
    start = np.arange(nx)[:: -1 if reverse else 1] * nticks
    time = (start + tick[:, None] - (nx * nticks - 1) / 2).astype(np.float32)
    level = np.empty_like(values)
    level[rows] = lines[:, 0, None, None] + time * lines[:, 1, None, None]
    return np.where(values != 0, values - level, np.float32(0))
