"""Saturation: flag the groups whose counts cannot be trusted, at either end of the converter's range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend, irs2
from gpujw.dq import NO_SAT_CHECK
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

    Of IRS2 frames the rows of pixels are looked at, put together as they lie on the detector; of partly saturated groups
    only the second is looked for there, and flagged SATURATED, with its neighbours.
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
        rows = max(self.n_pix_grow_sat, 0) * (2 if self.frames(meta) > 1 else 1)
        return irs2.halo(rows) if meta.is_irs2 else rows

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """Thresholds and flags; where there is no threshold, one that no count reaches; the superbias, zero if N/A."""
        reference, superbias = refs["saturation"], refs["superbias"]
        assert reference is not None
        threshold, dq = reference.image(), reference.dq()
        dq = np.where(np.isnan(threshold), dq | np.uint32(NO_SAT_CHECK), dq)
        threshold = np.where(dq & NO_SAT_CHECK, np.float32(CONVERTER_LIMIT + 1), threshold)
        bias = np.zeros_like(threshold) if superbias is None else superbias.image()
        rows = {"threshold": threshold, "dq": dq, "bias": bias}
        if not meta.is_irs2:
            return Tables(rows=rows)
        turned = irs2.reverse(meta)
        spread = {n: a if len(a) == irs2.ROWS else irs2.interleave(a, reverse=turned) for n, a in rows.items()}
        return Tables(rows=spread, fixed=irs2.plan(reverse=turned))

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Flags beside the counts; saturated and empty pixels of the zero frame become zero, its mark of invalid."""
        pixeldq = ramp.pixeldq
        pixeldq |= tables["dq"]
        if ramp.meta.is_irs2:
            return self._flag_irs2(ramp, tables)
        self._flag(ramp.data, ramp.groupdq, tables, self.frames(ramp.meta))
        if ramp.zeroframe is not None:
            ramp.zeroframe[...] = self._valid(ramp.zeroframe, tables)
        return ramp

    def _flag(self, data: Any, groupdq: Any, tables: Tables, nframes: int) -> None:
        kernel = backend.of(data).kernel("saturation")
        arrays = (tables[name] for name in ("threshold", "dq", "bias"))
        kernel.flag_saturation_inplace(data, groupdq, *arrays, grow=max(self.n_pix_grow_sat, 0), nframes=nframes)

    def _valid(self, zeroframe: Any, tables: Tables) -> Any:
        """``zeroframe[nint, ny, nx]`` with zeros in place of saturated and empty pixels."""
        xp = backend.of(zeroframe).xp
        flags = xp.zeros(zeroframe.shape, np.uint8)
        self._flag(zeroframe[:, None], flags[:, None], tables, 0)
        return xp.where(flags != 0, np.float32(0), zeroframe)

    def _flag_irs2(self, ramp: Ramp, tables: Tables) -> Ramp:
        """The pixels of IRS2 frames are taken out and flagged, and the flags put back."""
        pixels = irs2.rows_of_pixels(ramp.rows, tables, ramp.meta)
        own = Tables(rows={name: tables[name][pixels] for name in ("threshold", "dq", "bias")})
        data, flags, groupdq = ramp.data[:, :, pixels], ramp.groupdq[:, :, pixels], ramp.groupdq
        self._flag(data, flags, own, 0)
        if self.use_readpatt and data.shape[1] > 2:
            leapt = backend.of(flags).xp.zeros_like(flags[:, 1:2])
            self._flag(self._leaps(data, own, int(ramp.meta["NFRAMES"])), leapt, own, 0)
            flags[:, 1:2] |= leapt
        groupdq[:, :, pixels] = flags
        if ramp.zeroframe is not None:
            ramp.zeroframe[:, pixels] = self._valid(ramp.zeroframe[:, pixels], own)
        return ramp

    def _leaps(self, data: Any, tables: Tables, nframes: int) -> Any:
        """``[nint, 1, ny, nx]`` counts beyond the converter where a second group leapt and the third is saturated.

        That is where the first group does not foretell that the third saturates; 1 DN elsewhere.
        """
        full, bias = tables["threshold"], tables["bias"]
        first, second, third = (data[:, g : g + 1] for g in range(3))
        expected = (first - bias).astype(np.float64) / ((nframes + 1) / 2) * (3 * nframes) + bias
        leapt = second - first > (full - first) / np.float32(nframes)
        found = (third >= full) & (expected < full) & leapt
        return backend.of(data).xp.where(found, np.float32(CONVERTER_LIMIT + 1), np.float32(1))
