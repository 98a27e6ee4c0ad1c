"""Products on disk: whole under their final name, or not there at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import fits
from gpujw.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

#: Room in the primary header for keywords that are known only when the last block is done.
_SPARE_BLOCKS = 1
_BITPIX = {"float32": -32, "uint32": 32, "uint8": 8}
#: FITS has no unsigned 32-bit numbers: they are held as signed ones less this.
FLIP = {"float32": 0, "uint32": 1 << 31, "uint8": 0}


@dataclass(frozen=True)
class Plane:
    """An image extension to be written: its name, shape, type and its own keywords."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    cards: tuple[tuple[str, Any, str], ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    def header(self) -> Header:
        """The extension's header, but for the checksums."""
        from astropy.io.fits import Header

        axes = [(f"NAXIS{i + 1}", n, f"length of data axis {i + 1}") for i, n in enumerate(reversed(self.shape))]
        unsigned = [("BSCALE", 1, ""), ("BZERO", 1 << 31, "")] if FLIP[self.dtype] else []
        return Header(
            [
                ("XTENSION", "IMAGE", "Image extension"),
                ("BITPIX", _BITPIX[self.dtype], "array data type"),
                ("NAXIS", len(self.shape), "number of array dimensions"),
                *axes,
                ("PCOUNT", 0, "number of parameters"),
                ("GCOUNT", 1, "number of groups"),
                *unsigned,
                ("EXTNAME", self.name, "extension name"),
                *self.cards,
                ("EXTVER", 1, "extension value"),
            ]
        )


@dataclass(frozen=True)
class Table:
    """A binary table extension that is written as it is."""

    header: Header
    data: bytes


@dataclass
class _Unit:
    part: Plane | Table
    header: Header
    offset: int
    data_offset: int
    total: int = 0


@dataclass
class ProductFile:
    """A product being written: headers first with empty checksums, blocks of planes as they come, checksums last."""

    path: Path
    primary: Header
    parts: list[Plane | Table]
    _units: dict[str, _Unit] = field(default_factory=dict, repr=False)
    _descriptor: int = -1

    def __post_init__(self) -> None:
        self._part = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex[:8]}.part")
        self._primary_blocks = len(fits.signed(self.primary, 0)) // fits.BLOCK + _SPARE_BLOCKS
        end = self._primary_blocks * fits.BLOCK
        for part in self.parts:
            header = part.header() if isinstance(part, Plane) else part.header
            data_offset = end + len(fits.signed(header, 0))
            nbytes = part.nbytes if isinstance(part, Plane) else len(part.data)
            self._units[header["EXTNAME"]] = _Unit(part, header, end, data_offset)
            end = data_offset + fits.padded(nbytes)
        self.nbytes = end

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def open(self) -> None:
        """Make the temporary file, of its full size."""
        with self._told():
            self._descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            os.ftruncate(self._descriptor, self.nbytes)
        for unit in self._units.values():
            if isinstance(unit.part, Table):
                unit.total = fits.word_sum(unit.part.data)
                self._write(unit.part.data, unit.data_offset)

    def put(self, name: str, first_row: int, block: NDArray[Any], total: int | None) -> None:
        """Write rows of a plane: ``block[..., nrow, nx]``, big-endian bytes whose 32-bit words add up to ``total``.

        ``total`` None: added up here, for types whose blocks do not begin at whole words.
        """
        unit = self._units[name]
        *lead, nrow, nx = block.shape
        ny = unit.part.shape[-2]  # type: ignore[union-attr]
        frame, offset, size = ny * nx * block.itemsize, first_row * nx * block.itemsize, nrow * nx * block.itemsize
        frames = block.reshape(prod(lead), nrow, nx)
        if nrow == ny:
            frames, frame, size = block.reshape(1, prod(lead) * nrow, nx), 0, block.nbytes
        for i, rows in enumerate(frames):
            place = i * frame + offset
            unit.total += _phased_sum(rows, place) if total is None else 0
            self._write(memoryview(rows.data).cast("B")[:size], unit.data_offset + place)
        unit.total += total or 0

    def _write(self, data: Any, offset: int) -> None:
        view = memoryview(data)
        with self._told():
            while view:
                done = os.pwrite(self._descriptor, view, offset)
                view, offset = view[done:], offset + done

    def finish(self, cards: dict[str, Any]) -> dict[str, str]:
        """Set the last keywords and the checksums, make the file durable and give it its name; DATASUM by extension."""
        for unit in self._units.values():
            self._write(fits.signed(unit.header, unit.total), unit.offset)
        self.primary.update(cards)
        lines = len(self.primary.tostring(padding=False)) // 80  # more than there are cards: long texts take several
        self.primary.extend([("", "", "")] * max(0, self._primary_blocks * 36 - lines), unique=False)
        text = fits.signed(self.primary, 0)
        if len(text) != self._primary_blocks * fits.BLOCK:
            raise OutputError(f"{self.path}: the primary header outgrew its {self._primary_blocks} blocks")
        self._write(text, 0)
        with self._told():
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            self._part.replace(self.path)
            sync_folder(self.path.parent)
        return {name: unit.header["DATASUM"] for name, unit in self._units.items()}

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        # Where the folder is none, there is no file to take away: that fault has been told.
        with contextlib.suppress(NotADirectoryError):
            self._part.unlink(missing_ok=True)


def _phased_sum(rows: NDArray[Any], place: int) -> int:
    """What bytes that begin at byte ``place`` of the data add to its sum of big-endian 32-bit words."""
    data = np.ascontiguousarray(rows).view(np.uint8).reshape(-1)
    return sum(int(data[(3 - i - place) % 4 :: 4].sum(dtype=np.uint64)) << 8 * i for i in range(4))


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file so that it is there whole or not at all."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
