"""Particles: cosmic rays, snowballs (near infrared) and showers (MIRI), as charge that reaches pixels before a read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpujw import dq

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    A cosmic ray has one row a pixel; a snowball or a shower has one row with its centre, peak and outer radius. Indices
    are 0-based; ``group`` and ``frame`` tell the first read that holds the charge.
    """
    charge, table = _cosmic_rays(mode, random)
    for kind, profile, radius, when in _large_events(mode, random):
        deposit, row = _place(mode, random, profile, when)
        row["event"], row["kind"], row["radius"] = table["event"].max(initial=-1) + 1, kind, radius
        charge, table = np.concatenate([charge, deposit], axis=1), np.concatenate([table, row])
    sensitive = ~pixels.has(dq.REFERENCE_PIXEL | dq.DEAD)
    table["amplitude"] /= pixels.gain[table["y"], table["x"]]
    return _sorted(charge, sensitive), table[sensitive[table["y"], table["x"]] | (table["radius"] > 0)]


def _seconds(mode: Mode) -> float:
    return mode.nints * mode.frames * mode.tframe


def _moments(mode: Mode, random: np.random.Generator, number: int) -> np.ndarray:
    """Reads, counted through all integrations, that first hold the charge of ``number`` events at random times."""
    steps = mode.read_steps
    chosen = np.searchsorted(np.cumsum(steps), random.uniform(0, steps.sum(), number), side="right")
    integration = random.integers(0, mode.nints, number)
    moments: np.ndarray = integration * steps.size + chosen
    return moments


def _large_events(mode: Mode, random: np.random.Generator) -> Iterator[tuple[str, np.ndarray, float, int]]:
    """Kind, electrons [k, k], outer radius and moment of every snowball and shower."""
    share = float(np.prod(mode.shape) / np.prod(mode.detector.shape)) * _seconds(mode)
    for kind, rate, shape in (
        ("SNOWBALL", mode.detector.snowballs, _snowball),
        ("SHOWER", mode.detector.showers, _shower),
    ):
        for when in _moments(mode, random, random.poisson(rate * share)):
            yield kind, *shape(mode, random), int(when)


def _rows(mode: Mode, when: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    rows = np.zeros(when.size, JUMP)
    reads = mode.ngroups * mode.nframes
    rows["y"], rows["x"] = y, x
    rows["integration"] = when // reads
    rows["group"] = when % reads // mode.nframes
    rows["frame"] = when % mode.nframes
    return rows


def _cosmic_rays(mode: Mode, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Straight tracks of one to a few pixels: rows when, y, x, electrons; and the table with electrons as amplitude."""
    ny, nx = mode.shape
    area = ny * nx * (mode.detector.pixel_um * 1e-4) ** 2
    number = random.poisson(mode.cosmic_rays * area * _seconds(mode))
    length = np.minimum(random.exponential(CR_LENGTH, number), CR_LONGEST)
    angle = random.uniform(0, 2 * np.pi, number)
    size = 1 + length.astype(int)
    event = np.repeat(np.arange(number), size)
    along = np.arange(event.size) - np.repeat(np.cumsum(size) - size, size)
    y = np.floor(random.uniform(0, ny, number)[event] + along * np.sin(angle)[event])
    x = np.floor(random.uniform(0, nx, number)[event] + along * np.cos(angle)[event])
    when = _moments(mode, random, number)[event]
    electrons = CR_ELECTRONS * np.exp(CR_SCATTER * random.standard_normal(event.size))
    inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
    charge = np.stack([when, y, x, electrons])[:, inside]
    rows = _rows(mode, when[inside], charge[1], charge[2])
    rows["event"], rows["kind"], rows["amplitude"] = event[inside], "CR", charge[3]
    return charge, rows


def _place(mode: Mode, random: np.random.Generator, profile: np.ndarray, when: int) -> tuple[np.ndarray, np.ndarray]:
    """Puts a large event anywhere on the detector; rows when, y, x, electrons, and its row of the table."""
    ny, nx = mode.shape
    centre = random.integers(0, ny), random.integers(0, nx)
    y, x = (np.indices(profile.shape).reshape(2, -1).T + centre - profile.shape[0] // 2).T
    keep = (y >= 0) & (y < ny) & (x >= 0) & (x < nx) & (profile.ravel() > 0)
    row = _rows(mode, np.array([when]), np.array([centre[0]]), np.array([centre[1]]))
    row["amplitude"] = profile.max()
    return np.stack([np.full(y.size, when), y, x, profile.ravel()])[:, keep], row


def _snowball(mode: Mode, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Electrons of a snowball: a core far above saturation and a halo that fades to nothing at its radius."""
    core = random.uniform(2, 7)
    outer = core + random.uniform(3, 18)
    distance = _distance(int(np.ceil(outer)))
    halo = 4000 * np.exp(-(distance - core) / (0.25 * (outer - core) + 0.5))
    inside = 2.5 * mode.detector.well * mode.detector.gain * (distance <= core)
    return np.where(distance <= outer, np.maximum(halo, inside), 0), outer


def _shower(mode: Mode, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Electrons of a shower: a broad, grainy blob of one to three sigma of a group difference at its peak."""
    radius = random.uniform(20, 60)
    distance = _distance(int(np.ceil(radius)))
    sigma = mode.detector.gain * mode.detector.readnoise * np.sqrt(2)
    blob = random.uniform(1.2, 3.0) * sigma * np.exp(-((distance / (0.55 * radius)) ** 2))
    return np.where(distance <= radius, blob * random.gamma(4.0, 0.25, distance.shape), 0), radius


def _distance(half: int) -> np.ndarray:
    offset = np.arange(-half, half + 1)
    distance: np.ndarray = np.hypot(offset[:, None], offset)
    return distance


def _sorted(charge: np.ndarray, sensitive: np.ndarray) -> Deposits:
    when, y, x = charge[:3].astype(int)
    keep = sensitive[y, x]
    order = np.lexsort((x[keep], y[keep], when[keep]))
    when, y, x, electrons = (array[keep][order] for array in (when, y, x, charge[3]))
    return Deposits(when, y, x, electrons.astype(np.float32))
