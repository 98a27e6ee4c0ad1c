"""Exposures with known truth, and a small CRDS cache to calibrate them with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujw.errors import UsageError
from gpujw.simulate.mode import MODES, load

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MODES", "simulate"]


def simulate(
    mode: str, out: Path, *, seed: int = 0, ngroups: int | None = None, nints: int | None = None, count: int = 1
) -> list[Path]:
    """Simulates exposures of a mode and what is needed to calibrate them.

    For exposures 1 to ``count``, ``<name>_uncal.fits`` and ``<name>_truth.fits`` are written under ``out``; ``crds``
    there is a CRDS_PATH (``CRDS_SERVER_URL=https://crds-serverless-mode.stsci.edu``: no server) that serves all modes
    simulated into the same ``out``. Exposures of one seed see the same sky; imaging ones are dithered. The same
    arguments give the same data; another seed writes files of the same names.

    Parameters
    ----------
    mode
        One of ``MODES``.
    out
        A folder; made when absent.
    seed
        Chooses sky, noise and events; the detector and its references do not depend on it.
    ngroups, nints
        Groups and integrations; None for those of the mode.
    count
        Number of exposures.

    Returns
    -------
    Paths of the uncal files.

    Raises
    ------
    UsageError
        The mode is unknown or a number is not positive.
    """
    from gpujw.simulate import run  # imports stdatamodels: seconds that a list of the modes need not wait

    if count < 1:
        raise UsageError(f"count={count}: must be at least 1")
    return run.exposures(load(mode, ngroups, nints), out, seed, count)
