"""The reference files that undo what the simulated detectors do, in the official schemas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from gpujw import dq, irs2
from gpujw.simulate import electronics, pixels, ramp
from gpujw.simulate.whole import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from gpujw.simulate.mode import Mode
    from gpujw.simulate.pixels import Pixels

RSCD_SKIP = {"FULL": (1, 4), "SUB64": (1, 3)}  # groups that the first and the later integrations lose
MIRI_DARK_INTEGRATIONS = 2
FITS_BLOCK = 2880
USEAFTER = "2022-01-01T00:00:00"


@dataclass(frozen=True)
class Kind:
    """One type of reference: whose it is, which bits it knows, and the model that reads it."""

    reftype: str
    model: str
    bits: tuple[str, ...] = ()
    full_frame: bool = True  # else of the window and read pattern of one mode


MASK_BITS = ("DO_NOT_USE", "DEAD", "HOT", "TELEGRAPH", "BAD_REF_PIXEL", "REFERENCE_PIXEL")
KINDS = {
    kind.reftype: kind
    for kind in (
        Kind("mask", "MaskModel", MASK_BITS),
        Kind("saturation", "SaturationModel", ("NO_SAT_CHECK",)),
        Kind("linearity", "LinearityModel", ("NONLINEAR", "NO_LIN_CORR")),
        Kind("gain", "GainModel"),
        Kind("readnoise", "ReadnoiseModel"),
        Kind("rscd", "RSCDModel"),
        Kind("refpix", "IRS2Model", full_frame=False),
        Kind("superbias", "SuperBiasModel", ("DO_NOT_USE", "UNRELIABLE_BIAS"), full_frame=False),
        Kind("reset", "ResetModel", ("DO_NOT_USE", "UNRELIABLE_BIAS"), full_frame=False),
        Kind("dark", "DarkModel", ("DO_NOT_USE", "HOT", "UNRELIABLE_DARK"), full_frame=False),
    )
}


def kinds(mode: Mode) -> tuple[Kind, ...]:
    """What is made for a mode: of IRS2 readout the mask is its own, for it has the frame's rows."""
    absent = {"superbias"} if mode.detector.miri else {"reset", "rscd"}
    made = [kind for kind in KINDS.values() if kind.reftype not in absent | ({"refpix"} if not mode.irs2 else set())]
    return tuple(replace(kind, full_frame=False) if mode.irs2 and kind.reftype == "mask" else kind for kind in made)


def filename(mode: Mode, kind: Kind) -> str:
    """Name of the file of this kind that serves the mode: the detector's own, or the mode's."""
    owner = mode.detector.name.lower() if kind.full_frame else mode.name
    return f"jwst_{mode.detector.instrument.lower()}_{kind.reftype}_{owner}.fits"


def dark_frames(mode: Mode) -> int:
    """Frames of the mode's dark: a few more, or fewer, than its exposure has."""
    return max(2, mode.frames + mode.dark_margin)


def write_all(folder: Path, mode: Mode) -> None:
    """Writes to ``folder`` what ``mode`` needs and is not there yet, or is a dark that is too short."""
    absent = [kind for kind in kinds(mode) if not _serves(folder / filename(mode, kind), mode, kind)]
    if not absent:
        return
    full = pixels.build(mode.detector)
    for kind in absent:
        with whole(folder / filename(mode, kind)) as path:
            _write(path, mode, kind, full)


def _serves(path: Path, mode: Mode, kind: Kind) -> bool:
    return path.exists() and (kind.reftype != "dark" or int(fits.getval(path, "NGROUPS")) >= dark_frames(mode))


def _write(path: Path, mode: Mode, kind: Kind, full: Pixels) -> None:
    primary = fits.PrimaryHDU(header=header(path.name, mode, kind))
    if kind.reftype == "dark":
        primary.writeto(path)
        _append_dark(path, mode, kind, full)
        return
    makers: dict[str, Callable[[Mode, Pixels], dict[str, Any]]] = {
        "mask": _mask,
        "saturation": _saturation,
        "linearity": _linearity,
        "gain": _gain,
        "readnoise": lambda _, every: {"SCI": every.readnoise * np.float32(2**0.5)},  # of a difference of two reads
        "superbias": lambda here, every: {"SCI": pixels.pedestal(here), "DQ": _frame_flags(here, every)},
        "reset": _reset,
        "rscd": lambda *_: {"RSCD_GROUP_SKIP": _rscd()},
        "refpix": lambda *_: _irs2(),
    }
    arrays = makers[kind.reftype](mode, full)
    fits.HDUList([primary, *_extensions(arrays, kind)]).writeto(path)


def _extensions(arrays: dict[str, Any], kind: Kind) -> Iterator[fits.ImageHDU | fits.BinTableHDU]:
    for name, array in arrays.items():
        if array.dtype.names:
            yield fits.BinTableHDU(array, name=name)
        else:
            yield fits.ImageHDU(local_bits(array, kind) if name == "DQ" else array, name=name)
    if kind.bits:
        yield fits.BinTableHDU(_definitions(kind), name="DQ_DEF")


def local_bits(flags: np.ndarray, kind: Kind) -> np.ndarray:
    """The bits that the file knows, numbered as its own DQ_DEF table says, uint32."""
    local = np.zeros_like(flags)
    for position, bit in enumerate(kind.bits):
        local |= ((flags & np.uint32(dq.BITS[bit])) != 0).astype(np.uint32) << np.uint32(position)
    return local


def _definitions(kind: Kind) -> np.ndarray:
    rows = [(position, 1 << position, bit, bit.lower().replace("_", " ")) for position, bit in enumerate(kind.bits)]
    return np.array(rows, [("BIT", "i4"), ("VALUE", "i4"), ("NAME", "S40"), ("DESCRIPTION", "S80")])


def header(name: str, mode: Mode, kind: Kind) -> fits.Header:
    """Primary keywords of a reference file of this kind that serves ``mode``."""
    detector = mode.detector
    ny, nx = detector.shape
    values: dict[str, Any] = {
        "FILENAME": name,
        "DATE": "2023-06-01T00:00:00.000",
        "TELESCOP": "JWST",
        "DATAMODL": _model(mode, kind),
        "REFTYPE": kind.reftype.upper(),
        "AUTHOR": "gpujw.simulate",
        "PEDIGREE": "SIMULATION",
        "DESCRIP": f"What simulated {detector.name} exposures need: {kind.reftype}",
        "USEAFTER": USEAFTER,
        "INSTRUME": detector.instrument,
        "DETECTOR": detector.name,
    }
    window: tuple[Any, ...] = "FULL", 1, 1, nx, ny
    if not kind.full_frame:
        window = mode.subarray, *mode.start, *mode.size
        values |= {"EXP_TYPE": mode.exp_type, "READPATT": mode.readpatt, "NOUTPUTS": mode.noutputs}
    if kind.reftype == "dark":
        values |= {"NFRAMES": 1, "GROUPGAP": 0, "NGROUPS": dark_frames(mode)}
        values |= {"TFRAME": mode.tframe, "TGROUP": mode.tframe}
    if kind.reftype == "reset":
        values |= {"NGROUPS": ramp.RESET_GROUPS, "NINTS": MIRI_DARK_INTEGRATIONS}
    values |= dict(zip(("SUBARRAY", "SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2"), window, strict=True))
    values |= {"FASTAXIS": detector.fast_axis, "SLOWAXIS": detector.slow_axis}
    return fits.Header(list(values.items()))


def _model(mode: Mode, kind: Kind) -> str:
    return "DarkMIRIModel" if kind.reftype == "dark" and mode.detector.miri else kind.model


def _frame_flags(mode: Mode, full: Pixels) -> np.ndarray:
    """Flags of the pixels, at their places in a frame as it comes down."""
    flags = full.dq[mode.cut]
    return np.asarray(irs2.interleave(flags, reverse=False, fill=dq.REFERENCE_PIXEL)) if mode.irs2 else flags


def _mask(mode: Mode, full: Pixels) -> dict[str, Any]:
    """Of IRS2 frames, BAD_REF_PIXEL tells of reference samples alone: one of the two that a noisy pixel gives."""
    if not mode.irs2:
        return {"DQ": full.dq}
    flags = _frame_flags(mode, full) & ~np.uint32(dq.BAD_REF_PIXEL)
    flags[electronics.noisy_rows()[:2]] |= np.uint32(dq.BAD_REF_PIXEL | dq.DO_NOT_USE)
    return {"DQ": flags}


