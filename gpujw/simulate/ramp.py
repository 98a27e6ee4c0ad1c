"""Photons to raw counts: charge collected read by read, compressed, clipped, averaged over frames, digitised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from gpujw import dq, irs2
from gpujw.simulate import electronics, events, pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpujw.simulate.mode import Mode

Hits = tuple[np.ndarray, np.ndarray, np.ndarray]  # y, x, electrons

DIGITAL_MAX = 65535
EXACT = 12.0  # electrons below which photons are drawn from the Poisson distribution itself
BLOCK = 1 << 16  # pixels worked on at once, so that their arrays stay in the processor's cache
SETTLING_COUNTS = 4.0
SETTLING_DECAY = 1.0  # frames
RESET_GROUPS = 8  # groups that the reset reference holds
RESET_DECAY = 2.0  # groups
RSCD_COUNTS = 20.0  # what the first groups of the later MIRI integrations lack
RSCD_DECAY = 0.5
LAST_GROUP_COUNTS = 12.0  # what the last MIRI group lacks


@dataclass
class Exposure:
    """What the electronics send down."""

    ramp: np.ndarray  # [nint, ngroup, ny, nx] uint16
    zeroframe: np.ndarray | None  # [nint, ny, nx] uint16
    saturated: np.ndarray  # [ny, nx] bool: in some group


@dataclass
class Block:
    """Some rows of the detector; arrays [rows, nx] of float32."""

    mode: Mode
    rows: slice
    photons: np.ndarray  # electrons in one frame, mean
    gain: np.ndarray
    readnoise: np.ndarray
    curvature: np.ndarray
    well: np.ndarray
    bias: np.ndarray
    reset: np.ndarray
    settling: np.ndarray
    level: np.ndarray
    kernel: np.ndarray | None
    random: np.random.Generator

    def normal(self) -> np.ndarray:
        """Unit Gaussian noise."""
        return self.random.standard_normal(self.gain.shape, np.float32)

    def measured(self, charge: np.ndarray) -> np.ndarray:
        """Counts of a charge in electrons; above the pedestal in the near infrared, with it for MIRI."""
        linear = charge / self.gain
        np.minimum(linear, self.well, out=linear)
        if self.mode.detector.miri:
            linear += self.bias
        return pixels.compress(linear, self.curvature)

    def arrivals(self, frames: int) -> np.ndarray:
        """Electrons that light frees in some frames: Poisson, above ``EXACT`` by its Cornish-Fisher expansion."""
        mean = self.photons * np.float32(frames)
        unit = self.normal()
        number = unit * np.sqrt(mean)
        unit *= unit
        unit -= 1
        unit /= 6
        number += unit
        number += mean
        np.rint(number, out=number)
        faint = np.flatnonzero(mean < EXACT)
        number.ravel()[faint] = self.random.poisson(mean.ravel()[faint])
        return number

    def sample(self, charge: np.ndarray, steps: np.ndarray, hits: Iterator[Hits]) -> np.ndarray:
        """Mean counts of the reads after each of ``steps`` frames, with read noise; ``charge`` goes on to the last.

        The number of photons is drawn for all steps together. Given it, the mean over the reads has the variance of a
        sum over photons of the share of the reads that see each.
        """
        passed = np.cumsum(steps)
        arrived = self.arrivals(int(passed[-1]))
        total = np.zeros_like(charge)
        for part, (y, x, electrons) in zip(passed / passed[-1], hits, strict=False):
            np.add.at(charge, (y - self.rows.start, x), electrons)
            total += self.measured(charge + arrived * np.float32(part))
        charge += arrived
        reads = len(steps)
        mean = total / np.float32(reads) + self.normal() * self.readnoise * np.float32(reads**-0.5)
        if reads > 1:
            seen = np.arange(reads, 0, -1) / reads
            share = steps / passed[-1]
            spread = share @ seen**2 - (share @ seen) ** 2
            mean += np.sqrt(arrived * np.float32(spread)) * self.normal() / self.gain
        if self.kernel is not None:
            mean = ndimage.convolve(mean, self.kernel, mode="nearest")
        return np.asarray(mean)


def expose(
    mode: Mode,
    detector: pixels.Pixels,
    rate: np.ndarray,
    deposits: events.Deposits,
    kernel: np.ndarray | None,
    random: np.random.Generator,
) -> Exposure:
    """Reads out one exposure of ``rate[ny, nx]`` (DN/s); ``kernel`` [k, k] couples neighbouring pixels."""
    readout = electronics.IRS2Readout(mode, random) if mode.irs2 else electronics.Readout(mode, random)
    out = Exposure(
        np.empty((mode.nints, mode.ngroups, *mode.frame_shape), np.uint16),
        np.empty((mode.nints, *mode.shape), np.uint16) if mode.zero_frame else None,
        np.zeros(mode.shape, bool),
    )
    for block in _blocks(mode, detector, rate, kernel, random):
        for integration in range(mode.nints):
            _integrate(block, integration, readout, deposits, out)
    return out


def _integrate(
    block: Block,
    integration: int,
    readout: electronics.Readout | electronics.IRS2Readout,
    deposits: events.Deposits,
    out: Exposure,
) -> None:
    """One integration of one block, from reset to the last group."""
    mode, rows = block.mode, block.rows
    charge = np.zeros(block.gain.shape, np.float32)
    ktc = block.normal() * np.float32(mode.detector.ktc)
    if not mode.detector.miri:
        ktc += block.bias
    reads = np.arange(mode.ngroups * mode.nframes) + integration * mode.ngroups * mode.nframes
    hits = (deposits.at(int(when), rows) for when in reads)
    for group, steps in enumerate(mode.read_steps.reshape(mode.ngroups, mode.nframes)):
        fixed = ktc + readout.offset(integration, group, rows) + _transients(block, integration, group)
        if group == 0 and out.zeroframe is not None:  # the first frame comes down by itself too
            mean = block.sample(charge, steps[:1], hits)
            out.zeroframe[integration, rows] = _digitise(mean + fixed)
            if mode.nframes > 1:
                mean += (block.sample(charge, steps[1:], hits) - mean) * np.float32(1 - 1 / mode.nframes)
        else:
            mean = block.sample(charge, steps, hits)
        counts = _digitise(mean + fixed)
        if isinstance(readout, electronics.IRS2Readout):
            out.ramp[integration, group] = _digitise(readout.samples(integration, group))
            out.ramp[integration, group, irs2.is_pixel(irs2.ROWS, reverse=False)] = counts
        else:
            out.ramp[integration, group, rows] = counts
        out.saturated[rows] |= counts >= block.level


def settling(mode: Mode, integration: int, frame: int) -> float:
    """Scale (DN) of what a frame shows after a reset without any charge: part of the dark, soon gone."""
    if mode.detector.miri and integration:
        return 0.0
    return SETTLING_COUNTS * float(np.exp(-frame / SETTLING_DECAY))


def settling_pattern(mode: Mode) -> np.ndarray:
    """[ny, nx] shape of :func:`settling`, about one, float32; nothing in reference pixels."""
    ny, nx = mode.shape
    columns = mode.detector.rng(f"settling {mode.subarray}").uniform(0.5, 1.5, nx).astype(np.float32)
    return np.where(mode.detector.reference_pixels()[mode.cut], np.float32(0), columns)


def reset_amplitude(mode: Mode, integration: int, group: int) -> float:
    """Scale (DN) of the MIRI reset anomaly: it decays with groups, and later integrations have less of it."""
    if group >= RESET_GROUPS:
        return 0.0
    return mode.reset_anomaly * (0.7 if integration else 1.0) * float(np.exp(-group / RESET_DECAY))


def reset_pattern(mode: Mode) -> np.ndarray:
    """[ny, nx] shape of the reset anomaly, about one, float32."""
    ny, nx = mode.shape
    random = mode.detector.rng(f"reset {mode.subarray}")
    pattern = 1 + 0.3 * np.linspace(-1, 1, ny)[:, None] + 0.1 * random.standard_normal((ny, nx), np.float32)
    return pattern.astype(np.float32)


def _transients(block: Block, integration: int, group: int) -> np.ndarray:
    """What a group holds beyond charge and pedestal: settling; in MIRI reset anomaly, RSCD, last-group effect."""
    mode = block.mode
    first = group * (mode.nframes + mode.groupgap)
    total = block.settling * np.float32(
        np.mean([settling(mode, integration, frame) for frame in range(first, first + mode.nframes)])
    )
    if not mode.detector.miri:
        return total
    total += block.reset * np.float32(reset_amplitude(mode, integration, group))
    if integration:
        total -= np.float32(RSCD_COUNTS * np.exp(-group / RSCD_DECAY))
    if group == mode.ngroups - 1:
        total -= np.float32(LAST_GROUP_COUNTS)
    return total


def _blocks(
    mode: Mode, detector: pixels.Pixels, rate: np.ndarray, kernel: np.ndarray | None, random: np.random.Generator
) -> Iterator[Block]:
    ny, nx = mode.shape
    photons = (rate + detector.dark) * detector.gain * np.float32(mode.tframe)
    photons[detector.has(dq.DEAD | dq.REFERENCE_PIXEL)] = 0
    level = pixels.saturation_level(mode.detector, detector)
    bias = pixels.pedestal(mode)
    if mode.irs2:
        bias = bias[irs2.is_pixel(irs2.ROWS, reverse=False)]
    reset = reset_pattern(mode) if mode.detector.miri else bias
    settles = settling_pattern(mode)
    height = ny if mode.ipc or mode.irs2 else max(1, BLOCK // nx)
    for start in range(0, ny, height):
        rows = slice(start, min(ny, start + height))
        yield Block(
            mode,
            rows,
            photons=photons[rows],
            gain=detector.gain[rows],
            readnoise=detector.readnoise[rows],
            curvature=detector.curvature[rows],
            well=detector.well[rows],
            bias=bias[rows],
            reset=reset[rows],
            settling=settles[rows],
            level=level[rows],
            kernel=kernel,
            random=random,
        )


def _digitise(counts: np.ndarray) -> np.ndarray:
    np.rint(counts, out=counts)
    np.clip(counts, 0, DIGITAL_MAX, out=counts)
    return counts.astype(np.uint16)
