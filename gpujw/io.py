"""The door between files and device arrays: raw exposures in, products out."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import fits
from gpujw.errors import HostMemoryError, InputError
from gpujw.exposure import Array, Meta, Ramp, Report

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gpujw.backend import Backend

#: What a header says of its own array, which the product says anew.
_STRUCTURE = {
    "SIMPLE",
    "XTENSION",
    "BITPIX",
    "NAXIS",
    "EXTEND",
    "PCOUNT",
    "GCOUNT",
    "BZERO",
    "BSCALE",
    "EXTNAME",
    "EXTVER",
}


@dataclass(frozen=True)
class Source:
    """An exposure's file: what lies where in it, and its keywords."""

    path: Path
    hdus: list[fits.HDU]
    meta: Meta

    def find(self, name: str) -> fits.HDU | None:
        """The first extension called ``name``, or None."""
        return next((hdu for hdu in self.hdus if hdu.name == name), None)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``nint, ngroup, ny, nx`` of the ramps."""
        nint, ngroup, ny, nx = self.hdus[_index(self.hdus, "SCI")].shape
        return nint, ngroup, ny, nx


def _index(hdus: list[fits.HDU], name: str) -> int:
    return next(i for i, hdu in enumerate(hdus) if hdu.name == name)


def open_exposure(path: Path) -> Source:
    """The exposure in ``path``, a ``_uncal`` or a ramp product; its arrays are checked, not yet read."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    hdus = fits.scan(path)
    sci = next((hdu for hdu in hdus if hdu.name == "SCI"), None)
    if sci is None:
        raise InputError(f"{path}: extension SCI is missing; raw ramps (_uncal.fits) are needed")
    if len(sci.shape) != 4 or 0 in sci.shape:
        raise InputError(
            f"{path}, extension SCI: NAXIS is {len(sci.shape)}, axes {sci.shape}: ramps have four, nint, ngroup, ny, nx"
        )
    _check_type(path, sci)
    meta = Meta(path, _cards(hdus[0], sci))
    if meta["NGROUPS"] != sci.shape[1]:
        raise InputError(f"{path}, extension SCI: NAXIS3 is {sci.shape[1]}, but keyword NGROUPS is {meta['NGROUPS']}")
    return Source(path, hdus, meta)


def _check_type(path: Path, hdu: fits.HDU) -> None:
    kind = hdu.header["BITPIX"], hdu.header.get("BZERO", 0), hdu.header.get("BSCALE", 1)
    if kind not in ((16, 32768, 1), (-32, 0, 1)):
        raise InputError(
            f"{path}, extension {hdu.name}: BITPIX, BZERO, BSCALE are {kind}: allowed are (16, 32768, 1), raw counts, and "
            "(-32, 0, 1), ramps"
        )


def _cards(primary: fits.HDU, sci: fits.HDU) -> dict[str, Any]:
    from astropy.io.fits.card import Undefined

    cards: dict[str, Any] = {}
    for header in (sci.header, primary.header):
        for card in header.cards:
            if card.keyword not in ("", "COMMENT", "HISTORY"):
                cards[card.keyword] = None if isinstance(card.value, Undefined) else card.value
    for keyword in _STRUCTURE:
        cards.pop(keyword, None)
    return cards


@dataclass
class Raw:
    """The bytes of an exposure's arrays as they lie on disk, on the host or on a device.

    ``data[nint, ngroup, ny, nx]`` uint16 (counts) or uint32 (float32 words), ``zeroframe[nint, ny, nx]`` likewise or
    None; ``groupdq`` uint8 and ``pixeldq`` uint32 words where the file is a ramp product.
    """

    data: Array
    zeroframe: Array = None
    groupdq: Array = None
    pixeldq: Array = None


