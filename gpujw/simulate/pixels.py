"""What each pixel of a detector is like: gain, noise, well, dark, defects; the same in exposures and references."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from gpujw import dq

if TYPE_CHECKING:
    from gpujw.simulate.mode import Detector, Mode

# Bits and the fraction of the pixels that have them.
DEFECTS = (
    (dq.DO_NOT_USE | dq.DEAD, 4e-4),
    (dq.HOT, 6e-4),
    (dq.DO_NOT_USE | dq.HOT, 2e-4),
    (dq.DO_NOT_USE | dq.TELEGRAPH, 2e-4),
    (dq.NO_GAIN_VALUE, 5e-6),
    (dq.NO_LIN_CORR, 1e-4),
    (dq.NO_SAT_CHECK, 5e-5),
    (dq.UNRELIABLE_BIAS, 1e-4),
    (dq.UNRELIABLE_DARK, 1e-4),
)
BAD_REFERENCE_FRACTION = 2e-3

# Linear counts are S (1 + u + B u2 + C u3) of measured counts S, with u = curvature * S: one shape for all pixels, so
# that its inverse is one function too.
B, C = 0.8, 1.5
BAND = 64  # rows drawn together
STEEPEST = 0.14  # curvature times linear counts, never beyond


@dataclass(frozen=True)
class Pixels:
    """Maps [ny, nx] of float32 but for ``dq`` (uint32), in the science orientation."""

    gain: np.ndarray
    readnoise: np.ndarray
    curvature: np.ndarray
    well: np.ndarray
    dark: np.ndarray
    dq: np.ndarray

    def has(self, bits: int) -> np.ndarray:
        """[ny, nx] bool: pixels with any of ``bits``."""
        found: np.ndarray = (self.dq & np.uint32(bits)) != 0
        return found


def build(detector: Detector) -> Pixels:
    """The full frame of a detector, always the same."""
    return _rows(detector, slice(0, detector.shape[0]))


def window(mode: Mode) -> Pixels:
    """The pixels of a mode's subarray, without making the whole detector."""
    rows, columns = mode.cut
    strip = _rows(mode.detector, rows)
    return Pixels(*(np.ascontiguousarray(getattr(strip, item.name)[:, columns]) for item in fields(Pixels)))


def _rows(detector: Detector, rows: slice) -> Pixels:
    first = rows.start // BAND
    bands = [_band(detector, index) for index in range(first, -(-rows.stop // BAND))]
    here = slice(rows.start - first * BAND, rows.stop - first * BAND)
    return Pixels(*(np.concatenate([getattr(band, item.name) for band in bands])[here] for item in fields(Pixels)))


def _band(detector: Detector, index: int) -> Pixels:
    """Some rows, drawn from random numbers of their own."""
    random = detector.rng(f"pixels {index}")
    reference = detector.reference_pixels()[index * BAND : (index + 1) * BAND]
    flags = _defects(random, reference)
    gain, curvature, well, readnoise, scatter = (
        np.float32(mean) * (1 + np.float32(relative) * random.standard_normal(flags.shape, np.float32))
        for mean, relative in (
            (detector.gain, 0.01),
            (detector.curvature, 0.05),
            (detector.well, 0.01),
            (detector.readnoise, 0.05),
            (detector.dark, 0.3),
        )
    )
    readnoise[(flags & np.uint32(dq.TELEGRAPH | dq.BAD_REF_PIXEL)) != 0] *= 8
    curvature[reference] = 0
    dark = _dark(random, np.abs(scatter), flags, index * BAND / detector.shape[0])
    dark[reference] = 0
    return Pixels(gain, readnoise, curvature, well, dark, flags)


def pedestal(mode: Mode) -> np.ndarray:
    """Raw counts of an empty pixel right after reset, float32, of a frame: what the superbias reference holds."""
    detector, (ny, nx) = mode.detector, mode.frame_shape
    random = detector.rng(f"bias {mode.readpatt} {mode.subarray}")
    scatter = np.float32(150 if detector.miri else 250)
    bias = random.standard_normal((ny, nx), np.float32) * scatter + np.float32(detector.bias)
    bias += (random.standard_normal(nx) * 25).astype(np.float32)
    bias += (random.standard_normal((ny, 1)) * 15).astype(np.float32)
    return bias


def compress(linear: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Measured counts of linear counts (DN), the inverse of :func:`linear_coefficients`; float32, any shape."""
    v = linear * curvature
    ratio = np.full_like(v, _INVERSE[-1])
    for coefficient in _INVERSE[-2::-1]:
        ratio *= v
        ratio += coefficient
    ratio *= linear
    return np.asarray(ratio)


def linear_coefficients(curvature: np.ndarray) -> np.ndarray:
    """[5, ny, nx] polynomial coefficients from measured to linear counts, constant term first."""
    one = np.ones_like(curvature)
    return np.stack([one * 0, one, curvature, np.float32(B) * curvature**2, np.float32(C) * curvature**3])


def saturation_level(detector: Detector, pixels: Pixels) -> np.ndarray:
    """[ny, nx] raw counts above which a pixel is called saturated: a tenth below its well, float32."""
    top = pixels.well * np.float32(0.9)
    if detector.miri:
        return compress(top + np.float32(detector.bias), pixels.curvature)
    return compress(top, pixels.curvature) + np.float32(detector.bias)


def _fit_inverse() -> np.ndarray:
    u = np.linspace(0, STEEPEST, 4001)[1:]
    v = u * (1 + u + B * u**2 + C * u**3)
    fit = np.polynomial.Polynomial.fit(v, u / v, 7, domain=[0, v[-1]]).convert()
    return fit.coef.astype(np.float32)


def _dark(random: np.random.Generator, dark: np.ndarray, flags: np.ndarray, height: float) -> np.ndarray:
    dark *= np.float32(1 + np.exp(-8 * height))  # glow towards the bottom
    for bits, low, high in ((dq.HOT, 0.3, 20.0), (dq.HOT | dq.DO_NOT_USE, 20.0, 400.0)):
        hot = flags == bits
        dark[hot] = np.exp(random.uniform(np.log(low), np.log(high), hot.sum()))
    return dark


def _defects(random: np.random.Generator, reference: np.ndarray) -> np.ndarray:
    flags = np.zeros(reference.size, np.uint32)
    for bits, fraction in DEFECTS:
        chosen = random.integers(0, flags.size, random.poisson(fraction * flags.size))
        flags[chosen[flags[chosen] == 0]] = bits
    border = np.flatnonzero(reference)
    flags[border] = dq.REFERENCE_PIXEL
    bad = border[random.random(border.size) < BAD_REFERENCE_FRACTION]
    flags[bad] |= np.uint32(dq.BAD_REF_PIXEL | dq.DO_NOT_USE)
    return flags.reshape(reference.shape)


_INVERSE = _fit_inverse()
