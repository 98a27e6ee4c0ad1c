"""Last frame: MIRI's last group is pulled down by the reset of the row beside it, and is not used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw.dq import DO_NOT_USE
from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from gpujw.exposure import Meta, Ramp


@dataclass(frozen=True, kw_only=True)
class LastFrame(Step):
    """Flag the last group of MIRI's integrations DO_NOT_USE."""

    status: ClassVar[str] = "S_LASTFR"

    @property
    def name(self) -> str:
        """The peer's name of the step."""
        return "lastframe"

    def inapplicable(self, meta: Meta) -> str | None:
        """Other instruments, and ramps that would be left with one group."""
        if not meta["DETECTOR"].startswith("MIR"):
            return f"detector {meta['DETECTOR']}: for MIRI only"
        return f"NGROUPS {meta['NGROUPS']}: too few groups, 3 are needed" if meta["NGROUPS"] < 3 else None

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """The ramp without its last group."""
        last = ramp.groupdq[:, -1]
        last |= np.uint8(DO_NOT_USE)
        return ramp
