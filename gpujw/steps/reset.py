"""Reset: take off the signal that a reset leaves in the first groups of MIRI's integrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend
from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference


@dataclass(frozen=True, kw_only=True)
class Reset(Step):
    """Subtract the reset anomaly, measured for the first groups of the first integrations after a reset."""

    references: ClassVar[tuple[str, ...]] = ("reset",)
    status: ClassVar[str] = "S_RESET"

    def inapplicable(self, meta: Meta) -> str | None:
        """Only MIRI has it."""
        return None if meta["INSTRUME"] == "MIRI" else "only MIRI has a reset anomaly"

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """The anomaly ``[ny, nset, nframe, nx]`` in the exposure's own integrations, zero where it is not known."""
        reference = refs["reset"]
        assert reference is not None
        return Tables(rows={"frames": anomaly(reference, meta), "dq": reference.dq()})

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Counts without the anomaly."""
        subtract = backend.of(ramp.data).kernel("subtract").subtract_frames_inplace
        subtract(ramp.data, tables["frames"])
        pixeldq = ramp.pixeldq
        pixeldq |= tables["dq"]
        return ramp


def anomaly(reference: Reference, meta: Meta) -> NDArray[np.float32]:
    """The reset anomaly of an exposure, rows first: ``frames[ny, nset, nframe, nx]``, DN.

    A segment that begins with integration INTSTART begins with that integration's anomaly; integrations past the last
    one measured have its anomaly.
    """
    nint, ngroup = reference.shape()[:2]
    nint = min(nint, reference.header.get("NINTS", nint))
    ngroup = min(ngroup, reference.header.get("NGROUPS", ngroup), meta["NGROUPS"])
    start = meta.get("INTSTART", 1) - 1
    own = reference.shape()[1]
    sets = range(min(start, nint - 1), min(start + meta["NINTS"], nint))
    frames = np.stack([reference.planes(i * own, i * own + ngroup) for i in sets])
    frames = np.where(np.isnan(frames), np.float32(0), frames)
    return np.ascontiguousarray(frames.transpose(2, 0, 1, 3))
