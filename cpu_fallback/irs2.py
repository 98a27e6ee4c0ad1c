"""NIRSpec's IRS2 frames: their samples in the order of time, and the correction taken off them."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.irs2 import LINE_OVERHEAD, NORMAL, OUTPUTS, PERIOD, REFERENCE, TICKS

STRIP = 64  # columns of a frame, lines of a series, that are turned together


def sample_means(data, sources):
    """Mean over the groups of an integration of every sample of a frame, bad reference samples replaced.

    ``data[ngroup, nrow, nx]`` DN float32; ``sources[nrow, 2]`` int32, the two rows whose mean stands for each row, the
    row itself twice where it is good, -1 for zero. Returns ``means[nrow, nx]`` float64.
    """
    means = np.empty(data.shape[1:])
    _sample_means(data, sources, means)
    return means


def lay_out_inplace(frame, means, sources, lines, series, *, reverse):
    """Samples of one frame less their mean over the groups and a line in time, in the order in which they were read.

    ``frame[nrow, nx]`` DN, ``means`` and ``sources`` as for ``sample_means``; ``lines[5, 2]`` float32, of each output
    the level in the middle of the frame and the slope per tick; samples that equal their mean are missing and stay
    zero. ``series[5, radix, nx, nstep]`` float32, zero before: tick ``t`` of line ``y`` lies at ``[t % radix, y,
    t // radix]``. ``series[0]`` takes the reference output, sample by sample, the others the samples that their
    amplifier took at its references, each twice, so that a step of 4 fills 8 ticks about its middle. ``reverse``: rows
    and columns run backwards in time.
    """
    _lay_out(frame, means, sources, lines, series, reverse)


def fill_gaps(series, window):
    """Samples that are missing, 0, interpolated: weighted means of those about them.

    ``series[radix, nrow]`` float32, sample ``i`` at ``[i % radix, i // radix]``, its ends joined; ``window[nwindow]``
    float32 weights, an odd number. Returns ``filled`` of the same shape; zero where all samples under the window are
    missing. Sums in float64.
    """
    filled = np.empty_like(series)
    _fill_gaps(series, window, filled)
    return filled


def subtract(frame, means, sources, lines, series, target, out, *, reverse):
    """One frame less its lines and the correction of each amplifier, row by row of what is kept.

    ``frame``, ``means``, ``sources`` and ``lines`` as for ``lay_out_inplace``; ``series``, laid out alike, the corrections
    of the amplifiers, and in ``series[0]`` what the reference output itself is to become; ``target[nrow]`` int32, the
    row of ``out[nout, nx]`` float32 that each row becomes, -1 for none. Pixels and the reference output are given back
    their means; the amplifiers' reference samples are not.
    """
    _subtract(frame, means, sources, lines, series, target, out, reverse)


@kernel
def _sample_means(data, sources, means):
    ngroup, nrow, nx = data.shape
    for r in prange(nrow):
        first, second = sources[r]
        total = means[r]
        for c in range(nx):
            total[c] = 0
        if first >= 0:
            for g in range(ngroup):
                one, other = data[g, first], data[g, second]
                for c in range(nx):
                    total[c] += np.float64((one[c] + other[c]) * np.float32(0.5))
            for c in range(nx):
                total[c] /= ngroup


@helper
def _sample_at(tick, length):
    # The sample that is read at a tick of a line, -1 where none is; and whether it is taken at the references.
    turn, rest = (tick - NORMAL // 2) // TICKS, (tick - NORMAL // 2) % TICKS
    if tick < NORMAL // 2:
        return tick, False
    reference = 1 <= rest <= REFERENCE
    sample = turn * PERIOD + rest + (7 if reference else 6)
    return (-1 if rest in (0, REFERENCE + 1) or sample >= length else sample), reference


@helper
def _row_of(output, sample, nrow, reverse):
    length = nrow // OUTPUTS
    x = output * length + (length - 1 - sample if output % 2 == 0 else sample)
    return nrow - 1 - x if reverse else x


@helper
def _less_line(frame, first, second, c, mean, level, slope, time):
    sample = (frame[first, c] + frame[second, c]) * np.float32(0.5) if first >= 0 else np.float32(0)
    value = np.float32(np.float64(sample) - mean)
    return value - (level + time * slope) if value != 0 else np.float32(0)


@kernel
def _lay_out(frame, means, sources, lines, series, reverse):
    nrow, nx = frame.shape
    radix, nticks = series.shape[1], series.shape[1] * series.shape[3]
    middle = (nx * nticks - 1) / 2
    for strip in prange((nx + STRIP - 1) // STRIP):
        for part in range(OUTPUTS * nticks):
            # The steps of a row of the series together: they lie side by side.
            output, at = part // nticks, part % nticks % series.shape[3] * radix + part % nticks // series.shape[3]
            tick = at
            if output > 0:
                place = at % TICKS - 7
                if not 0 <= place < 8 or at >= nticks - LINE_OVERHEAD:
                    continue
                tick = at - place + 2 + place % 2 * 2 + place // 4
            sample, _ = _sample_at(tick, nrow // OUTPUTS)
            if sample < 0:
                continue
            r = _row_of(output, sample, nrow, reverse)
            first, second = sources[r]
            level, slope = lines[output, 0], lines[output, 1]
            for c in range(strip * STRIP, min(strip * STRIP + STRIP, nx)):
                y = nx - 1 - c if reverse else c
                time = np.float32(y * nticks + tick - middle)
                value = _less_line(frame, first, second, c, means[r, c], level, slope, time)
                series[output, at % radix, y, at // radix] = value


@kernel
def _fill_gaps(series, window, filled):
    radix, length = series.shape
    half = window.size // 2
    for strip in prange((length + STRIP - 1) // STRIP):
        start, stop = strip * STRIP, min(strip * STRIP + STRIP, length)
        samples = np.empty((stop - start + 2, radix), np.float32)  # in the order of time, with what lies about them
        for row in range(radix):
            for place in range(start - 1, stop + 1):
                samples[place - start + 1, row] = series[row, place % length]
        line = samples.ravel()
        for i in range(radix, line.size - radix):
            value = line[i]
            if value == 0:
                values = weights = 0.0
                for k in range(window.size):
                    sample = line[i + k - half]
                    values += np.float64(window[k]) * np.float64(sample)
                    weights += np.float64(window[k]) if sample != 0 else 0.0
                if np.float32(weights) != 0:
                    value = np.float32(values) / np.float32(weights)
            filled[i % radix, start + i // radix - 1] = value


@kernel
def _subtract(frame, means, sources, lines, series, target, out, reverse):
    nrow, nx = frame.shape
    radix, nticks = series.shape[1], series.shape[1] * series.shape[3]
    middle = (nx * nticks - 1) / 2
    for strip in prange((nx + STRIP - 1) // STRIP):
        for part in range(OUTPUTS * nticks):
            output, tick = part // nticks, part % nticks % series.shape[3] * radix + part % nticks // series.shape[3]
            sample, reference = _sample_at(tick, nrow // OUTPUTS)
            r = _row_of(output, sample, nrow, reverse) if sample >= 0 else 0
            if sample < 0 or target[r] < 0:
                continue
            first, second = sources[r]
            level, slope = lines[output, 0], lines[output, 1]
            kept, laid = out[target[r]], series[output, tick % radix, :, tick // radix]
            given_back = np.float64(not (output > 0 and reference))
            for c in range(strip * STRIP, min(strip * STRIP + STRIP, nx)):
                y = nx - 1 - c if reverse else c
                value = laid[y]
                if output > 0:
                    time = np.float32(y * nticks + tick - middle)
                    value = _less_line(frame, first, second, c, means[r, c], level, slope, time) - value
                kept[c] = np.float32(np.float64(value) + given_back * means[r, c])
