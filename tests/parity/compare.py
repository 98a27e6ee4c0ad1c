"""Two products side by side: which pixels differ beyond the tolerances that the project promises."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.io import fits

from gpujw import demo, dq

#: Share of pixels that must agree, and how closely: the promise in the README.
DQ_SHARE, SHARE, RTOL, SIGMA = 0.99999, 0.9999, 1e-5, 1e-4

#: Keywords that say who made a file, when and how it lies on disk.
OWN = {
    "DATE",
    "CAL_VER",
    "CAL_VCS",
    "CHECKSUM",
    "DATASUM",
    "FILENAME",
    "CRDS_VER",
    "CRDS_CTX",
    "EXTVER",
    "COMMENT",
    "HISTORY",
    "",
}


@dataclass(frozen=True)
class Row:
    """What one comparison found."""

    name: str
    dq: float
    sci: float
    err: float
    var: float
    pixels: int
    note: str = ""

    def agrees(self, dq: float = DQ_SHARE, sci: float = SHARE, err: float = SHARE, var: float = SHARE) -> bool:
        """Within the promise, or the shares given."""
        return self.dq >= dq and self.sci >= sci and self.err >= err and self.var >= var

    def __str__(self) -> str:
        parts = "".join(f"{100 * share:>12.5f}" for share in (self.dq, self.sci, self.err, self.var))
        return f"{self.name:<44}{parts}{self.pixels:>12d}  {self.note}"


@dataclass(frozen=True)
class Truth:
    """Rates and flags of one product against what was simulated."""

    name: str
    median: float
    sigma: float
    struck: int
    found: int
    false: float

    def __str__(self) -> str:
        hits = f"{self.found:>9d} of{self.struck:>9d}"
        return f"{self.name:<34}{self.median:>+10.4f}{self.sigma:>10.4f}{hits:>24}{100 * self.false:>14.4f}"


TRUTH_HEAD = f"{'':<34}{'median z':>10}{'sigma z':>10}{'struck pixels flagged':>24}{'false, %':>14}"


def truth(name, rate, uncal) -> Truth:
    """The slopes' deviation from the simulated rates, in their errors; cosmic rays that were found, and flags without one."""
    with fits.open(rate) as hdus:
        data, err, flags = (np.asarray(hdus[ext].data) for ext in ("SCI", "ERR", "DQ"))
    with fits.open(uncal.with_name(uncal.name.replace("_uncal", "_truth"))) as hdus:
        rates, jumps = np.asarray(hdus["RATE"].data), np.array(hdus["JUMPS"].data)
    z = demo.deviations(data, err, flags, rates)
    # What arrived before the first read leaves no step in the ramp, and large events are drawn by their centers.
    single = jumps[(jumps["radius"] == 0) & ((jumps["group"] > 0) | (jumps["frame"] > 0))]
    found, struck = demo.jump_completeness(flags, single)
    return Truth(name, float(np.median(z)), demo.spread(z), struck, found, _false(flags, jumps))


def _false(flags, jumps) -> float:
    """The share of pixels flagged with a jump among those that no event touched, nor their neighbours."""
    touched = np.zeros(flags.shape, bool)
    for jump in jumps:
        reach = int(np.ceil(jump["radius"])) * 3 + 2
        y, x = int(jump["y"]), int(jump["x"])
        touched[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = True
    return float(np.mean((flags[~touched] & dq.JUMP_DET) != 0))


HEAD = f"{'agreeing pixels, %':<44}{'DQ':>12}{'SCI':>12}{'ERR':>12}{'VAR':>12}{'pixels':>12}"


def close(ours: np.ndarray, theirs: np.ndarray, floor: np.ndarray | float = 0.0) -> np.ndarray:
    """Where two planes agree: both NaN, or within RTOL, or ``floor``."""
    both = np.isnan(ours) & np.isnan(theirs)
    with np.errstate(invalid="ignore"):
        return both | (np.abs(ours - theirs) <= np.maximum(RTOL * np.abs(theirs), floor))


def products(name, ours, theirs, note="") -> Row:
    """Compare two rate or rateints products, plane by plane."""
    with fits.open(ours) as a, fits.open(theirs) as b:
        plane = {
            ext: (np.asarray(a[ext].data), np.asarray(b[ext].data))
            for ext in ("SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE")
        }
        assert all(x.shape == y.shape for x, y in plane.values()), {
            k: (x.shape, y.shape) for k, (x, y) in plane.items()
        }
    # VAR_POISSON comes from the median of differences of counts. Where that lies near zero, what is left in either package is
    # the rounding of the counts to float32; next to the variance by read noise it is nothing.
    err = plane["ERR"][1]
    var = close(*plane["VAR_POISSON"], RTOL * err**2) & close(*plane["VAR_RNOISE"])
    return Row(
        name,
        float(np.mean(plane["DQ"][0] == plane["DQ"][1])),
        float(np.mean(close(*plane["SCI"], SIGMA * err))),
        float(np.mean(close(*plane["ERR"]))),
        float(np.mean(var)),
        plane["SCI"][0].size,
        note,
    )


def headers(ours, theirs) -> list[str]:
    """What the peer's headers say that ours do not, or say otherwise; and extensions in another order or of another type."""
    faults = []
    with fits.open(ours) as a, fits.open(theirs) as b:
        if [h.name for h in a] != [h.name for h in b]:
            faults.append(f"extensions {[h.name for h in a]}, the peer's {[h.name for h in b]}")
        for hdu in b:
            if hdu.name == "ASDF" or hdu.name not in a:
                continue
            mine = a[hdu.name].header
            for keyword, value in hdu.header.items():
                if keyword in OWN:
                    continue
                if keyword not in mine:
                    faults.append(f"{hdu.name}: {keyword} = {value!r} is missing")
                elif not _same(mine[keyword], value):
                    faults.append(f"{hdu.name}: {keyword} is {mine[keyword]!r}, the peer's {value!r}")
    return faults


def _same(a, b) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return bool(np.isclose(float(a), float(b), rtol=1e-5))
    return a == b