def _irs2() -> dict[str, Any]:
    columns = electronics.irs2_weights()
    weights = np.zeros(columns["alpha_0"].size, [(name, "f4") for name in columns])
    for name, column in columns.items():
        weights[name] = column
    rows = [(output, which, sum(1 << step for step in steps)) for output, which, steps in electronics.NOISY]
    return {"IRS2": weights, "DQ": np.array(rows, [("OUTPUT", "u2"), ("ODD_EVEN", "u2"), ("MASK", "u4")])}


def _saturation(mode: Mode, full: Pixels) -> dict[str, Any]:
    level = pixels.saturation_level(mode.detector, full)
    flags = full.dq.copy()
    flags[full.has(dq.REFERENCE_PIXEL)] |= np.uint32(dq.NO_SAT_CHECK)
    return {"SCI": level, "DQ": flags}


def _linearity(mode: Mode, full: Pixels) -> dict[str, Any]:
    coefficients = pixels.linear_coefficients(full.curvature)
    unknown = np.argwhere(full.has(dq.NO_LIN_CORR))
    for y, x in unknown[::2]:  # half of them say so by their coefficients too
        coefficients[:, y, x] = np.nan
    flags = full.dq.copy()
    flags[full.has(dq.REFERENCE_PIXEL)] |= np.uint32(dq.NO_LIN_CORR)
    return {"COEFFS": coefficients, "DQ": flags}


def _gain(mode: Mode, full: Pixels) -> dict[str, Any]:
    gain = full.gain.copy()
    gain[full.has(dq.NO_GAIN_VALUE)] = np.nan
    return {"SCI": gain}


def _reset(mode: Mode, full: Pixels) -> dict[str, Any]:
    scale = np.array(
        [
            [ramp.reset_amplitude(mode, integration, group) for group in range(ramp.RESET_GROUPS)]
            for integration in range(MIRI_DARK_INTEGRATIONS)
        ],
        np.float32,
    )
    return {"SCI": scale[:, :, None, None] * ramp.reset_pattern(mode), "DQ": full.dq[mode.cut]}


def _rscd() -> np.ndarray:
    rows = [(subarray, "FASTR1", *skip) for subarray, skip in RSCD_SKIP.items()]
    return np.array(rows, [("subarray", "S17"), ("readpatt", "S12"), ("group_skip1", "i4"), ("group_skip", "i4")])


def _append_dark(path: Path, mode: Mode, kind: Kind, full: Pixels) -> None:
    """Frame by frame: the dark of a long exposure is larger than what the rest of the simulator keeps in memory."""
    frames = dark_frames(mode)
    integrations = MIRI_DARK_INTEGRATIONS if mode.detector.miri else 1
    shape = (*((integrations,) if mode.detector.miri else ()), frames, *mode.shape)
    axes = [(f"NAXIS{axis}", size) for axis, size in enumerate(reversed(shape), 1)]
    structure = [("XTENSION", "IMAGE"), ("BITPIX", -32), ("NAXIS", len(shape)), *axes, ("PCOUNT", 0), ("GCOUNT", 1)]
    with path.open("ab") as file:
        file.write(fits.Header([*structure, ("EXTNAME", "SCI")]).tostring().encode())
        for plane in _dark_planes(mode, full.dark[mode.cut], integrations, frames):
            plane.astype(">f4").tofile(file)
        file.write(bytes(-file.tell() % FITS_BLOCK))
    flags = local_bits(full.dq[mode.cut], kind)
    if mode.detector.miri:
        flags = np.broadcast_to(flags, (integrations, 1, *mode.shape))
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(np.ascontiguousarray(flags), name="DQ"))
        hdus.append(fits.BinTableHDU(_definitions(kind), name="DQ_DEF"))


def _dark_planes(mode: Mode, dark: np.ndarray, integrations: int, frames: int) -> Iterable[np.ndarray]:
    pattern = ramp.settling_pattern(mode)
    for integration in range(integrations):
        for frame in range(frames):
            plane = dark * np.float32((frame + 1) * mode.tframe)
            plane += pattern * np.float32(ramp.settling(mode, integration, frame))
            yield plane
