"""Dark current: take the signal of an unlit detector off the counts."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend
from gpujw.errors import OutputError, ReferenceError
from gpujw.step import SkipStep, Step, Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference

log = logging.getLogger(__name__)

#: Beginnings of keywords that describe an extension of the reference, not the dark.
_STRUCTURE = re.compile(
    "SIMPLE|XTENSION|BITPIX|NAXIS|EXTEND|EXTNAME|EXTVER|NEXTEND|PCOUNT|GCOUNT|BSCALE|BZERO|BUNIT|CHECKSUM|DATASUM|"
    "COMMENT|HISTORY"
)


@dataclass(frozen=True)
class Readout:
    """How frames make the groups of a ramp: ``nframes`` are averaged to one, ``groupgap`` between two are dropped."""

    ngroups: int
    nframes: int
    groupgap: int

    @property
    def span(self) -> int:
        """Frames from the first of the first group to the last of the last."""
        return self.ngroups * self.nframes + (self.ngroups - 1) * self.groupgap

    @property
    def cadence(self) -> tuple[int, int]:
        """What must agree for groups to be subtracted from groups."""
        return self.nframes, self.groupgap


@dataclass(frozen=True, kw_only=True)
class DarkCurrent(Step):
    """Subtract the dark ramp, its frames averaged to the exposure's groups.

    ``dark_output``: FITS file for the dark as it is subtracted. ``average_dark_current``: e-/s, the rate whose Poisson
    noise ramp fitting adds; None takes AVDRKCUR of the reference.
    """

    references: ClassVar[tuple[str, ...]] = ("dark",)
    status: ClassVar[str] = "S_DARK"

    dark_output: str | None = None
    average_dark_current: float | None = None

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """The dark of each group, its flags and its average rate.

        Raises
        ------
        SkipStep
            If the dark averages more frames to a group, or drops more between groups, than the exposure.
        """
        dark = refs["dark"]
        assert dark is not None
        wanted = Readout(meta["NGROUPS"], meta["NFRAMES"], meta["GROUPGAP"])
        frames, flags = averaged(dark, wanted, integrations(dark, meta)), dark.dq()
        if self.dark_output is not None:
            save(Path(self.dark_output), dark, frames, flags, wanted)
        ny, nx = flags.shape[-2:]
        rows = {"frames": frames, "dq": np.bitwise_or.reduce(flags.reshape(-1, ny, nx))}
        if rate := self._rate(dark):
            rows["rate"] = np.full((ny, nx), rate, np.float32)
        return Tables(rows=rows)

    def _rate(self, dark: Reference) -> float:
        """The average dark current, e-/s; an image of it in the reference is not applied, nor is it by the peer."""
        if self.average_dark_current is not None:
            return self.average_dark_current
        if "AVDRKCUR" in dark and dark.image("AVDRKCUR").sum() != 0:
            log.warning("%s: its AVDRKCUR image is not applied; average_dark_current=NUMBER sets a rate", dark.path)
            return 0.0
        return float(dark.header.get("AVDRKCUR") or 0)

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Counts without the dark signal."""
        subtract = backend.of(ramp.data).kernel("subtract").subtract_frames_inplace
        subtract(ramp.data, tables["frames"])
        pixeldq = ramp.pixeldq
        pixeldq |= tables["dq"]
        return ramp.replace(dark_rate=tables["rate"]) if "rate" in tables else ramp


def integrations(dark: Reference, meta: Meta) -> list[int]:
    """The dark's integrations for those of the exposure, of which further ones take the last.

    MIRI's darks have several, for the first integrations after a reset; a segment of an exposure that is not its first
    takes the last.
    """
    shape = dark.shape()
    if len(shape) == 3:
        return [0]
    return list(range(min(shape[0], meta["NINTS"]))) if meta.get("INTSTART", 1) == 1 else [shape[0] - 1]


