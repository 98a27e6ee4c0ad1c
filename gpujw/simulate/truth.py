"""What the exposure was made of, beside it: count rates, flags, events and stars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from gpujw import dq

if TYPE_CHECKING:
    from pathlib import Path

    from gpujw.simulate.mode import Mode
    from gpujw.simulate.pixels import Pixels


def flags(here: Pixels, saturated: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """[ny, nx] standard bits: defects, SATURATED in some group, JUMP_DET where a cosmic ray hit; uint32."""
    bits = here.dq.copy()
    bits[saturated] |= np.uint32(dq.SATURATED)
    hit = jumps[jumps["radius"] == 0]
    bits[hit["y"], hit["x"]] |= np.uint32(dq.JUMP_DET)
    return bits


def write(path: Path, mode: Mode, rate: np.ndarray, bits: np.ndarray, jumps: np.ndarray, stars: np.ndarray) -> None:
    """Writes RATE (DN/s of light alone, ``[ny, nx]`` in the science frame), DQ, JUMPS and STARS; indices from 0.

    JUMPS has a row for each pixel that a cosmic ray hit, and one for each snowball or shower (centre, peak, radius);
    ``group`` and ``frame`` are those of the first read that holds the charge. Amplitudes are linear DN. A hit
    before the first read of an integration (group 0, frame 0) leaves no step in the ramp.
    """
    primary = fits.PrimaryHDU()
    primary.header["MODE"] = mode.name, "row of tables/simulate.toml"
    primary.header["DETECTOR"] = mode.detector.name
    light = np.where(bits & np.uint32(dq.REFERENCE_PIXEL), np.float32(0), rate)
    image = fits.ImageHDU(light, name="RATE")
    image.header["BUNIT"] = "DN/s"
    tables = (fits.BinTableHDU(jumps, name="JUMPS"), fits.BinTableHDU(stars, name="STARS"))
    fits.HDUList([primary, image, fits.ImageHDU(bits, name="DQ"), *tables]).writeto(path, checksum=True)
