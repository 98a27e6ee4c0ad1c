"""Linearity: replace counts by a per-pixel polynomial in the counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujw import backend
from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference


@dataclass(frozen=True, kw_only=True)
class Linearity(Step):
    """Correct the detector's non-linear response."""

    references: ClassVar[tuple[str, ...]] = ("linearity",)
    status: ClassVar[str] = "S_LINEAR"

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """The polynomials, rows first, identity where there is none to use."""
        raise NotImplementedError

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Linear counts in place of those measured."""
        kernel = backend.of(ramp.data).kernel("linearity")
        kernel.linearize_inplace(ramp.data, ramp.groupdq, tables["coeffs"])
        ramp.pixeldq[:] |= tables["dq"]
        return ramp
