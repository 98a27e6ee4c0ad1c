"""What the read-out adds to the counts: amplifier drifts, odd-even offsets, 1/f noise along the detector's rows or, in
NIRSpec's IRS2 readout, from sample to sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpujw import irs2
from gpujw.simulate import pixels

if TYPE_CHECKING:
    from gpujw.simulate.mode import Mode

AMPLIFIERS = 4
OWN_NOISE = 0.3  # part of the 1/f noise that belongs to one amplifier alone: no reference column tells it to the others

SHARE = 0.8  # of the amplifiers' common noise that the reference output of IRS2 sees
#: Bins of a frame's spectrum at which the IRS2 weights turn from the amplifiers' own references to the reference output,
#: and beyond which nothing is taken from that.
CROSSOVER, CUTOFF = 3000, 24000
#: Reference samples of NRS1 that are noisy: output, which of the two reference pixels of a step, and which steps.
NOISY = ((1, 1, (3, 4)), (2, 2, (17,)), (3, 1, (0, 31)), (3, 2, (31,)), (4, 2, (9,)))


class Readout:
    """Offsets (DN) of every pixel of any group, in the science orientation; drawn once for an exposure.

    The slow drift of each amplifier, its odd-even offset and its 1/f noise follow the fast and slow axes of the
    detector (|FASTAXIS| = 2: transposed). MIRI reads four interleaved columns, and its odd and even rows differ.
    """

    def __init__(self, mode: Mode, random: np.random.Generator) -> None:
        self.mode = mode
        fast, slow = _indices(mode)
        groups = (mode.nints, mode.ngroups)
        if mode.detector.miri:
            self.amplifier, parity = fast % AMPLIFIERS, slow % 2
        else:
            width = 2048 // mode.noutputs
            self.amplifier, parity = fast // width, fast % 2
        self.parity = parity
        self.offsets = _drifts(mode, random, groups)
        if mode.row_noise:
            common = _pink(random, (*groups, 1, slow.size))
            own = _pink(random, (*groups, mode.noutputs, slow.size))
            self.rows = np.float32(mode.row_noise) * (common + np.float32(OWN_NOISE) * own)

    def offset(self, integration: int, group: int, rows: slice) -> np.ndarray:
        """Offsets of one group, float32, that broadcast to [rows, nx]."""
        here: np.ndarray = self.offsets[integration, group]
        if self.mode.detector.miri:
            return np.asarray(here[self.amplifier[None, :], self.parity[rows, None]])
        along_y = abs(self.mode.detector.fast_axis) == 2
        fast, slow = (rows, slice(None)) if along_y else (slice(None), rows)
        amplifier = self.amplifier[fast]
        field = here[amplifier, self.parity[fast]][None, :]  # [slow, fast]
        if self.mode.row_noise:
            field = field + self.rows[integration, group, amplifier, slow].T
        return np.asarray(field.T if along_y else field)


class IRS2Readout:
    """The same for IRS2 frames, whose samples are one series in time: levels that walk from group to group, 1/f noise.

    All amplifiers share most of the noise, and so do their reference samples; the reference output sees that alone.
    """

    def __init__(self, mode: Mode, random: np.random.Generator) -> None:
        self.mode, self.random = mode, random
        steps = random.standard_normal((mode.nints, mode.ngroups, irs2.OUTPUTS, 1, 1), np.float32)
        self.levels = np.cumsum(steps, axis=1) * np.float32(mode.drift)
        self.pedestal = pixels.pedestal(mode)
        self._last: tuple[tuple[int, int], np.ndarray] = (-1, -1), np.empty(0)

    def offset(self, integration: int, group: int, rows: slice) -> np.ndarray:
        """Offsets of one group, float32, ``[ny, nx]``; ``rows`` must be all."""
        return np.asarray(self._noise(integration, group)[irs2.is_pixel(irs2.ROWS, reverse=False)][rows])

    def samples(self, integration: int, group: int) -> np.ndarray:
        """Counts of a frame in which no pixel saw light, ``[ROWS, PIXELS]`` float32."""
        scatter = np.full((irs2.ROWS, 1), self.mode.detector.readnoise * self.mode.nframes**-0.5, np.float32)
        scatter[noisy_rows()] *= 8
        unit = self.random.standard_normal((irs2.ROWS, irs2.PIXELS), np.float32)
        return np.asarray(self.pedestal + self._noise(integration, group) + unit * scatter)

    def _noise(self, integration: int, group: int) -> np.ndarray:
        if self._last[0] != (integration, group):
            size, rows = irs2.PIXELS * irs2.ticks(irs2.ROWS), irs2.rows_in_time(irs2.ROWS, reverse=False)
            common = _pink(self.random, (size,))
            series = np.float32(OWN_NOISE) * _pink(self.random, (irs2.OUTPUTS, size)) + common
            series[0] = np.float32(SHARE) * common
            lines = np.float32(self.mode.row_noise) * series.reshape(irs2.OUTPUTS, irs2.PIXELS, -1)
            frame = np.empty((irs2.ROWS, irs2.PIXELS), np.float32)
            frame[rows] = lines.swapaxes(1, 2)[:, irs2.tick_of(irs2.ROWS)] + self.levels[integration, group]
            self._last = (integration, group), frame
        return self._last[1]


def noisy_rows() -> np.ndarray:
    """Rows of an IRS2 frame of NRS1 that hold the samples of ``NOISY``."""
    length = irs2.ROWS // irs2.OUTPUTS
    first = [
        output * length + irs2.NORMAL // 2 + step * irs2.PERIOD + 2 * ((which == 2) != (output % 2 == 0))
        for output, which, steps in NOISY
        for step in steps
    ]
    return np.array([row + sample for row in first for sample in range(2)])


def irs2_weights() -> dict[str, np.ndarray]:
    """The columns of the ``refpix`` reference file that undo ``IRS2Readout``: real and imaginary part of each bin in turn.

    Slow noise is known from an amplifier's own references, of which 8 of 22 ticks in a line of 712 are filled; faster
    noise from the reference output, as far as it stands above the noise of reading that.
    """
    ticks = irs2.ticks(irs2.ROWS)
    size = irs2.PIXELS * ticks
    frequency = np.abs(np.fft.fftfreq(size, 1 / size))
    slow = 1 / (1 + (frequency / CROSSOVER) ** 4)
    filled = 2 * irs2.REFERENCE * irs2.NORMAL * 2 / ticks
    shared = (1 - slow) / (1 + (frequency / CUTOFF) ** 4) / SHARE
    columns = {}
    for k in range(4):
        for name, weight in (("alpha", shared), ("beta", slow / filled)):
            columns[f"{name}_{k}"] = weight.astype(np.complex64).view(np.float32)
    return columns


def _indices(mode: Mode) -> tuple[np.ndarray, np.ndarray]:
    """Detector column of each pixel along the fast axis and detector row along the slow one, full-frame, 0-based."""
    detector = mode.detector
    rows, columns = (np.arange(size)[cut] for size, cut in zip(detector.shape, mode.cut, strict=True))
    last_row, last_column = (size - 1 for size in detector.shape)
    x = columns if 1 in (detector.fast_axis, detector.slow_axis) else last_column - columns
    y = rows if 2 in (detector.fast_axis, detector.slow_axis) else last_row - rows
    return (x, y) if abs(detector.fast_axis) == 1 else (y, x)


def _drifts(mode: Mode, random: np.random.Generator, groups: tuple[int, int]) -> np.ndarray:
    """[nint, ngroup, amplifier, parity]: a level for the integration, a walk from group to group, odd against even."""
    scale = np.float32(mode.drift)
    level = random.standard_normal((groups[0], 1, AMPLIFIERS, 1), np.float32) * 8 * scale
    walk = np.cumsum(random.standard_normal((*groups, AMPLIFIERS, 1), np.float32), axis=1) * scale
    steady = random.standard_normal((1, 1, AMPLIFIERS, 2), np.float32) * 3 * scale
    flicker = random.standard_normal((*groups, AMPLIFIERS, 2), np.float32) * scale / 4
    drifts: np.ndarray = level + walk + steady + flicker
    return drifts


def _pink(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of unit variance with a 1/f power spectrum along the last axis."""
    size = shape[-1]
    frequency = np.fft.rfftfreq(size)
    frequency[0] = frequency[min(1, frequency.size - 1)]
    amplitude = frequency**-0.5
    white = random.standard_normal((*shape[:-1], frequency.size, 2), np.float32).view(np.complex64)[..., 0]
    noise = np.fft.irfft(white * amplitude.astype(np.float32), size, axis=-1)
    noise *= size / np.sqrt(4 * (amplitude**2).sum())
    return noise.astype(np.float32)
