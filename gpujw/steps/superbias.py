"""Superbias: take the detector's bias off the counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend
from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference


@dataclass(frozen=True, kw_only=True)
class SuperBias(Step):
    """Subtract one frame, the bias that a reset leaves, from every group."""

    references: ClassVar[tuple[str, ...]] = ("superbias",)
    status: ClassVar[str] = "S_SUPERB"

    @property
    def name(self) -> str:
        """The peer's name of the step."""
        return "superbias"

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """The bias ``[ny, nx]``, zero where it is not known, and its flags."""
        reference = refs["superbias"]
        assert reference is not None
        bias = reference.image()
        return Tables(rows={"bias": np.where(np.isnan(bias), np.float32(0), bias), "dq": reference.dq()})

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Counts above the bias; zeros of the zero frame, which mark invalid pixels, stay zero."""
        bias = tables["bias"]
        here = backend.of(ramp.data)
        here.kernel("subtract").subtract_frames_inplace(ramp.data, bias[:, None, None], hold=True)
        if ramp.zeroframe is not None:
            ramp.zeroframe[...] = here.xp.where(ramp.zeroframe == 0, np.float32(0), ramp.zeroframe - bias)
        pixeldq = ramp.pixeldq
        pixeldq |= tables["dq"]
        return ramp
