"""Fourier transforms of IRS2 frames in the order of time, 2048 x 712 samples, in two stages: 2048 x 8, then 89.

A series is held as ``[..., 89, 16384]``: sample i lies at ``[i % 89, i // 89]``. Its rows are transformed, turned, and
summed over by the matrix of 89 (Cooley & Tukey 1965): a third of the time of libraries, whose steps for a prime as
large as 89 are slow. A spectrum is held as ``[..., 89, 8193]``: bin ``b + 16384 a`` lies at ``[a, b]``; the other bins of
a real series are conjugates of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import backend, irs2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpujw.exposure import Array
    from gpujw.step import Tables

TICKS = irs2.ticks(irs2.ROWS)
SAMPLES = irs2.PIXELS * TICKS  # of a series
RADIX = 89
ROW = SAMPLES // RADIX
TAPER = 110000 // irs2.TICKS  # bins over which the low-pass filter falls from one to zero
PASSED = TICKS // irs2.TICKS * irs2.PIXELS // 2 - TAPER // 2  # bins below them


def bins() -> NDArray[np.int64]:
    """Which bin each element of a spectrum is."""
    return np.arange(ROW // 2 + 1) + ROW * np.arange(RADIX)[:, None]


def plan() -> dict[str, NDArray[Any]]:
    """What the functions below need where the arrays live, complex64 and float32; the filter's rows that are not zero."""
    row = np.arange(RADIX)[:, None]
    matrix = _turn(row * row.T % RADIX / RADIX)
    band = passband()[np.minimum(bins(), SAMPLES - bins())]
    some = band.any(axis=1)
    return {
        "turn": _turn(row * np.arange(ROW // 2 + 1) % SAMPLES / SAMPLES),
        "matrix": matrix,
        "inverse": np.ascontiguousarray(matrix.conj() / np.float32(RADIX)),
        "some": np.ascontiguousarray(matrix[some]),
        "some_inverse": np.ascontiguousarray(matrix[:, some].conj() / np.float32(RADIX)),
        "passband": np.ascontiguousarray(band[some]),
    }


def _turn(part: NDArray[np.float64]) -> NDArray[np.complex64]:
    return np.asarray(np.exp(-2j * np.pi * part), np.complex64)


def passband() -> NDArray[np.float32]:
    """The filter ``[SAMPLES // 2 + 1]``: slow signals pass, and as many of those that alternate from sample to sample."""
    fall = (np.cos(np.arange(TAPER) * np.pi / TAPER) + 1) / 2
    low = np.concatenate([np.ones(PASSED), fall, np.zeros(SAMPLES // 4 - PASSED - TAPER)])
    return np.append(np.concatenate([low, low[::-1]]), 1).astype(np.float32)


def mirrored(weights: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Weights ``[..., SAMPLES]`` by frequency as a spectrum; of two that are conjugate bins, what acts on real series.

    The real part of a weighted series is that which the mean of the weights and their mirrored conjugates gives.
    """
    mean = (weights + np.roll(weights[..., ::-1], 1, axis=-1).conj()) / np.float32(2)
    return np.ascontiguousarray(mean[..., bins()])


def spectrum(series: Array, tables: Tables) -> Array:
    """The spectrum ``[..., 89, 8193]`` complex64 of real ``series[..., 89, 16384]`` float32."""
    return tables["matrix"] @ _rows(series, tables)


def real_series(spectrum: Array, tables: Tables) -> Array:
    """The inverse of ``spectrum``."""
    return _unturned(tables["inverse"] @ spectrum, tables)


def smooth(series: Array, tables: Tables) -> Array:
    """``series`` without the frequencies that do not pass the filter."""
    passed = tables["some"] @ _rows(series, tables)
    passed *= tables["passband"]
    return _unturned(tables["some_inverse"] @ passed, tables)


def _rows(series: Array, tables: Tables) -> Array:
    rows = backend.of(series).rfft(series)
    rows *= tables["turn"]
    return rows


def _unturned(rows: Array, tables: Tables) -> Array:
    rows *= tables["turn"].conj()
    return backend.of(rows).irfft(rows, ROW)
