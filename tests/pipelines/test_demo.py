"""What ``gpujw demo`` and ``gpujw warm`` do, on small exposures."""

from __future__ import annotations

import os
import re

import pytest

from gpujw import demo


@pytest.fixture(autouse=True)
def own_cache(monkeypatch):
    """Both point CRDS to caches that they make."""
    from crds.core import utils

    monkeypatch.setenv("CRDS_PATH", "none")
    utils.clear_function_caches()
    yield
    utils.clear_function_caches()


def test_demo_sets_truth_against_result(home, tmp_path, capsys):
    demo.demonstrate("nircam-sub", tmp_path, home, seed=3)
    said = " ".join(capsys.readouterr().out.split())
    found, struck = map(int, re.search(r"(\d+) of (\d+) struck pixels are flagged", said).groups())
    assert 0.9 * struck <= found <= struck
    assert abs(float(re.search(r"median z ([+-][\d.]+)", said)[1])) < 0.1
    assert {path.name.split("_")[-1] for path in tmp_path.glob("*.fits")} >= {"uncal.fits", "truth.fits", "rate.fits"}


@pytest.mark.skipif(
    bool(os.environ.get("GPUJW_EMULATE", "")), reason="minutes there, and nothing that others do not run"
)
def test_warm_calibrates_with_every_kernel(home):
    assert len(list(demo.warm_up(home))) == 3
