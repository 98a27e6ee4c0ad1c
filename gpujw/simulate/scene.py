"""What the detector looks at: a count rate (DN/s) for every pixel, and the stars that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpujw.simulate import pointing

if TYPE_CHECKING:
    from gpujw.simulate.mode import Mode

MOFFAT_BETA = 3.0
MOFFAT_WIDTH = 1.6  # pixels
STAMP = 24  # pixels from the centre of a star
MARGIN = 20  # pixels around the window in which stars are placed
FAINTEST = 1e-4  # of the brightest star
SLOPE = 0.6  # of the cumulative star counts
SLICES = 30

STAR = np.dtype([("ra", "f8"), ("dec", "f8"), ("x", "f8"), ("y", "f8"), ("rate", "f8")])


def render(mode: Mode, seed: int, exposure: int) -> tuple[np.ndarray, np.ndarray]:
    """Count rate ``[ny, nx]`` (float32, DN/s) and its stars (``STAR``: degrees, 0-based pixels, total DN/s)."""
    random = mode.rng(seed, 0)  # the sky does not change from exposure to exposure
    ny, nx = mode.shape
    y, x = np.mgrid[0:ny, 0:nx].astype(np.float32)
    if mode.scene == "trace":
        return _trace(mode, x, y), np.zeros(0, STAR)
    if mode.scene == "slices":
        return _slices(mode, x, y), np.zeros(0, STAR)
    rate = np.float32(mode.background) * (1 + 0.2 * x / nx - 0.1 * y / ny)
    stars = _stars(mode, random, exposure)
    for star in stars:
        _add_star(rate, star)
    return rate, stars


def _stars(mode: Mode, random: np.random.Generator, exposure: int) -> np.ndarray:
    """Stars drawn on the sky of exposure 1 and seen through the pointing of this exposure."""
    nx, ny = mode.size
    number = round(mode.stars * (nx + 2 * MARGIN) * (ny + 2 * MARGIN) / 1e6)
    x = random.uniform(-MARGIN, nx + MARGIN, number) + 1
    y = random.uniform(-MARGIN, ny + MARGIN, number) + 1
    rate = mode.brightest * np.minimum(FAINTEST * random.uniform(0, 1, number) ** (-1 / SLOPE), 1)
    first, here = pointing.point(mode, 1), pointing.point(mode, exposure)
    if mode.target:
        x, y, rate = np.append(x, first.x_ref), np.append(y, first.y_ref), np.append(rate, mode.target)
    if number >= 3:  # some stars that saturate, wherever the dice fall
        x[:3], y[:3] = np.array([0.3, 0.62, 0.8]) * nx, np.array([0.7, 0.35, 0.8]) * ny
        rate[:3] = np.array([1, 0.3, 0.1]) * mode.brightest
    stars = np.zeros(x.size, STAR)
    stars["ra"], stars["dec"] = first.to_sky(*pointing.window_to_v2v3(mode, x, y))
    x, y = pointing.v2v3_to_window(mode, *here.from_sky(stars["ra"], stars["dec"]))
    stars["x"], stars["y"], stars["rate"] = x - 1, y - 1, rate
    return stars


def _add_star(rate: np.ndarray, star: np.ndarray) -> None:
    """Adds a Moffat profile, cut at ``STAMP`` pixels, to ``rate`` in place."""
    x, y = float(star["x"]), float(star["y"])
    rows = slice(max(0, round(y) - STAMP), max(0, round(y) + STAMP + 1))
    columns = slice(max(0, round(x) - STAMP), max(0, round(x) + STAMP + 1))
    stamp = rate[rows, columns]
    if not stamp.size:
        return
    dy = np.arange(rows.start, rows.start + stamp.shape[0]) - y
    dx = np.arange(columns.start, columns.start + stamp.shape[1]) - x
    peak = float(star["rate"]) * (MOFFAT_BETA - 1) / (np.pi * MOFFAT_WIDTH**2)
    stamp += peak * (1 + (dx[None, :] ** 2 + dy[:, None] ** 2) / MOFFAT_WIDTH**2) ** -MOFFAT_BETA


def _trace(mode: Mode, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One curved spectrum along x with a few absorption lines."""
    ny, nx = mode.shape
    place = x[0] / nx
    centre = ny / 2 + 5 * (place - 0.5) - 6 * (place - 0.5) ** 2
    spectrum = np.exp(-2.5 * (place - 0.35) ** 2) * (1 - 0.3 * np.exp(-(((place * 40) % 1 - 0.5) ** 2) / 0.002))
    spectrum[:] *= mode.brightest
    return np.asarray(spectrum * np.exp(-((y - centre) ** 2) / (2 * 0.85**2)) + mode.background, np.float32)


def _slices(mode: Mode, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slices of an image slicer, each a bent band along x; the source is in the middle ones."""
    ny, nx = mode.shape
    pitch = ny / (SLICES + 1)
    bent = y - 14 * (x / nx - 0.5) ** 2 * 4 - 6
    number = np.floor(bent / pitch - 0.5)
    across = bent - (number + 1) * pitch
    inside = (np.abs(across) < 0.3 * pitch) & (number >= 0) & (number < SLICES)
    spectrum = 1 / (1 + np.exp(-(x / nx - 0.05) * 60)) * (1 + 0.5 * np.sin(9 * x / nx))
    source = mode.brightest * np.exp(-(((number - (SLICES - 1) / 2) / 1.6) ** 2) - across**2 / (2 * 1.8**2))
    return np.where(inside, mode.background + spectrum * (source + 0.5), 0.02).astype(np.float32)
