"""Gain scale: bring rates taken with a gain other than the detector's usual one to that of the references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujw.step import SkipStep, Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujw.exposure import Meta, Report, Slopes
    from gpujw.references import Reference


@dataclass(frozen=True, kw_only=True)
class GainScale(Step):
    """Multiply rates by the factor GAINFACT, which some NIRSpec subarrays have."""

    optional: ClassVar[tuple[str, ...]] = ("gain",)
    status: ClassVar[str] = "S_GANSCL"

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """The factor of the gain reference, which ramp fitting puts in place of the exposure's, or else the latter.

        Raises
        ------
        SkipStep
            Where neither has one.
        """
        gain = refs["gain"]
        factor = None if gain is None else gain.header.get("GAINFACT")
        factor = meta.get("GAINFACT") if factor is None else factor
        if factor is None:
            raise SkipStep("neither the exposure nor its gain reference has GAINFACT")
        return Tables(fixed={"factor": float(factor)})

    def __call__(self, slopes: Slopes, tables: Tables) -> Any:
        """Rates and errors times the factor, variances times its square."""
        factor = tables["factor"]
        for rate in (slopes.rate, slopes.ints):
            for array in (rate.data, rate.err):
                array *= factor
            for array in (rate.var_poisson, rate.var_rnoise):
                array *= factor**2
        slopes.report.keywords["GAINFACT"] = factor
        return slopes

    def keywords(self, report: Report, meta: Meta) -> dict[str, Any]:
        """The factor that was applied."""
        return {"GAINFACT": report.keywords["GAINFACT"]}
