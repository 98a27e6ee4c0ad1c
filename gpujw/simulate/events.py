"""Particles: cosmic rays, snowballs (near infrared) and showers (MIRI), as charge that arrives at a pixel before a read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpujw import dq

if TYPE_CHECKING:
    from gpujw.simulate.mode import Mode
    from gpujw.simulate.pixels import Pixels

CR_ELECTRONS = 1100.0  # median of one pixel's share
CR_SCATTER = 1.2  # natural log
CR_LENGTH = 1.3  # pixels, mean of an exponential
CR_LONGEST = 12

JUMP = np.dtype(
    [
        ("event", "i4"),
        ("kind", "S8"),
        ("integration", "i4"),
        ("group", "i4"),
        ("frame", "i4"),
        ("y", "i4"),
        ("x", "i4"),
        ("amplitude", "f4"),
        ("radius", "f4"),
    ]
)


@dataclass(frozen=True)
class Deposits:
    """Electrons by pixel and read, sorted by integration and read; ``when`` = integration * reads + read."""

    when: np.ndarray
    y: np.ndarray
    x: np.ndarray
    electrons: np.ndarray

    def at(self, when: int, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """y, x and electrons of what comes in ``rows`` between one read and the one before it."""
        first, last = np.searchsorted(self.when, [when, when + 1])
        low, high = first + np.searchsorted(self.y[first:last], [rows.start, rows.stop])
        return self.y[low:high], self.x[low:high], self.electrons[low:high]


def draw(mode: Mode, pixels: Pixels, random: np.random.Generator) -> tuple[Deposits, np.ndarray]:
    """All events of an exposure: their deposits, and the table ``JUMP`` of what happened.

    A cosmic ray has one row a pixel; a snowball or a shower has one row with its centre, peak and outer radius. Indices are
    0-based; ``group`` and ``frame`` tell the first read that holds the charge.
    """
    charge: list[np.ndarray] = []
    table: list[np.ndarray] = []
    _cosmic_rays(mode, pixels, random, charge, table)
    detector = mode.detector
    for kind, rate, stamp in (("SNOWBALL", detector.snowballs, _snowball), ("SHOWER", detector.showers, _shower)):
        share = np.prod(mode.shape) / np.prod(detector.shape)
        _extended(mode, pixels, random, kind, random.poisson(rate * share * _seconds(mode)), stamp, charge, table)
    sensitive = ~pixels.has(dq.REFERENCE_PIXEL | dq.DEAD)
    deposits = _sorted(mode, np.concatenate(charge, axis=1), sensitive)
    jumps = np.concatenate(table)
    return deposits, jumps[sensitive[jumps["y"], jumps["x"]] | (jumps["radius"] > 0)]


def _seconds(mode: Mode) -> float:
    return mode.nints * mode.frames * mode.tframe


def _moments(mode: Mode, random: np.random.Generator, number: int) -> np.ndarray:
    """Reads, counted through all integrations, that first hold the charge of ``number`` events at random times."""
    steps = mode.read_steps
    chosen = np.searchsorted(np.cumsum(steps), random.uniform(0, steps.sum(), number), side="right")
    integration = random.integers(0, mode.nints, number)
    moments: np.ndarray = integration * steps.size + chosen
    return moments


def _rows(mode: Mode, when: np.ndarray, event: np.ndarray, kind: str, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    rows = np.zeros(when.size, JUMP)
    reads = mode.ngroups * mode.nframes
    rows["event"], rows["kind"], rows["y"], rows["x"] = event, kind, y, x
    rows["integration"] = when // reads
    rows["group"] = when % reads // mode.nframes
    rows["frame"] = when % mode.nframes
    return rows


def _cosmic_rays(
    mode: Mode, pixels: Pixels, random: np.random.Generator, charge: list[np.ndarray], table: list[np.ndarray]
) -> None:
    """Straight tracks of one to a few pixels."""
    ny, nx = mode.shape
    area = ny * nx * (mode.detector.pixel_um * 1e-4) ** 2
    number = random.poisson(mode.cosmic_rays * area * _seconds(mode))
    length = np.minimum(random.exponential(CR_LENGTH, number), CR_LONGEST)
    angle = random.uniform(0, 2 * np.pi, number)
    size = 1 + length.astype(int)
    event = np.repeat(np.arange(number), size)
    along = np.arange(event.size) - np.repeat(np.cumsum(size) - size, size)
    y = np.floor(random.uniform(0, ny, number)[event] + along * np.sin(angle)[event]).astype(int)
    x = np.floor(random.uniform(0, nx, number)[event] + along * np.cos(angle)[event]).astype(int)
    when = _moments(mode, random, number)[event]
    electrons = CR_ELECTRONS * np.exp(CR_SCATTER * random.standard_normal(event.size))
    keep = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
    when, y, x, event, electrons = (array[keep] for array in (when, y, x, event, electrons))
    rows = _rows(mode, when, event, "CR", y, x)
    rows["amplitude"] = electrons / pixels.gain[y, x]
    charge.append(np.stack([when, y, x, electrons]))
    table.append(rows)


def _extended(  # noqa: PLR0917  one event kind, all that it needs
    mode: Mode,
    pixels: Pixels,
    random: np.random.Generator,
    kind: str,
    number: int,
    stamp: object,
    charge: list[np.ndarray],
    table: list[np.ndarray],
) -> None:
    ny, nx = mode.shape
    for index, when in enumerate(_moments(mode, random, number)):
        profile, radius = stamp(mode, random)  # type: ignore[operator]
        y0, x0 = int(random.integers(0, ny)), int(random.integers(0, nx))
        half = profile.shape[0] // 2
        y, x = (grid.ravel() for grid in np.mgrid[y0 - half : y0 + half + 1, x0 - half : x0 + half + 1])
        keep = (y >= 0) & (y < ny) & (x >= 0) & (x < nx) & (profile.ravel() > 0)
        rows = _rows(mode, np.array([when]), np.array([1_000_000 + index]), kind, np.array([y0]), np.array([x0]))
        rows["amplitude"], rows["radius"] = profile.max() / pixels.gain[y0, x0], radius
        charge.append(np.stack([np.full(keep.sum(), when), y[keep], x[keep], profile.ravel()[keep]]))
        table.append(rows)


def _snowball(mode: Mode, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Electrons of a snowball: a core far above saturation and a halo that fades to nothing at its radius."""
    core = random.uniform(2, 7)
    outer = core + random.uniform(3, 18)
    distance = _distance(int(np.ceil(outer)))
    halo = 4000 * np.exp(-(distance - core) / (0.25 * (outer - core) + 0.5))
    inside = 2.5 * mode.detector.well * mode.detector.gain * (distance <= core)
    return np.where(distance <= outer, np.maximum(halo, inside), 0), outer


def _shower(mode: Mode, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Electrons of a shower: a broad blob of one to two sigma of a group difference, uneven as the secondaries that make it."""
    radius = random.uniform(20, 60)
    distance = _distance(int(np.ceil(radius)))
    sigma = mode.detector.gain * mode.detector.readnoise * np.sqrt(2)
    blob = random.uniform(1.2, 3.0) * sigma * np.exp(-((distance / (0.55 * radius)) ** 2))
    return np.where(distance <= radius, blob * random.gamma(4.0, 0.25, distance.shape), 0), radius


def _distance(half: int) -> np.ndarray:
    offset = np.arange(-half, half + 1)
    distance: np.ndarray = np.hypot(offset[:, None], offset)
    return distance


def _sorted(mode: Mode, charge: np.ndarray, sensitive: np.ndarray) -> Deposits:
    when, y, x = charge[:3].astype(int)
    keep = sensitive[y, x]
    order = np.lexsort((x[keep], y[keep], when[keep]))
    return Deposits(*(array[keep][order] for array in (when, y, x)), charge[3][keep][order].astype(np.float32))
