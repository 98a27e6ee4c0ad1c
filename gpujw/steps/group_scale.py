"""Group scale: undo an average of frames that was taken with another divisor than their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from gpujw.exposure import Meta, Ramp


@dataclass(frozen=True, kw_only=True)
class GroupScale(Step):
    """Scale counts by FRMDIVSR / NFRAMES: on board, frames are summed and divided by a power of two."""

    status: ClassVar[str] = "S_GRPSCL"

    def inapplicable(self, meta: Meta) -> str | None:
        """Exposures whose divisor is unknown or right."""
        nframes, divisor = meta.get("NFRAMES"), meta.get("FRMDIVSR")
        if nframes is None or divisor is None:
            return f"keyword {'NFRAMES' if nframes is None else 'FRMDIVSR'} is missing"
        return "NFRAMES equals FRMDIVSR" if nframes == divisor else None

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Counts of the mean frame."""
        data = ramp.data
        data *= ramp.meta["FRMDIVSR"] / ramp.meta["NFRAMES"]
        return ramp
