"""One folder with the small modes, made once."""

from __future__ import annotations

import pytest

from gpujw.simulate import simulate

DETECTORS = {"nircam-sub": "nrcb1", "niriss-sub80": "nis", "miri-sub": "mirimage"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated")
    for mode in DETECTORS:
        simulate(mode, out, count=2 if mode == "nircam-sub" else 1)
    return out


@pytest.fixture(scope="session", params=DETECTORS)
def mode_name(request):
    return request.param


@pytest.fixture(scope="session")
def uncal(folder, mode_name):
    return next(folder.glob(f"*_00001_{DETECTORS[mode_name]}_uncal.fits"))


@pytest.fixture(scope="session")
def truth(uncal):
    return uncal.with_name(uncal.name.replace("_uncal", "_truth"))