class Reader:
    """Reads exposures into buffers that are used again: fresh memory costs more than the copy."""

    def __init__(self, allocate: Any = None) -> None:
        self._allocate = allocate or (lambda nbytes: np.empty(nbytes, np.uint8))
        self._free: list[NDArray[np.uint8]] = []

    def read(self, source: Source) -> Raw:
        """All arrays that calibration needs."""
        wanted = {"data": "SCI", "zeroframe": "ZEROFRAME", "groupdq": "GROUPDQ", "pixeldq": "PIXELDQ"}
        if not source.meta.get("ZEROFRAM", False):
            del wanted["zeroframe"]
        hdus = {name: source.find(extension) for name, extension in wanted.items()}
        return Raw(**{name: self._array(source.path, hdu) for name, hdu in hdus.items() if hdu is not None})

    def release(self, raw: Raw) -> None:
        """Give the buffers back; ``raw`` must not be used any more."""
        self._free += [
            a.base for a in vars(raw).values() if isinstance(a, np.ndarray) and isinstance(a.base, np.ndarray)
        ]

    def _array(self, path: Path, hdu: fits.HDU) -> NDArray[Any]:
        if hdu.name == "ZEROFRAME":
            _check_type(path, hdu)
        buffer = self._buffer(path, hdu)
        view = memoryview(buffer.data)[: hdu.nbytes]
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(hdu.offset)
                done = 0
                while done < hdu.nbytes:
                    got = file.readinto(view[done:])
                    if not got:
                        raise InputError(
                            f"{path}, extension {hdu.name}: the file ended {hdu.nbytes - done} bytes early while it was read"
                        )
                    done += got
        except OSError as error:
            raise InputError(f"{path}, extension {hdu.name}: cannot be read: {error.strerror or error}") from error
        dtype = {8: np.uint8, 16: np.uint16, 32: np.uint32}[abs(hdu.header["BITPIX"])]
        return buffer[: hdu.nbytes].view(dtype).reshape(hdu.shape)

    def _buffer(self, path: Path, hdu: fits.HDU) -> NDArray[np.uint8]:
        fitting = [b for b in self._free if hdu.nbytes <= b.nbytes <= max(2 * hdu.nbytes, hdu.nbytes + 4096)]
        if fitting:
            best = min(fitting, key=lambda b: b.nbytes)
            self._free = [b for b in self._free if b is not best]
            return best
        self._free.clear()
        try:
            buffer: NDArray[np.uint8] = self._allocate(hdu.nbytes)
        except MemoryError as error:
            raise HostMemoryError(
                f"{path}, extension {hdu.name}: {hdu.nbytes / 2**30:.2f} GiB of memory are not to be had"
            ) from error
        return buffer


@dataclass
class Loader:
    """Turns raw bytes into ramp blocks at their home; the block's arrays are used again for the next one."""

    backend: Backend
    meta: Meta
    raw: Raw
    report: Report
    _arrays: dict[tuple[Any, ...], Array] = field(default_factory=dict)

    def block(self, rows: slice, interior: slice, columns: slice | None = None) -> Ramp:
        """The block of ``rows`` (and ``columns``, all of them by default) before any step."""
        columns = columns or slice(0, self.raw.data.shape[3])
        window = (rows, columns)
        data = self._decode("data", self.raw.data, window)
        groupdq = self._array("groupdq", data.shape, np.uint8)
        pixeldq = self._array("pixeldq", data.shape[2:], np.uint32)
        groupdq[...] = 0 if self.raw.groupdq is None else self.raw.groupdq[:, :, rows, columns]
        pixeldq[...] = 0 if self.raw.pixeldq is None else self._pixeldq(window)
        zeroframe = None
        if self.raw.zeroframe is not None:
            zeroframe = self._decode("zeroframe", self.raw.zeroframe[:, None], window)[:, 0]
        return Ramp(data, groupdq, pixeldq, self.meta, rows, interior, columns, zeroframe, report=self.report)

    def whole(self, shape: tuple[int, int, int, int]) -> Ramp:
        """Room for the whole exposure, to be filled block by block."""
        xp, (nint, _, ny, nx) = self.backend.xp, shape
        rows = slice(0, ny)
        zeroframe = None if self.raw.zeroframe is None else xp.empty((nint, ny, nx), np.float32)
        return Ramp(
            xp.empty(shape, np.float32),
            xp.empty(shape, np.uint8),
            xp.empty((ny, nx), np.uint32),
            self.meta,
            rows,
            rows,
            slice(0, nx),
            zeroframe,
            xp.zeros((ny, nx), np.float32),
            self.report,
        )

    def _array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        key = (name, shape)
        if key not in self._arrays:
            self._arrays[key] = self.backend.xp.empty(shape, dtype)
        return self._arrays[key]

    def _decode(self, name: str, raw: Array, window: tuple[slice, slice]) -> Array:
        rows, columns = window
        shape = (*raw.shape[:2], rows.stop - rows.start, columns.stop - columns.start)
        data = self._array(name, shape, np.float32)
        codec = self.backend.kernel("codec")
        if raw.dtype == np.uint16:
            codec.decode_counts(raw, data, row=rows.start, column=columns.start)
        else:
            words = data.view(np.uint32)
            words[...] = raw[:, :, rows, columns]
            codec.swap_inplace(words)
        return data

    def _pixeldq(self, window: tuple[slice, slice]) -> Array:
        words = self.backend.xp.ascontiguousarray(self.raw.pixeldq[window])
        self.backend.kernel("codec").swap_inplace(words)
        return words ^ np.uint32(1 << 31)


def free_space(folder: Path) -> int:
    """Bytes that can still be written below ``folder``."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize
