"""What kind of exposure takes which road: one row an EXP_TYPE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpujw.errors import InputError, StepError

if TYPE_CHECKING:
    from gpujw.exposure import Meta


@dataclass(frozen=True)
class Mode:
    """One kind of exposure: its instrument, and its pipeline in each stage (empty: none)."""

    instrument: str
    stage1: str = "detector1"
    stage2: str = ""
    stage3: str = ""
    tso3: bool = False  # stage 3 is tso3 when the exposure is a time series
    ifu: bool = False  # its rate is an IFUImageModel

    @property
    def family(self) -> str:
        """The detectors' family, which sets the order of stage 1."""
        return "miri" if self.instrument == "MIRI" else "near_ir"


def _rows(
    instrument: str, prefix: str, names: str, *, stage1: str = "detector1", stage2: str = "", stage3: str = ""
) -> dict[str, Mode]:
    return {f"{prefix}_{name}": Mode(instrument, stage1, stage2, stage3) for name in names.split()}


MODES: dict[str, Mode] = {
    # darks, guiding, lamps and flats
    **_rows("FGS", "FGS", "DARK", stage1="dark"),
    **_rows("MIRI", "MIR", "DARKIMG DARKMRS DARKALL", stage1="dark"),
    **_rows("NIRCAM", "NRC", "DARK", stage1="dark"),
    **_rows("NIRISS", "NIS", "DARK", stage1="dark"),
    **_rows("NIRSPEC", "NRS", "DARK", stage1="dark"),
    **_rows("FGS", "FGS", "ID-STACK ID-IMAGE ACQ1 ACQ2 TRACK FINEGUIDE", stage1="guider"),
    **_rows("FGS", "FGS", "SKYFLAT INTFLAT"),
    **_rows("MIRI", "MIR", "FLATIMAGE FLATIMAGE-EXT FLATMRS FLATMRS-EXT"),
    **_rows("NIRCAM", "NRC", "FLAT LED GRISM"),
    **_rows("NIRISS", "NIS", "LAMP EXTCAL"),
    # target acquisition, focus, confirmation
    **_rows("FGS", "FGS", "FOCUS", stage2="image2"),
    **_rows("MIRI", "MIR", "TACQ TACONFIRM CORONCAL", stage2="image2"),
    **_rows("NIRCAM", "NRC", "TACQ TACONFIRM FOCUS", stage2="image2"),
    **_rows("NIRISS", "NIS", "TACQ TACONFIRM FOCUS", stage2="image2"),
    **_rows("NIRSPEC", "NRS", "IMAGE WATA MSATA TACQ TASLIT TACONFIRM CONFIRM FOCUS MIMF VERIFY", stage2="image2"),
    # images
    **_rows("FGS", "FGS", "IMAGE", stage2="image2", stage3="image3"),
    **_rows("NIRCAM", "NRC", "IMAGE WFSC", stage2="image2", stage3="image3"),
    **_rows("NIRISS", "NIS", "IMAGE", stage2="image2", stage3="image3"),
    "MIR_IMAGE": Mode("MIRI", stage2="image2", stage3="image3", tso3=True),
    "NRC_TSIMAGE": Mode("NIRCAM", stage2="image2", stage3="tso3", tso3=True),
    **_rows("MIRI", "MIR", "LYOT 4QPM", stage2="image2", stage3="coron3"),
    **_rows("NIRCAM", "NRC", "CORON", stage2="image2", stage3="coron3"),
    **_rows("NIRISS", "NIS", "AMI", stage2="image2", stage3="ami3"),
    # spectra
    "MIR_LRS-FIXEDSLIT": Mode("MIRI", stage2="spec2", stage3="spec3", tso3=True),
    "MIR_LRS-SLITLESS": Mode("MIRI", stage2="spec2", stage3="tso3", tso3=True),
    "MIR_MRS": Mode("MIRI", stage2="spec2", stage3="spec3", ifu=True),
    **_rows("MIRI", "MIR", "WFSS", stage2="spec2", stage3="spec3"),
    **_rows("NIRCAM", "NRC", "WFSS", stage2="spec2", stage3="spec3"),
    "NRC_TSGRISM": Mode("NIRCAM", stage2="spec2", stage3="tso3", tso3=True),
    **_rows("NIRISS", "NIS", "WFSS", stage2="spec2", stage3="spec3"),
    "NIS_SOSS": Mode("NIRISS", stage2="spec2", stage3="spec3", tso3=True),
    **_rows("NIRSPEC", "NRS", "FIXEDSLIT MSASPEC", stage2="spec2", stage3="spec3"),
    "NRS_IFU": Mode("NIRSPEC", stage2="spec2", stage3="spec3", ifu=True),
    "NRS_BRIGHTOBJ": Mode("NIRSPEC", stage2="spec2", stage3="tso3", tso3=True),
    **_rows("NIRSPEC", "NRS", "AUTOWAVE AUTOFLAT LAMP", stage2="spec2"),
}


def of(meta: Meta) -> Mode:
    """The row of an exposure."""
    kind = meta["EXP_TYPE"]
    if kind not in MODES:
        raise InputError(
            f"{meta.path}: keyword EXP_TYPE is {kind!r}, which is not a kind of JWST exposure that gpujw knows"
        )
    return MODES[kind]


def is_ifu(meta: Meta) -> bool:
    """Whether the rate is an IFU's: by the mode, or a NIRSpec lamp exposure taken through the IFU."""
    return of(meta).ifu or (meta["EXP_TYPE"] in ("NRS_AUTOWAVE", "NRS_LAMP") and meta.get("OPMODE") == "IFU")


def stage1(meta: Meta) -> Mode:
    """The row of an exposure that detector1 calibrates."""
    mode = of(meta)
    if mode.stage1 != "detector1":
        raise StepError(
            f"{meta.path}: EXP_TYPE {meta['EXP_TYPE']} is calibrated by calwebb_{mode.stage1}, "
            "which is not in this version of gpujw"
        )
    if meta.get("MSTR_RD1") is not None:
        raise StepError(
            f"{meta.path}: SUBARRAY {meta.get('SUBARRAY')}, of several stripes, is not in this version of gpujw"
        )
    return mode
