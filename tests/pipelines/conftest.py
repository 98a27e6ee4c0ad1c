"""Small simulated exposures, and the environment in which CRDS answers from their cache."""

from __future__ import annotations

import pytest

from gpujw.choose import SERVERLESS

#: Modes of a few thousand pixels: seconds, even where CUDA sources run on a CPU.
SMALL = ("nircam-sub", "niriss-sub80", "miri-sub")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Every small mode, simulated once into one folder with one cache."""
    from gpujw.simulate import simulate

    out = tmp_path_factory.mktemp("simulated")
    for mode in SMALL:
        simulate(mode, out, count=2 if mode == "nircam-sub" else 1)
    return out


@pytest.fixture
def uncal(folder, monkeypatch):
    """The exposure of a mode; CRDS answers from the folder's cache, with no server."""
    from crds.core import utils

    monkeypatch.setenv("CRDS_PATH", str(folder / "crds"))
    monkeypatch.setenv("CRDS_SERVER_URL", SERVERLESS)
    utils.clear_function_caches()
    detector = {"nircam-sub": "nrcb1", "niriss-sub80": "nis", "miri-sub": "mirimage"}
    return lambda mode, number=1: next(folder.glob(f"*_{number:05d}_{detector[mode]}_uncal.fits"))


@pytest.fixture
def home(device):
    """What ``--device`` of the product is, for the device under test."""
    return "0" if device == "emulated" else device
