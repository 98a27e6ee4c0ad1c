"""The FITS format itself: finding the HDUs of a file, strictly, and the checksums of those that are written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from gpujw.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header

BLOCK = 2880
# Far above any JWST product; a header beyond them is damage, and reading on would only exhaust the memory.
MAX_HEADER_BLOCKS = 2000
MAX_HDUS = 1000


@dataclass(frozen=True)
class HDU:
    """One header and data unit: where its bytes lie in the file."""

    name: str
    ver: int
    header: Header
    header_offset: int
    offset: int
    nbytes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape in C order: NAXIS1 last."""
        return tuple(self.header[f"NAXIS{i}"] for i in range(self.header["NAXIS"], 0, -1))

    @property
    def end(self) -> int:
        """The first byte after this HDU."""
        return self.offset + padded(self.nbytes)


def padded(nbytes: int) -> int:
    """``nbytes`` rounded up to whole FITS blocks."""
    return -(-nbytes // BLOCK) * BLOCK


def scan(path: Path) -> list[HDU]:
    """Every HDU of the file, checked against the file's length before anything of its data is read."""
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            hdus: list[HDU] = []
            while (start := hdus[-1].end if hdus else 0) < size and len(hdus) < MAX_HDUS:
                hdus.append(_hdu(path, file, start, size))
            return hdus or _fail(path, "PRIMARY", "the file is empty")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _hdu(path: Path, file: Any, start: int, size: int) -> HDU:
    header, offset = _header(path, file, start)
    name = str(header.get("EXTNAME", "PRIMARY" if start == 0 else ""))
    axes = [header.get(f"NAXIS{i + 1}") for i in range(_integer(path, name, header, "NAXIS", 0, 999))]
    if any(not isinstance(axis, int) or axis < 0 for axis in axes):
        _fail(path, name, f"NAXISn is {axes}: each must be a whole number of pixels")
    bitpix = _integer(path, name, header, "BITPIX", -64, 64)
    groups = header.get("PCOUNT", 0) + (prod(axes) if axes else 0)
    nbytes = abs(bitpix) // 8 * header.get("GCOUNT", 1) * groups
    if offset + nbytes > size:
        _fail(path, name, f"truncated: its data end at byte {offset + nbytes}, the file at byte {size}; fetch it again")
    return HDU(name, header.get("EXTVER", 1), header, start, offset, nbytes)


def _header(path: Path, file: Any, start: int) -> tuple[Header, int]:
    from astropy.io.fits import Header

    text = b""
    for _ in range(MAX_HEADER_BLOCKS):
        block = os.pread(file.fileno(), BLOCK, start + len(text))
        if not text and not block.startswith((b"SIMPLE  =", b"XTENSION=")):
            _fail(path, f"byte {start}", "no FITS header starts here; this is not a FITS file, or it is damaged")
        text += block
        cards = [block[i : i + 80] for i in range(0, len(block), 80)]
        if any(card.rstrip() == b"END" for card in cards):
            break
        if len(block) < BLOCK:
            _fail(path, f"byte {start}", "truncated: the header has no END card; fetch the file again")
    try:
        return Header.fromstring(text.decode("ascii")), start + len(text)
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path}, byte {start}: the header cannot be read: {error}") from error


def _integer(path: Path, name: str, header: Header, keyword: str, low: int, high: int) -> int:
    value = header.get(keyword)
    if not isinstance(value, int) or not low <= value <= high:
        _fail(path, name, f"{keyword} is {value!r}: a whole number from {low} to {high} is needed")
    return int(value)


def _fail(path: Path, extension: str, message: str) -> Any:
    raise InputError(f"{path}, extension {extension}: {message}")


def ones_complement(total: int) -> int:
    """A sum of 32-bit words with the carries added back in, as DATASUM holds it (FITS 4.0, appendix J)."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def word_sum(data: bytes) -> int:
    """The plain sum of ``data`` as big-endian 32-bit words, zero padded."""
    import numpy as np

    words = np.frombuffer(data + bytes(-len(data) % 4), ">u4")
    return int(words.sum(dtype=np.uint64))


def signed(header: Header, data_sum: int) -> bytes:
    """The header's bytes with DATASUM and CHECKSUM set for data whose 32-bit words add up to ``data_sum``."""
    header["DATASUM"] = (str(ones_complement(data_sum)), "data unit checksum")
    header["CHECKSUM"] = ("0" * 16, "HDU checksum")
    total = ones_complement(data_sum + word_sum(header.tostring().encode("ascii")))
    header["CHECKSUM"] = _ascii(~total & 0xFFFFFFFF)
    return bytes(header.tostring().encode("ascii"))


def _ascii(value: int) -> str:
    """``value`` in sixteen letters and digits that, summed as words, give it back (FITS 4.0, appendix J)."""
    barred = set(range(0x3A, 0x41)) | set(range(0x5B, 0x61))
    columns = []
    for shift in (24, 16, 8, 0):
        quotient, rest = divmod(value >> shift & 0xFF, 4)
        four = [quotient + 48 + rest, quotient + 48, quotient + 48, quotient + 48]
        while any(code in barred for code in four):
            for i in (0, 2):
                if four[i] in barred or four[i + 1] in barred:
                    four[i] += 1
                    four[i + 1] -= 1
        columns.append(four)
    text = [chr(columns[byte][letter]) for letter in range(4) for byte in range(4)]
    return "".join(text[-1:] + text[:-1])
