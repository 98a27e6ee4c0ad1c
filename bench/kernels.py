"""Single kernels: ``pytest bench/kernels.py`` (pytest-benchmark); ``GPUJW_BENCH_DEVICE=0`` times them on that GPU.

A block of 64 rows as the pipeline streams them on a CPU; on a GPU a whole frame. ``GB/s`` in the extra information counts
each array once for each time that it must be read or written, so that it compares with the copy bandwidth of bench/machine.py.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from gpujw import backend
from gpujw.steps.ramp_fit import slope_coefficients

HOME = os.environ.get("GPUJW_BENCH_DEVICE", "cpu")
NGROUP, NX = 10, 2048
NY = 64 if HOME == "cpu" else 2048
be = backend.open(HOME)


def block() -> dict[str, Any]:
    """Ramps of faint sky with a cosmic ray in one pixel of a hundred, and what calibrates them."""
    rng = np.random.default_rng(1)
    shape = (1, NGROUP, NY, NX)
    steps = rng.normal(60, 12, shape).astype(np.float32)
    steps[rng.random(shape) < 0.01 / NGROUP] += 2000
    coeffs = np.zeros((NY, 6, NX), np.float32)
    coeffs[:, 1], coeffs[:, 2] = 1, 1e-7
    arrays = {
        "raw": (steps.cumsum(axis=1) + 8000).astype(">u2").view(np.uint16),
        "data": steps.cumsum(axis=1),
        "groupdq": np.zeros(shape, np.uint8),
        "pixeldq": np.zeros((NY, NX), np.uint32),
        "threshold": np.full((NY, NX), 50000, np.float32),
        "bias": np.full((1, NY, NX), 10, np.float32),
        "frames": np.full((1, NGROUP, NY, NX), 0.01, np.float32),
        "gain": np.full((NY, NX), 2, np.float32),
        "noise": np.full((NY, NX), 12, np.float32),
        "coeffs": coeffs,
        "slopes": slope_coefficients(NGROUP),
    }
    return {name: be.xp.asarray(array) for name, array in arrays.items()}


def fit(a: dict[str, Any]) -> Any:
    """The ramp fit of a whole block."""
    return be.kernel("ramp_fit").fit_slopes(
        *(a["data"], a["groupdq"], a["pixeldq"], a["gain"], a["noise"], a["slopes"]),
        rows=(0, NY),
        groups=(0, NGROUP),
        times=(10.7, 10.7, 10.7),
        suppress_one_group=True,
    )


#: Kernel: its call, and the bytes a pixel that must move: counts of 2 or 4 bytes a group, flags of 1, planes of a pixel.
CALLS = {
    "decode": (lambda a: be.kernel("codec").decode_counts(a["raw"], a["data"]), (2 + 4) * NGROUP),
    "subtract": (
        lambda a: be.kernel("subtract").subtract_frames_inplace(a["data"], a["frames"]),
        (4 + 4 + 4) * NGROUP,
    ),
    "linearity": (
        lambda a: be.kernel("linearity").linearize_inplace(a["data"], a["groupdq"], a["coeffs"]),
        (4 + 4 + 1) * NGROUP + 4 * 6,
    ),
    "jump": (
        lambda a: be.kernel("jump").flag_outliers_inplace(
            *(a["data"], a["groupdq"], a["gain"], a["noise"]), nframes=1, thresholds=(4.0, 5.0, 6.0), single_pass=False
        ),
        (4 + 1) * NGROUP + 8,
    ),
    "ramp_fit": (fit, (4 + 1) * NGROUP + 12 + 2 * 20),
}


@pytest.mark.parametrize("name", CALLS)
def test_kernel(name: str, benchmark: Any) -> None:
    """Seconds of one call, and GB/s."""
    call, bytes_a_pixel = CALLS[name]
    arrays = block()

    def run() -> None:
        call(arrays)
        if HOME != "cpu":
            be.xp.cuda.get_current_stream().synchronize()

    benchmark.pedantic(run, warmup_rounds=2, rounds=20)
    benchmark.extra_info["GB/s"] = round(bytes_a_pixel * NY * NX / benchmark.stats.stats.median / 1e9, 2)
