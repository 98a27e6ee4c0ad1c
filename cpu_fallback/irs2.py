"""NIRSpec's IRS2 frames: their samples in the order of time, and the correction taken off them."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper, kernel, prange
from gpujw.irs2 import NORMAL, OUTPUTS, PERIOD, REFERENCE, TICKS

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
def _place(r, nrow, reverse):
    # Output, tick, and whether it is taken at the references, of the samples in a row.
    length = nrow // OUTPUTS
    x = nrow - 1 - r if reverse else r
    output, sample = x // length, x % length
    if output % 2 == 0:
        sample = length - 1 - sample
    into = sample + PERIOD - NORMAL // 2
    reference = into % PERIOD < REFERENCE
    return output, sample + 2 * (into // PERIOD) - reference, reference


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
        for r in range(nrow):
            output, tick, reference = _place(r, nrow, reverse)
            if output > 0 and not reference:
                continue
            first, second = sources[r]
            level, slope = lines[output, 0], lines[output, 1]
            at, again = tick, tick
            if output > 0:
                read = tick % TICKS - 9
                at = tick - tick % TICKS + 7 + read % 2 * 4 + read // 2
                again = at + 2
            for c in range(strip * STRIP, min(strip * STRIP + STRIP, nx)):
                y = nx - 1 - c if reverse else c
                time = np.float32(y * nticks + tick - middle)
                value = _less_line(frame, first, second, c, means[r, c], level, slope, time)
                series[output, at % radix, y, at // radix] = value
                series[output, again % radix, y, again // radix] = value


@kernel
def _fill_gaps(series, window, filled):
    radix, length = series.shape
    half = window.size // 2
    for row in prange(radix):
        for place in range(length):
            filled[row, place] = series[row, place]
            if series[row, place] == 0:
                values = weights = 0.0
                at, there = (row - half) % radix, (place + (row - half) // radix) % length
                for k in range(window.size):
                    sample = series[at, there]
                    values += np.float64(window[k]) * np.float64(sample)
                    weights += np.float64(window[k]) if sample != 0 else 0.0
                    at += 1
                    if at == radix:
                        at, there = 0, (there + 1) % length
                if np.float32(weights) != 0:
                    filled[row, place] = np.float32(values) / np.float32(weights)


@kernel
def _subtract(frame, means, sources, lines, series, target, out, reverse):
    nrow, nx = frame.shape
    radix, nticks = series.shape[1], series.shape[1] * series.shape[3]
    middle = (nx * nticks - 1) / 2
    for strip in prange((nx + STRIP - 1) // STRIP):
        for r in range(nrow):
            if target[r] < 0:
                continue
            output, tick, reference = _place(r, nrow, reverse)
            first, second = sources[r]
            level, slope = lines[output, 0], lines[output, 1]
            kept = out[target[r]]
            for c in range(strip * STRIP, min(strip * STRIP + STRIP, nx)):
                y = nx - 1 - c if reverse else c
                value = series[output, tick % radix, y, tick // radix]
                if output > 0:
                    time = np.float32(y * nticks + tick - middle)
                    value = _less_line(frame, first, second, c, means[r, c], level, slope, time) - value
                mean = 0.0 if output > 0 and reference else means[r, c]
                kept[c] = np.float32(np.float64(value) + mean)
