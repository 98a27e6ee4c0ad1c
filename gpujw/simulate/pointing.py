"""Where pixels look: pixels to V2V3 by the SIAF polynomials, V2V3 to the sky by the attitude of the telescope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpujw.simulate.mode import TABLE

if TYPE_CHECKING:
    from gpujw.simulate.mode import Detector, Mode

ARCSEC = np.pi / 180 / 3600
PARITY = -1  # of the ideal frame, for every aperture used here
DITHERS = ((0.0, 0.0), (13.3, -8.7), (-9.4, 12.6), (5.8, 16.1))  # pixels, repeated shifted by one third


@dataclass(frozen=True)
class Pointing:
    """The reference point of an aperture, on the sky and in the telescope's frame."""

    ra: float  # degrees
    dec: float
    roll: float  # degrees, of V3 at the reference point, north over east
    v2: float  # arcsec
    v3: float
    v3_angle: float  # degrees
    x_ref: float  # 1-based pixels of the window
    y_ref: float
    va_scale: float

    @property
    def aperture_angle(self) -> float:
        """Position angle of the ideal y axis, degrees."""
        return (self.roll + self.v3_angle) % 360

    def matrix(self) -> np.ndarray:
        """[3, 3] rotation from V2V3 directions to the sky (the sequence of JWST-STScI-001550)."""
        angles = np.radians([self.v2 / 3600, -self.v3 / 3600, self.roll, self.dec, -self.ra])
        total = np.eye(3)
        for angle, axis in zip(angles, "zyxyz", strict=True):
            total = _rotation(angle, axis) @ total
        return total

    def to_sky(self, v2: np.ndarray, v3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Right ascension and declination (degrees) of V2, V3 (arcsec); velocity aberration as a scale."""
        v2, v3 = self.v2 + self.va_scale * (v2 - self.v2), self.v3 + self.va_scale * (v3 - self.v3)
        x, y, z = self.matrix() @ _direction(v2 * ARCSEC, v3 * ARCSEC)
        return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(z))

    def from_sky(self, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """V2 and V3 (arcsec) of sky positions (degrees)."""
        x, y, z = self.matrix().T @ _direction(np.radians(ra), np.radians(dec))
        dv2, dv3 = np.arctan2(y, x) / ARCSEC - self.v2, np.arcsin(z) / ARCSEC - self.v3
        return self.v2 + dv2 / self.va_scale, self.v3 + dv3 / self.va_scale


def point(mode: Mode, exposure: int) -> Pointing:
    """The pointing of exposure 1, 2 ...: imaging exposures are dithered, spectra and time series are not."""
    detector, base = mode.detector, TABLE["observation"]
    place = {key: getattr(detector, key) for key in ("v2", "v3", "v3_angle", "x_ref", "y_ref")} | mode.pointing
    first = Pointing(base["ra"], base["dec"], base["roll"], va_scale=base["va_scale"], **place)
    if not mode.imaging:
        return first
    dx, dy = dither(mode, exposure)
    v2, v3 = window_to_v2v3(mode, np.array([first.x_ref - dx]), np.array([first.y_ref - dy]))
    ra, dec = first.to_sky(v2, v3)
    return Pointing(float(ra[0]), float(dec[0]), first.roll, va_scale=first.va_scale, **place)


def dither(mode: Mode, exposure: int) -> tuple[float, float]:
    """Pixels by which the field of exposure 1, 2 ... is moved along x and y; less in small windows."""
    turn, step = divmod(exposure - 1, len(DITHERS))
    scale = min(1.0, min(mode.size) / 1000)
    dx, dy = DITHERS[step]
    return scale * (dx + turn / 3), scale * (dy + turn / 3)


def pixel_scale(mode: Mode) -> tuple[float, float]:
    """Arcsec per pixel along x and y at the reference point; 0.1 where no imaging distortion is known."""
    detector = mode.detector
    return (detector.ideal_x[0], detector.ideal_y[1]) if detector.ideal_x else (0.1, 0.1)


def footprint(mode: Mode, here: Pointing) -> str:
    """S_REGION: the outer corners of the window on the sky."""
    nx, ny = mode.size
    x, y = np.array([0.5, 0.5, nx + 0.5, nx + 0.5]), np.array([0.5, ny + 0.5, ny + 0.5, 0.5])
    ra, dec = here.to_sky(*window_to_v2v3(mode, x, y))
    return "POLYGON ICRS " + " ".join(f"{value:.9f}" for corner in zip(ra, dec, strict=True) for value in corner)


def boresight(here: Pointing) -> tuple[float, float, float]:
    """Right ascension and declination of the V1 axis and position angle of V3 there, degrees."""
    matrix = here.matrix()
    ra, dec = np.arctan2(matrix[1, 0], matrix[0, 0]), np.arcsin(matrix[2, 0])
    east = np.array([-np.sin(ra), np.cos(ra), 0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    v3 = matrix[:, 2]
    angles = np.degrees([ra, dec, np.arctan2(v3 @ east, v3 @ north)])
    return float(angles[0] % 360), float(angles[1]), float(angles[2] % 360)


def window_to_v2v3(mode: Mode, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V2, V3 (arcsec) of 1-based pixels of the window."""
    return science_to_v2v3(mode.detector, x + mode.start[0] - 1, y + mode.start[1] - 1)


def science_to_v2v3(detector: Detector, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V2, V3 (arcsec) of 1-based full-frame pixels."""
    dx, dy = x - detector.x_ref, y - detector.y_ref
    return ideal_to_v2v3(detector, polynomial(detector.ideal_x, dx, dy), polynomial(detector.ideal_y, dx, dy))


def ideal_to_v2v3(detector: Detector, xi: np.ndarray, yi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V2, V3 of ideal coordinates, all arcsec, in the plane."""
    sin, cos = np.sin(np.radians(detector.v3_angle)), np.cos(np.radians(detector.v3_angle))
    return detector.v2 + PARITY * xi * cos + yi * sin, detector.v3 - PARITY * xi * sin + yi * cos


def v2v3_to_window(mode: Mode, v2: np.ndarray, v3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1-based pixels of the window at V2, V3 (arcsec), by a fixed-point iteration that converges to 1e-6 pixel."""
    detector = mode.detector
    jacobian = np.linalg.inv(_scale(detector))
    x = np.full_like(v2, detector.x_ref)
    y = np.full_like(v3, detector.y_ref)
    for _ in range(12):
        a, b = science_to_v2v3(detector, x, y)
        x = x + jacobian[0, 0] * (v2 - a) + jacobian[0, 1] * (v3 - b)
        y = y + jacobian[1, 0] * (v2 - a) + jacobian[1, 1] * (v3 - b)
    return x - mode.start[0] + 1, y - mode.start[1] + 1


def polynomial(terms: tuple[float, ...], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sum of terms x, y, x2, xy, y2, x3 ... y4."""
    total = np.zeros_like(x, float)
    for term, (i, j) in zip(terms, powers(), strict=True):
        total += term * x**i * y**j
    return total


def powers() -> list[tuple[int, int]]:
    """Exponents of x and y, in the order of the table."""
    return [(order - j, j) for order in range(1, 5) for j in range(order + 1)]


def _scale(detector: Detector) -> np.ndarray:
    x, y = np.array([0.0, 1, 0]) + detector.x_ref, np.array([0.0, 0, 1]) + detector.y_ref
    v2, v3 = science_to_v2v3(detector, x, y)
    return np.array([v2[1:] - v2[0], v3[1:] - v3[0]])


def _direction(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])


def _rotation(angle: float, axis: str) -> np.ndarray:
    sin, cos = np.sin(angle), np.cos(angle)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = cos
    matrix[i, j], matrix[j, i] = sin, -sin
    return matrix
