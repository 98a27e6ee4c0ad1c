"""From a row of the table to files: detector, references, and one exposure after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujw.simulate import cache, events, optics, pixels, ramp, scene, truth, uncal
from gpujw.simulate.whole import whole

if TYPE_CHECKING:
    from pathlib import Path

    from gpujw.simulate.mode import Mode
    from gpujw.simulate.pixels import Pixels


def exposures(mode: Mode, out: Path, seed: int, count: int) -> list[Path]:
    """Writes ``count`` exposures, their truth and their references under ``out``; returns the exposures' paths."""
    out.mkdir(parents=True, exist_ok=True)
    cache.write(out / "crds", mode)
    here = pixels.window(mode)
    return [_expose(mode, here, out, seed, exposure) for exposure in range(1, count + 1)]


def _expose(mode: Mode, here: Pixels, out: Path, seed: int, exposure: int) -> Path:
    random = mode.rng(seed, exposure)
    rate, stars = scene.render(mode, seed, exposure)
    deposits, jumps = events.draw(mode, here, random)
    data = ramp.expose(mode, here, rate, deposits, optics.coupling_kernel() if mode.ipc else None, random)
    root = uncal.name(mode, exposure)
    with whole(out / f"{root}_uncal.fits") as path:
        uncal.write(path, mode, exposure, data)
    with whole(out / f"{root}_truth.fits") as path:
        truth.write(path, mode, rate, truth.flags(here, data.saturated, jumps), jumps, stars)
    return out / f"{root}_uncal.fits"
