"""Reference pixels: take the drift of the amplifiers off the counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujw import backend, irs2
from gpujw.errors import StepError, UsageError
from gpujw.step import Step, Tables
from gpujw.steps import refpix_irs2
from gpujw.steps.refpix_measure import NEAR_IR, measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference

MIRI = (1032, 1024)  # columns, rows


@dataclass(frozen=True, kw_only=True)
class RefPix(Step):
    """Correct drifts of the readout by the reference pixels along the detector's edges.

    Near-infrared: levels by amplifier and parity of the column, from the reference rows, then a running median of the
    reference columns. MIRI: levels by output and parity of the row. NIRSpec's IRS2 frames: amplifier by amplifier, from
    the reference output and interleaved reference samples, which are then left out unless ``preserve_irs2_refpix``.
    """

    status: ClassVar[str] = "S_REFPIX"
    measures: ClassVar[bool] = True

    odd_even_columns: bool = True
    use_side_ref_pixels: bool = True
    side_smoothing_length: int = 11
    side_gain: float = 1.0
    odd_even_rows: bool = True
    ovr_corr_mitigation_ftr: float = 3.0
    preserve_irs2_refpix: bool = False
    irs2_mean_subtraction: bool = False
    refpix_algorithm: str = "median"
    sigreject: float = 4.0
    gaussmooth: float = 1.0
    halfwidth: int = 30
    siglimit: float = 3.0

    def __post_init__(self) -> None:
        if self.refpix_algorithm not in ("median", "sirs"):
            raise UsageError(f"refpix: refpix_algorithm={self.refpix_algorithm!r}: allowed are 'median' and 'sirs'")
        if not 1 <= self.side_smoothing_length < 2 * NEAR_IR:
            allowed = f"allowed are 1 to {2 * NEAR_IR - 1} rows"
            raise UsageError(f"refpix: side_smoothing_length={self.side_smoothing_length}: {allowed}")

    @property
    def name(self) -> str:
        """The peer's name of the step."""
        return "refpix"

    @property
    def window(self) -> int:
        """Rows of the running median: ``side_smoothing_length``, made odd."""
        return self.side_smoothing_length | 1

    def requires(self, meta: Meta) -> tuple[str, ...]:
        """The weights of reference output and reference samples, for IRS2 frames."""
        return ("refpix",) if meta.is_irs2 else ()

    def whole(self, meta: Meta) -> bool:
        """The noise of an IRS2 frame is corrected in the order of time, in which a row is spread over all of it."""
        return meta.is_irs2

    def shape(self, meta: Meta, shape: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """IRS2 frames lose the rows that hold no pixels."""
        stripped = meta.is_irs2 and not self.preserve_irs2_refpix
        return (*shape[:2], irs2.PIXELS, shape[3]) if stripped else shape

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """For IRS2 frames the weights of their references; nothing for others."""
        reference = refs.get("refpix") if meta.is_irs2 else None
        if reference is None:
            return Tables()
        return Tables(fixed=refpix_irs2.prepare(reference, meta, preserve=self.preserve_irs2_refpix))

    def inapplicable(self, meta: Meta) -> str | None:
        """Subarrays of MIRI, and those that reach beyond the detector, are left as they are.

        Raises
        ------
        StepError
            For what this version cannot correct: other IRS2 frames than flight's, and the algorithm ``sirs``.
        """
        size = meta["SUBSIZE1"], meta["SUBSIZE2"]
        if meta["INSTRUME"] == "MIRI":
            return "MIRI subarray" if size[0] < MIRI[0] or size[1] < MIRI[1] else None
        self._check_supported(meta)
        start = meta["SUBSTRT1"], meta["SUBSTRT2"]
        if any(first < 1 or first - 1 + length > NEAR_IR for first, length in zip(start, size, strict=True)):
            return f"the subarray reaches beyond the {NEAR_IR} x {NEAR_IR} detector"
        return None

    def _check_supported(self, meta: Meta) -> None:
        unsupported = None
        if meta.is_irs2:
            found = meta["NAXIS2"], meta.get("NRS_NORM", irs2.NORMAL), meta.get("NRS_REF", irs2.REFERENCE)
            if found != (irs2.ROWS, irs2.NORMAL, irs2.REFERENCE):
                allowed = f"allowed are {irs2.ROWS}, {irs2.NORMAL}, {irs2.REFERENCE}"
                unsupported = f"IRS2 frames with NAXIS2, NRS_NORM, NRS_REF of {found}: {allowed}"
        elif self.refpix_algorithm == "sirs" and "FULL" in meta.get("SUBARRAY", ""):
            unsupported = "refpix_algorithm='sirs' (allowed is 'median')"
        if unsupported is not None:
            raise StepError(f"{meta.path}: refpix does not support {unsupported}; skip=True leaves the step out")

    def measure(self, edges: Mapping[str, Ramp], tables: Tables) -> Tables:
        """The levels that ``__call__`` subtracts, from the edges of the whole exposure.

        ``edges`` holds blocks as the steps before left them: "bottom" and "top", ``data[nint, ngroup, 4, nx]``, the
        first and last four rows, "left" and "right", ``data[nint, ngroup, ny, 4]``, the first and last four columns.
        """
        columns, rows = measure(edges, {name: edge.data for name, edge in edges.items()}, self)
        fixed = {"columns": columns, "rows": rows}
        if edges["left"].zeroframe is not None:
            frames = {name: edge.zeroframe[:, None] for name, edge in edges.items()}
            fixed["zero_columns"], fixed["zero_rows"] = measure(edges, frames, self)
        return Tables(fixed=fixed)

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """The counts less the levels; zeros of the zero frame, which mark saturated pixels, stay zero."""
        if ramp.meta.is_irs2:
            return refpix_irs2.correct(ramp, tables, self)
        subtract = backend.of(ramp.data).kernel("refpix").subtract_inplace
        start = ramp.rows.start
        subtract(ramp.data, tables["columns"], tables["rows"], row_start=start, keep_zeros=False)
        if ramp.zeroframe is not None:
            frames = ramp.zeroframe[:, None]
            subtract(frames, tables["zero_columns"], tables["zero_rows"], row_start=start, keep_zeros=True)
        return ramp
