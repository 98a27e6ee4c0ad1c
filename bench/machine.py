"""What was measured on: processor, memory, versions, and how fast bytes move here."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

PACKAGES = ("gpujw", "jwst", "stcal", "numpy", "numba", "astropy", "crds", "cupy-cuda12x", "cupy-cuda13x")


def ram_disk() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def describe() -> dict[str, object]:
    """Machine and versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "copy_gb_s": copy_bandwidth(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "date": time.strftime("%Y-%m-%d"),
    }


def copy_bandwidth() -> float:
    """GB/s read plus written by a copy of 256 MB in all threads of numba: the floor's divisor."""
    from numba import njit, prange

    @njit(parallel=True)
    def copy(a: np.ndarray, b: np.ndarray) -> None:
        for i in prange(a.shape[0]):
            b[i] = a[i]

    a = np.ones((256, 1 << 17))
    b = np.ones_like(a)
    copy(a, b)
    best = min(_seconds(lambda: copy(a, b)) for _ in range(9))
    return round(2 * a.nbytes / best / 1e9, 2)


def _seconds(call: object) -> float:
    start = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - start


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
