"""Saturation: flag the groups whose counts cannot be trusted, at either end of the converter's range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend
from gpujw.dq import NO_SAT_CHECK
from gpujw.errors import StepError
from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference

CONVERTER_LIMIT = 65535  # DN; the analogue-to-digital converter has 16 bits


@dataclass(frozen=True, kw_only=True)
class Saturation(Step):
    """Flag saturated groups, their neighbours, and groups at or below zero counts.

    ``n_pix_grow_sat`` pixels around a saturated one are flagged with it, for charge spills over. ``use_readpatt``: look
    at how many frames were averaged to a group, for groups whose last frames alone were saturated.
    """

    references: ClassVar[tuple[str, ...]] = ("saturation",)
    optional: ClassVar[tuple[str, ...]] = ("superbias",)
    status: ClassVar[str] = "S_SATURA"

    n_pix_grow_sat: int = 1
    use_readpatt: bool = True

    def frames(self, meta: Meta) -> int:
        """Frames averaged to a group, 0 where they are not to be looked at."""
        return int(meta["NFRAMES"]) if self.use_readpatt else 0

    def halo(self, meta: Meta) -> int:
        """Saturation grows once; a group saturated in part is found beside a grown flag, and grows again."""
        return max(self.n_pix_grow_sat, 0) * (2 if self.frames(meta) > 1 else 1)

    def inapplicable(self, meta: Meta) -> str | None:
        """Every exposure takes the step.

        Raises
        ------
        StepError
            For IRS2 readout, whose rows of pixels are interleaved with reference pixels.
        """
        if "IRS2" in meta.get("READPATT", ""):
            readout = f"READPATT {meta['READPATT']}: IRS2 readout"
            raise StepError(f"{meta.path}: saturation does not support {readout}; skip=True leaves the step out")
        return None

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """Thresholds and flags; where there is no threshold, one that no count reaches; the superbias, zero if N/A."""
        reference, superbias = refs["saturation"], refs["superbias"]
        assert reference is not None
        threshold, dq = reference.image(), reference.dq()
        dq = np.where(np.isnan(threshold), dq | np.uint32(NO_SAT_CHECK), dq)
        threshold = np.where(dq & NO_SAT_CHECK, np.float32(CONVERTER_LIMIT + 1), threshold)
        bias = np.zeros_like(threshold) if superbias is None else superbias.image()
        return Tables(rows={"threshold": threshold, "dq": dq, "bias": bias})

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Flags beside the counts; saturated and empty pixels of the zero frame become zero, its mark of invalid."""
        self._flag(ramp.data, ramp.groupdq, tables, self.frames(ramp.meta))
        if ramp.zeroframe is not None:
            frame = ramp.zeroframe[:, None]
            xp = backend.of(frame).xp
            flags = xp.zeros(frame.shape, np.uint8)
            self._flag(frame, flags, tables, 0)
            frame[...] = xp.where(flags != 0, np.float32(0), frame)
        pixeldq = ramp.pixeldq
        pixeldq |= tables["dq"]
        return ramp

    def _flag(self, data: Any, groupdq: Any, tables: Tables, nframes: int) -> None:
        kernel = backend.of(data).kernel("saturation")
        arrays = (tables[name] for name in ("threshold", "dq", "bias"))
        kernel.flag_saturation_inplace(data, groupdq, *arrays, grow=max(self.n_pix_grow_sat, 0), nframes=nframes)
