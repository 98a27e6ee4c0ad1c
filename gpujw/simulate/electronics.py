"""What the read-out adds to the counts: amplifier drifts, odd-even offsets, 1/f noise along the detector's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gpujw.simulate.mode import Mode

AMPLIFIERS = 4
OWN_NOISE = 0.3  # part of the 1/f noise that belongs to one amplifier alone: no reference column tells it to the others


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
