"""Inter-pixel capacitance: give back the charge that a pixel lends to its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpujw import backend, irs2
from gpujw.errors import ReferenceError, StepError
from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference

EDGE = 4  # reference pixels along an edge
REACH = 3  # rows that a kernel may reach up and down; MIRI's has 7 x 7 pixels
NEAR_IR, MIRI = (2048, 2048), (1024, 1032)  # rows, columns


@dataclass(frozen=True, kw_only=True)
class IPC(Step):
    """Convolve every group with a kernel that undoes the coupling of neighbouring pixels."""

    references: ClassVar[tuple[str, ...]] = ("ipc",)
    status: ClassVar[str] = "S_IPC"

    @property
    def name(self) -> str:
        """The peer's name of the step."""
        return "ipc"

    def halo(self, meta: Meta) -> int:
        """The reach of the largest kernel taken, for the keywords do not tell the kernel's."""
        return irs2.halo(REACH) if meta.is_irs2 else REACH

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """The kernel ``[ky, kx]``.

        Raises
        ------
        StepError
            For kernels that vary over the detector.
        ReferenceError
            For a kernel with an even side, or too large.
        """
        reference = refs["ipc"]
        assert reference is not None
        shape = list(reference.shape())
        if len(shape) != 2:
            raise StepError(
                f"{reference.path}: the ipc kernel is of shape {shape}, one for each pixel; ipc supports only one for "
                "all of them, [ky, kx]; skip=True leaves the step out"
            )
        if any(side % 2 == 0 for side in shape) or max(shape) > 2 * REACH + 1:
            raise ReferenceError(
                f"{reference.path}: the ipc kernel is of shape {shape}; sides must be odd and at most {2 * REACH + 1}"
            )
        plan = irs2.plan(reverse=irs2.reverse(meta)) if meta.is_irs2 else {}
        return Tables(fixed={"kernel": reference.uncut(), **plan})

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Counts without the coupling; reference pixels stay as they are, and so do the reference samples of IRS2."""
        convolve = backend.of(ramp.data).kernel("convolve").convolve_inplace
        if ramp.meta.is_irs2:
            before = irs2.pixels_before(reverse=irs2.reverse(ramp.meta))
            rows = slice(*(int(before[row]) for row in (ramp.rows.start, ramp.rows.stop)))
            pixels = irs2.rows_of_pixels(ramp.rows, tables, ramp.meta)
            data = ramp.data[:, :, pixels]
            convolve(data, tables["kernel"], **reference_edges(ramp.replace(data=data, rows=rows)))
            ramp.data[:, :, pixels] = data
        else:
            convolve(ramp.data, tables["kernel"], **reference_edges(ramp))
        return ramp


def reference_edges(ramp: Ramp) -> dict[str, int]:
    """How many of a block's rows and columns, at each edge, are reference pixels; MIRI has no such rows."""
    miri = ramp.meta["INSTRUME"] == "MIRI"
    ny, nx = ramp.data.shape[2:]
    rows = ramp.meta["SUBSTRT2"] - 1 + (ramp.rows.start or 0)
    columns = ramp.meta["SUBSTRT1"] - 1 + (ramp.columns.start or 0)
    last_row, last_column = (side - EDGE for side in (MIRI if miri else NEAR_IR))
    return {
        "bottom": 0 if miri else min(max(0, EDGE - rows), ny),
        "top": 0 if miri else min(max(0, rows + ny - last_row), ny),
        "left": min(max(0, EDGE - columns), nx),
        "right": min(max(0, columns + nx - last_column), nx),
    }