def averaged(dark: Reference, wanted: Readout, sets: list[int]) -> NDArray[np.float32]:
    """The dark as the readout ``wanted`` would have seen it, rows first: ``frames[ny, nset, ngroup, nx]``, DN.

    Frames past the dark's last are extrapolated from its last two; NaN become zero. With a cadence of its own, the
    dark's groups count as single frames.
    """
    own = _readout(dark)
    if own.nframes > wanted.nframes or own.groupgap > wanted.groupgap:
        raise SkipStep(
            f"{dark.path.name} has NFRAMES={own.nframes} and GROUPGAP={own.groupgap}, "
            f"more than the exposure's {wanted.nframes} and {wanted.groupgap}"
        )
    same = own.cadence == wanted.cadence
    number, stride = (1, 1) if same else (wanted.nframes, wanted.nframes + wanted.groupgap)
    _check_length(dark, own, wanted, (wanted.ngroups - 1) * stride + number)
    ny, nx = dark.dq().shape[-2:]
    frames = np.empty((ny, len(sets), wanted.ngroups, nx), np.float32)
    # The peer's sums are in double precision as soon as one frame is extrapolated.
    total = np.empty((ny, nx), np.float64 if wanted.span > own.span else np.float32)
    for s, integration in enumerate(sets):
        frame = _frames(dark, integration, own.ngroups)
        for g in range(wanted.ngroups):
            total[:] = 0
            for k in range(g * stride, g * stride + number):
                values = frame(k)
                total += np.where(np.isnan(values), 0, values)
            np.divide(total, number, out=frames[:, s, g], casting="same_kind")
    return frames


def _readout(dark: Reference) -> Readout:
    nframes, groupgap = dark.header.get("NFRAMES"), dark.header.get("GROUPGAP")
    if nframes is None or groupgap is None:
        raise ReferenceError(f"{dark.path}: the dark lacks NFRAMES or GROUPGAP, which say how frames make its groups")
    return Readout(dark.shape()[-3], nframes, groupgap)


def _check_length(dark: Reference, own: Readout, wanted: Readout, needed: int) -> None:
    """Refuse a dark too short even with the groups extrapolated to span the exposure."""
    missing = max(wanted.span - own.span, 0)
    extra = -(-(missing + own.groupgap) // (own.nframes + own.groupgap)) if missing else 0
    if needed > own.ngroups + extra or (extra and own.ngroups < 2):
        raise ReferenceError(
            f"{dark.path}: the dark has {own.ngroups} groups of NFRAMES={own.nframes}, GROUPGAP={own.groupgap}; an "
            f"exposure of {wanted.ngroups} of NFRAMES={wanted.nframes}, GROUPGAP={wanted.groupgap} needs {needed}"
        )
    if missing:
        log.warning("%s: the dark is %d frames shorter than the exposure and is extrapolated", dark.path, missing)


def _frames(dark: Reference, integration: int, ngroups: int) -> Callable[[int], NDArray[np.floating]]:
    """A reader of one frame ``[ny, nx]`` at a time, which goes on past the last with the step between the last two."""

    def read(first: int, last: int) -> NDArray[np.float32]:
        return dark.planes(integration * ngroups + first, integration * ngroups + last)

    def frame(k: int) -> NDArray[np.floating]:
        values: NDArray[np.floating]
        if k < ngroups:
            (values,) = read(k, k + 1)
            return values
        before, last = read(ngroups - 2, ngroups)
        values = last + np.float64(k - ngroups + 1) * (last - before)
        return values

    return frame


def save(path: Path, dark: Reference, frames: NDArray[np.float32], flags: NDArray[np.uint32], readout: Readout) -> None:
    """Write the dark that is subtracted, in the form of the reference, whole or not at all."""
    from astropy.io import fits

    path = path if path.suffix else path.with_suffix(".fits")
    header = fits.Header()
    for keyword, value in dark.header.items():
        if keyword and not _STRUCTURE.match(keyword):
            header[keyword] = value
    header.update(FILENAME=path.name, NFRAMES=readout.nframes, NGROUPS=readout.ngroups, GROUPGAP=readout.groupgap)
    ramps = frames.transpose(1, 2, 0, 3)
    ramps = ramps[0] if len(dark.shape()) == 3 else ramps
    hdus = fits.HDUList(
        [fits.PrimaryHDU(header=header), fits.ImageHDU(ramps, name="SCI"), fits.ImageHDU(flags, name="DQ")]
    )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            hdus.writeto(file, checksum=True)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path}: the dark cannot be written: {error.strerror or error}") from error
