"""Reference files: choosing them, reading them, cutting them to an exposure's subarray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from gpujw.exposure import Meta


@dataclass(frozen=True)
class Reference:
    """One FITS reference file, as an exposure with ``meta`` needs it."""

    reftype: str
    path: Path
    meta: Meta

    @property
    def header(self) -> dict[str, Any]:
        """Keywords of the primary header and of SCI."""
        raise NotImplementedError

    def __contains__(self, extension: str) -> bool:
        raise NotImplementedError

    def image(self, extension: str = "SCI") -> NDArray[np.float32]:
        """An image ``[..., ny, nx]``, native float32, cut to the exposure's subarray."""
        raise NotImplementedError

    def planes(self, first: int, last: int, extension: str = "SCI") -> NDArray[np.float32]:
        """Planes ``first`` to ``last`` of the leading axis of an image, cut likewise; the rest of it is not read."""
        raise NotImplementedError

    def dq(self, extension: str = "DQ") -> NDArray[np.uint32]:
        """Flags ``[..., ny, nx]`` in the standard bits (translated by the file's DQ_DEF), cut likewise."""
        raise NotImplementedError

    def table(self, extension: str) -> NDArray[Any]:
        """A binary table as a structured array."""
        raise NotImplementedError
