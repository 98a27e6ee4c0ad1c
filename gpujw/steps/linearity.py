"""Linearity: replace counts by a per-pixel polynomial in the counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend
from gpujw.dq import NO_LIN_CORR, SATURATED
from gpujw.errors import ReferenceError
from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference


@dataclass(frozen=True, kw_only=True)
class Linearity(Step):
    """Correct the detector's non-linear response.

    Where frames were averaged into groups on board and the reference has the inverse polynomials, the frames are
    corrected rather than their average, which a curved response makes too low.
    """

    references: ClassVar[tuple[str, ...]] = ("linearity",)
    status: ClassVar[str] = "S_LINEAR"

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """The polynomials, rows first, identity where there is none to use, and the flags of such pixels."""
        reference = refs["linearity"]
        assert reference is not None
        coeffs, dq = usable(reference, "COEFFS")
        if meta.get("NFRAMES", 1) == 1 or "INV_COEFFS" not in reference:
            return Tables(rows={"coeffs": coeffs, "dq": dq})
        inverse, inverse_dq = usable(reference, "INV_COEFFS")
        return Tables(rows={"coeffs": coeffs, "inverse": inverse, "dq": dq | inverse_dq})

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Linear counts in place of those measured; zeros of the zero frame, which mark invalid pixels, stay zero."""
        kernel = backend.of(ramp.data).kernel("linearity")
        arrays = ramp.data, ramp.groupdq, tables["coeffs"]
        if "inverse" in tables:
            kernel.linearize_reads_inplace(*arrays, tables["inverse"], nframe=ramp.meta["NFRAMES"])
        else:
            kernel.linearize_inplace(*arrays)
        if ramp.zeroframe is not None:
            frames = ramp.zeroframe[:, None]
            kernel.linearize_inplace(frames, (frames == 0).astype(np.uint8) * np.uint8(SATURATED), tables["coeffs"])
        pixeldq = ramp.pixeldq
        pixeldq |= tables["dq"]
        return ramp


def usable(reference: Reference, extension: str) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Polynomials ``coeffs[ny, ncoeff, nx]`` and flags ``dq[ny, nx]``, pixels that have no polynomial set aside.

    Flagged NO_LIN_CORR, a NaN coefficient, or no linear term: such a pixel gets the identity, and the flag.
    """
    planes, dq = reference.image(extension), reference.dq()
    if planes.ndim != 3 or len(planes) < 2:
        raise ReferenceError(
            f"{reference.path}, extension {extension}: its shape is {planes.shape}; "
            "it must hold polynomials, [2 or more coefficients, ny, nx]"
        )
    without = ((dq & NO_LIN_CORR) != 0) | np.isnan(planes).any(axis=0) | (planes[1] == 0)
    coeffs = planes.transpose(1, 0, 2).copy()
    identity = np.zeros(len(planes), np.float32)
    identity[1] = 1
    np.copyto(coeffs, identity[:, None], where=without[:, None])
    return coeffs, np.where(without, dq | np.uint32(NO_LIN_CORR), dq)
