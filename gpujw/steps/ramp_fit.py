"""Ramp fit: count rates from the slopes of ramps."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend, dq
from gpujw.errors import StepError, UsageError
from gpujw.exposure import Rate, Slopes
from gpujw.step import Step, Tables
from gpujw.steps.ramp_likely import LEAST_GROUPS, fit_likely, likely_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference

log = logging.getLogger(__name__)

#: Powers of the weights |(k - m) / m|**power of group k of a segment whose middle is m, by signal to noise: below 5,
#: 10, 20, 50, 100, above. Fixsen et al. 2000, PASP 112, 1350; Robberto 2008, JWST-STScI-0001490.
POWERS = (0.0, 0.4, 1.0, 3.0, 6.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class RampFit(Step):
    """Fit a slope to each segment of a ramp between flagged groups, and combine them.

    An exposure with every ramp saturated in its first group gives rates that are all NaN and flagged, as its pixels
    would be among others; one of MIRI that keeps fewer than two groups is an error. (The peer writes no product then.)
    """

    references: ClassVar[tuple[str, ...]] = ("readnoise", "gain")
    status: ClassVar[str] = "S_RAMP"

    algorithm: str = "OLS_C"
    int_name: str = ""
    save_opt: bool = False
    opt_name: str = ""
    suppress_one_group: bool = True
    firstgroup: int | None = None
    lastgroup: int | None = None
    maximum_cores: str = "1"

    def __post_init__(self) -> None:
        if self.algorithm not in ("OLS_C", "LIKELY"):
            raise UsageError(f"ramp_fit.algorithm={self.algorithm!r}: allowed are 'OLS_C' and 'LIKELY'")

    def whole(self, meta: Meta) -> bool:
        """MIRI leaves out leading and last groups that no pixel of the whole exposure may use."""
        return bool(meta["INSTRUME"] == "MIRI" and meta["NGROUPS"] > 1 and not self._likely(meta["NGROUPS"]))

    def _likely(self, ngroup: int) -> bool:
        """Whether the fit is that by likelihood: with fewer than four groups it never is."""
        return self.algorithm == "LIKELY" and ngroup >= LEAST_GROUPS

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """Gain (e-/DN), read noise of a group (e-), and the coefficients of the slope of any number of groups."""
        ngroup = int(meta["NGROUPS"])
        self._check(ngroup)
        if self._likely(ngroup):
            return likely_tables(refs, meta)
        readnoise, gain = refs["readnoise"], refs["gain"]
        assert readnoise is not None and gain is not None
        gain_image = gain.image()
        # The reference is the noise of the difference of two frames, in DN.
        noise = readnoise.image() * (gain_image / np.sqrt(np.float64(2 * meta["NFRAMES"])))
        fixed = {"coeffs": slope_coefficients(ngroup), "gain_factor": gain.header.get("GAINFACT")}
        return Tables(rows={"gain": gain_image, "read_noise": noise.astype(np.float32)}, fixed=fixed)

    def _check(self, ngroup: int) -> None:
        """Refuse what is not there, say what is not obeyed."""
        if self.algorithm == "LIKELY" and not self._likely(ngroup):
            log.info("ramp_fit: LIKELY needs %s groups, there are %s: OLS_C is used", LEAST_GROUPS, ngroup)
        if self.save_opt:
            raise StepError("ramp_fit.save_opt=True: the optional product of segments is not in this version of gpujw")
        if (self.firstgroup, self.lastgroup) != (None, None) and self.selected(ngroup) == (0, ngroup):
            log.warning("ramp_fit: firstgroup=%s, lastgroup=%s select all groups", self.firstgroup, self.lastgroup)

    def selected(self, ngroup: int) -> tuple[int, int]:
        """The first group to use and the first beyond them; all where firstgroup is not below lastgroup."""
        first = max(self.firstgroup or 0, 0)
        last = ngroup - 1 if self.lastgroup is None else self.lastgroup
        return (first, min(last + 1, ngroup)) if first < last else (0, ngroup)

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Rates of the block's interior rows; ``ramp.groupdq`` gets DO_NOT_USE outside firstgroup to lastgroup."""
        ngroup = ramp.data.shape[1]
        first, last = self.selected(ngroup)
        ramp.groupdq[:, :first] |= dq.DO_NOT_USE
        ramp.groupdq[:, last:] |= dq.DO_NOT_USE
        rows = range(ramp.data.shape[2])[ramp.interior]
        rate, ints, *_ = fit_likely(ramp, tables, rows) if self._likely(ngroup) else self._fit(ramp, tables, rows)
        if tables["gain_factor"] is not None:
            ramp.report.keywords["GAINFACT"] = tables["gain_factor"]
        top = ramp.rows.start
        return Slopes(Rate(*rate), Rate(*ints), ramp.meta, slice(top + rows.start, top + rows.stop), ramp.report)

    def _fit(self, ramp: Ramp, tables: Tables, rows: range) -> Any:
        """Rates of the exposure and of its integrations by least squares."""
        kernel = backend.of(ramp.data).kernel("ramp_fit")
        suppress = self.suppress_one_group and ramp.data.shape[1] > 1
        return kernel.fit_slopes(
            *(ramp.data, ramp.groupdq, ramp.pixeldq, tables["gain"], tables["read_noise"], tables["coeffs"]),
            rows=(rows.start, rows.stop),
            groups=_used(ramp, kernel, suppress=suppress),
            times=_times(ramp.meta),
            suppress_one_group=suppress,
            zeroframe=ramp.zeroframe,
            dark_rate=ramp.dark_rate,
        )


def _times(meta: Meta) -> tuple[float, float, float]:
    """Times, s: between groups, of the frames averaged to the first group, of the zero frame."""
    frame = float(meta["TFRAME"])
    return float(meta["TGROUP"]), (int(meta["NFRAMES"]) + 1) * frame / 2, frame


def _used(ramp: Ramp, kernel: Any, *, suppress: bool) -> tuple[int, int]:
    """The groups to fit: for MIRI, leading ones and a last one that all pixels may not use are left out."""
    ngroup = ramp.data.shape[1]
    if ramp.meta["INSTRUME"] != "MIRI" or ngroup == 1:
        return 0, ngroup
    # The one wait for the device in this step: the groups decide what the kernel is launched on.
    used = kernel.usable_groups(ramp.groupdq, suppress_one_group=suppress).tolist()
    first = used.index(True) if any(used) else ngroup
    last = ngroup if used[-1] else ngroup - 1
    if last - first < 2:
        raise StepError(
            f"ramp_fit: of {ngroup} groups {max(last - first, 0)} are left when those that no pixel may use are taken "
            "from the ends; a MIRI ramp needs at least 2 (see firstgroup, lastgroup, and the flags of the groups)"
        )
    return first, last


def slope_coefficients(ngroup: int) -> NDArray[np.float64]:
    """Weighted least squares as sums over pairs of groups, ``coeffs[ngroup + 1, len(POWERS), ngroup // 2]``.

    The slope of ``n`` groups f with weights of power ``p`` is the sum over k of ``coeffs[n, p, k] * (f[n-1-k] - f[k])``:
    the weights are symmetric about the middle, so groups come in pairs.
    """
    coeffs = np.zeros((ngroup + 1, len(POWERS), max(ngroup // 2, 1)))
    for n in range(2, ngroup + 1):
        middle = (n - 1) / 2
        arm = middle - np.arange(n // 2)
        weights = (arm / middle) ** np.array(POWERS)[:, None] * arm
        coeffs[n, :, : n // 2] = weights / (2 * (weights * arm).sum(axis=1, keepdims=True))
    return coeffs
