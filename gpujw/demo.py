"""A demonstration: a simulated exposure, calibrated, and the result set against the truth."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import dq
from gpujw.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def demonstrate(mode: str, out: Path, device: str, seed: int) -> None:
    """Simulate ``mode`` in ``out``, calibrate it on ``device`` and print truth against result."""
    from rich.console import Console

    from gpujw.api import detector1
    from gpujw.backend import resolve

    console = Console()
    console.print(f"simulating {mode} in {out} ...")
    uncal = simulate(mode, out, seed=seed)[0]
    os.environ["CRDS_PATH"] = str((out / "crds").resolve())  # of this process alone, which ends with the demonstration
    console.print(f"calibrating {uncal.name} on {', '.join(resolve(device))} (the first run compiles its kernels) ...")
    result = detector1(uncal, device=device, output_dir=out, offline=True)[0]
    for path in result.products:
        console.print(f"wrote {path}")
    console.print(f"{result.seconds:.2f} s for the exposure, of which")
    for name, seconds in result.timings.items():
        console.print(f"  {name:<14} {seconds:6.3f} s")
    rate = next(path for path in result.products if path.name.endswith("_rate.fits"))
    for line in compare(rate, uncal):
        console.print(line)


#: Small exposures that between them meet every kernel: mode, integrations, parameters.
_KERNELS: tuple[tuple[str, int | None, dict[str, Any]], ...] = (
    ("miri-sub", None, {"jump": {"find_showers": True}}),
    ("nircam-sub", None, {"jump": {"expand_large_events": True}}),
    ("niriss-sub80", 101, {}),  # so many integrations are clipped instead of searched
)


def warm_up(device: str) -> Iterator[str]:
    """Calibrate small simulated exposures on ``device`` so that every kernel is compiled; a line for each."""
    from gpujw.api import detector1

    with tempfile.TemporaryDirectory() as folder:
        for mode, nints, steps in _KERNELS:
            out = Path(folder) / mode
            uncal = simulate(mode, out, nints=nints)[0]
            os.environ["CRDS_PATH"] = str(out / "crds")
            detector1(uncal, device=device, offline=True, **steps)
            yield f"kernels of {mode} are compiled"


def compare(rate: Path, uncal: Path) -> list[str]:
    """Lines that set a ``_rate`` against the truth that was simulated with its ``_uncal``."""
    from astropy.io import fits

    with fits.open(rate) as hdus:
        data, err, flags = (np.asarray(hdus[name].data) for name in ("SCI", "ERR", "DQ"))
    with fits.open(uncal.with_name(uncal.name.replace("_uncal", "_truth"))) as truth:
        true_rate = np.asarray(truth["RATE"].data)
        jumps = np.array(truth["JUMPS"].data)
        # What arrived before the first read leaves no step in the ramp, and large events are drawn by their centers.
        jumps = jumps[(jumps["radius"] == 0) & ((jumps["group"] > 0) | (jumps["frame"] > 0))]
    z = deviations(data, err, flags, true_rate)
    found, hits = jump_completeness(flags, jumps)
    return [
        f"slopes against truth on {z.size} unflagged pixels: median z {np.median(z):+.3f}, robust sigma {spread(z):.3f}",
        f"cosmic rays: {found} of {hits} struck pixels are flagged",
    ]


def deviations(data: NDArray[Any], err: NDArray[Any], flags: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    """(rate - truth) / error of the pixels without any flag, in sigma."""
    good = (flags == 0) & np.isfinite(data) & (err > 0)
    return np.asarray((data[good] - truth[good]) / err[good])


def spread(z: NDArray[Any]) -> float:
    """Half the width that holds the middle 68.27 % of ``z``: the standard deviation of a Gaussian, blind to outliers."""
    low, high = np.percentile(z, (15.865, 84.135))
    return float(high - low) / 2


def jump_completeness(flags: NDArray[Any], jumps: NDArray[Any]) -> tuple[int, int]:
    """How many struck pixels carry JUMP_DET, SATURATED or DO_NOT_USE, of how many."""
    struck = np.zeros(flags.shape, bool)
    struck[jumps["y"], jumps["x"]] = True
    seen = (flags & np.uint32(dq.JUMP_DET | dq.SATURATED | dq.DO_NOT_USE)) != 0
    return int(np.count_nonzero(struck & seen)), int(np.count_nonzero(struck))
