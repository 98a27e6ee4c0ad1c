"""Reference files: reading them, and cutting them to an exposure's subarray."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import dq, irs2
from gpujw.errors import ReferenceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from gpujw.exposure import Meta


@dataclass(frozen=True)
class Reference:
    """One FITS reference file, as an exposure with ``meta`` needs it."""

    reftype: str
    path: Path
    meta: Meta
    _images: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The file's name, as ``R_*`` keywords hold it."""
        return self.path.name

    @cached_property
    def _hdus(self) -> Any:
        from astropy.io import fits

        try:
            return fits.open(self.path, memmap=False)
        except (OSError, ValueError) as error:
            raise ReferenceError(f"{self.path}: the {self.reftype} reference cannot be read: {error}") from error

    @cached_property
    def header(self) -> dict[str, Any]:
        """Keywords of the primary header and, where it lacks them, of SCI."""
        primary = dict(self._hdus[0].header)
        return {**dict(self._hdus["SCI"].header), **primary} if "SCI" in self else primary

    def __contains__(self, extension: str) -> bool:
        return extension in self._hdus

    def close(self) -> None:
        """Let go of the file and of what was read from it."""
        self._hdus.close()
        self._images.clear()

    def image(self, extension: str = "SCI") -> NDArray[np.float32]:
        """An image ``[..., ny, nx]``, native float32, cut to the exposure's subarray."""
        return self._cut(extension, np.float32)

    def uncut(self, extension: str = "SCI") -> NDArray[np.float32]:
        """An array that is not of the detector's pixels (a kernel), native float32, as it is in the file."""
        return np.ascontiguousarray(self._section(extension)[...], np.float32)

    def planes(self, first: int, last: int, extension: str = "SCI") -> NDArray[np.float32]:
        """Planes ``first`` to ``last`` of an image, cut likewise: ``[last - first, ny, nx]``; the rest is not read.

        They are counted through all leading axes: plane ``i * ngroup + g`` of ``[nint, ngroup, ny, nx]``.
        """
        section = self._section(extension)
        *lead, ny, nx = section.shape
        window = self._window((ny, nx))
        read = [section[(*np.unravel_index(k, lead), *window)] for k in range(first, last)]
        return np.ascontiguousarray(read, np.float32)

    def shape(self, extension: str = "SCI") -> tuple[int, ...]:
        """The extension's shape in the file, before any cut."""
        return tuple(self._section(extension).shape)

    def dq(self, extension: str = "DQ") -> NDArray[np.uint32]:
        """Flags ``[..., ny, nx]`` in the standard bits, translated by the file's DQ_DEF, cut likewise; zeros where none."""
        if extension not in self:
            rows = irs2.ROWS if "SCI" in self and self._is_irs2(self.shape()) else self.meta["SUBSIZE2"]
            return np.zeros((rows, self.meta["SUBSIZE1"]), np.uint32)
        flags = self._cut(extension, np.uint32)
        if "DQ_DEF" not in self or not flags.any():
            return flags
        standard = np.zeros_like(flags)
        for value, name in self._definitions():
            if name in dq.BITS:
                standard[(flags & value) != 0] |= np.uint32(dq.BITS[name])
        return standard

    def table(self, extension: str) -> NDArray[Any]:
        """A binary table as a structured array of native byte order."""
        if extension not in self:
            raise ReferenceError(f"{self.path}: the {self.reftype} reference lacks its table {extension}")
        return np.array(self._hdus[extension].data)

    def _definitions(self) -> Iterator[tuple[np.uint32, str]]:
        for row in self._hdus["DQ_DEF"].data:
            yield np.uint32(row["VALUE"]), str(row["NAME"]).strip()

    def _section(self, extension: str) -> Any:
        if extension not in self:
            raise ReferenceError(f"{self.path}: the {self.reftype} reference lacks its extension {extension}")
        return self._hdus[extension].section

    def _cut(self, extension: str, dtype: Any) -> NDArray[Any]:
        if extension not in self._images:
            section = self._section(extension)
            window = (slice(None),) * (len(section.shape) - 2) + self._window(section.shape)
            self._images[extension] = np.ascontiguousarray(section[window], dtype)
        image: NDArray[Any] = self._images[extension]
        return image

    def _is_irs2(self, shape: tuple[int, ...]) -> bool:
        return self.meta.is_irs2 and shape[-2] == irs2.ROWS

    def _window(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """The rows and columns of the file that the exposure's subarray covers: all, of IRS2 frames."""
        if self._is_irs2(shape):
            return slice(None), slice(None)
        cuts = []
        for axis, length in ((2, shape[-2]), (1, shape[-1])):
            start, size = self.meta[f"SUBSTRT{axis}"], self.meta[f"SUBSIZE{axis}"]
            own_size = self.header.get(f"SUBSIZE{axis}") or length
            own_start = self.header.get(f"SUBSTRT{axis}") or 1
            if own_size != length:
                raise ReferenceError(
                    f"{self.path}: SUBSIZE{axis} is {own_size}, but the {self.reftype} array has {length} pixels there"
                )
            first = start - own_start
            if first < 0 or first + size > length:
                raise ReferenceError(
                    f"{self.path}: the {self.reftype} reference covers pixels {own_start} to {own_start + length - 1} of axis "
                    f"{axis}, the exposure {self.meta.path} pixels {start} to {start + size - 1}"
                )
            cuts.append(slice(first, first + size))
        return cuts[0], cuts[1]
