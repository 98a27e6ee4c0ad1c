"""References that are no maps of pixels: distortion by SIAF, coupling of neighbours, parameters of the jump step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asdf
import numpy as np
from astropy import units
from astropy.modeling.models import Mapping, Polynomial2D, Shift

from gpujw.simulate import pointing
from gpujw.simulate.references import USEAFTER

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.modeling import Model

    from gpujw.simulate.mode import Detector

INVERSE_DEGREE = 5
COUPLING = 0.027  # of a MIRI pixel to each of its four neighbours; a tenth of it across the corners
KERNEL_SIZE = 7
JUMP_PARAMETERS = {
    "rejection_threshold": 5.0,
    "expand_large_events": True,
    "min_jump_area": 7.5,
    "min_sat_area": 1,
    "expand_factor": 1.75,
    "sat_required_snowball": True,
    "min_sat_radius_extend": 1.5,
    "sat_expand": 2,
    "edge_size": 25,
    "mask_snowball_core_next_int": True,
    "snowball_time_masked_next_int": 4000,
}


def write_distortion(path: Path, detector: Detector) -> None:
    """Pixels (0-based, full frame) to V2, V3 (arcsec), with its inverse; the model that the stars were placed with."""
    instrument: dict[str, Any] = {"name": detector.instrument, "detector": detector.name}
    if detector.instrument == "NIRCAM":
        instrument |= {"module": detector.module, "channel": detector.channel, "p_pupil": "CLEAR|"}
    meta = _meta("distortion", "Distortion by the SIAF polynomials, terms up to the fourth order")
    meta |= {"instrument": instrument, "model_type": "DistortionModel"}
    meta |= {"input_units": units.pix, "output_units": units.arcsec, "exposure": {"type": "N/A"}}
    asdf.AsdfFile({"meta": meta, "model": distortion(detector)}).write_to(path)


def write_jump_parameters(path: Path, detector: Detector) -> None:
    """Parameters of the jump step, near to those that operations use for full-frame spectra."""
    meta = _meta("pars-jumpstep", "Jump parameters with snowballs") | {"instrument": {"name": detector.instrument}}
    tree = {"class": "jwst.jump.jump_step.JumpStep", "name": "jump", "meta": meta, "parameters": dict(JUMP_PARAMETERS)}
    asdf.AsdfFile(tree).write_to(path)


def distortion(detector: Detector) -> Model:
    """The transform of :func:`write_distortion`."""
    centre = Shift(1 - detector.x_ref) & Shift(1 - detector.y_ref)
    ideal = Mapping((0, 1, 0, 1)) | _polynomial(4, detector.ideal_x) & _polynomial(4, detector.ideal_y)
    v2, v3 = pointing.ideal_to_v2v3(detector, np.array([0.0, 1, 0]), np.array([0.0, 0, 1]))
    turn = Mapping((0, 1, 0, 1)) | _linear(v2) & _linear(v3)
    forward = centre | ideal | turn
    forward.inverse = _inverse(detector)
    return forward


def _inverse(detector: Detector) -> Model:
    """A polynomial fitted on a grid of pixels, in V2, V3 relative to the reference point."""
    ny, nx = detector.shape
    y, x = (grid.ravel().astype(float) for grid in np.mgrid[-20 : ny + 20 : 40j, -20 : nx + 20 : 40j])
    v2, v3 = pointing.science_to_v2v3(detector, x + 1, y + 1)
    dv2, dv3 = v2 - detector.v2, v3 - detector.v3
    size = max(np.abs(dv2).max(), np.abs(dv3).max())  # so that powers stay near one
    terms = [(i, j) for i in range(INVERSE_DEGREE + 1) for j in range(INVERSE_DEGREE + 1 - i)]
    design = np.stack([(dv2 / size) ** i * (dv3 / size) ** j for i, j in terms], axis=1)
    pair = []
    for target in (x, y):
        fit = np.linalg.lstsq(design, target, rcond=None)[0]
        values = {f"c{i}_{j}": float(c) / size ** (i + j) for (i, j), c in zip(terms, fit, strict=True)}
        pair.append(Polynomial2D(INVERSE_DEGREE, **values))
    return Shift(-detector.v2) & Shift(-detector.v3) | Mapping((0, 1, 0, 1)) | pair[0] & pair[1]


def coupling_kernel() -> np.ndarray:
    """[3, 3] share of a pixel's charge that is seen in it and in its neighbours."""
    corner = COUPLING / 10
    kernel = np.array([[corner, COUPLING, corner], [COUPLING, 0, COUPLING], [corner, COUPLING, corner]])
    kernel[1, 1] = 1 - kernel.sum()
    return kernel.astype(np.float32)


def decoupling_kernel() -> np.ndarray:
    """[7, 7] kernel that undoes :func:`coupling_kernel`: its reciprocal in Fourier space, cut below 1e-4."""
    wide = np.zeros((64, 64))
    wide[:3, :3] = coupling_kernel()
    wide = np.roll(wide, (-1, -1), axis=(0, 1))
    inverse = np.roll(np.fft.ifft2(1 / np.fft.fft2(wide)).real, (KERNEL_SIZE // 2,) * 2, axis=(0, 1))
    kernel = inverse[:KERNEL_SIZE, :KERNEL_SIZE]
    return np.asarray(kernel / kernel.sum(), np.float32)


def _polynomial(degree: int, terms: tuple[float, ...]) -> Polynomial2D:
    values = {f"c{i}_{j}": term for term, (i, j) in zip(terms, pointing.powers(), strict=True)}
    return Polynomial2D(degree, **values)


def _linear(values: np.ndarray) -> Polynomial2D:
    origin, along_x, along_y = (float(value) for value in values)
    return Polynomial2D(1, c0_0=origin, c1_0=along_x - origin, c0_1=along_y - origin)


def _meta(reftype: str, description: str) -> dict[str, Any]:
    return {
        "telescope": "JWST",
        "author": "gpujw.simulate",
        "pedigree": "SIMULATION",
        "useafter": USEAFTER,
        "reftype": reftype,
        "title": description,
        "description": description,
        "date": "2023-06-01T00:00:00.000",
    }
