"""The bytes that each step must move, whatever the code: counts and flags once in and once out, references once in."""

from __future__ import annotations

import math

#: Bytes a group of a pixel, and bytes a pixel: float32 counts are 4 each way, group flags 1 each way, raw counts 2.
STEPS = {
    "group_scale": (8, 0),
    "dq_init": (1, 12),
    "saturation": (4 + 2, 16),
    "ipc": (8, 0),
    "superbias": (8, 12),
    "refpix": (8, 0),
    "rscd": (2, 0),
    "lastframe": (0, 2),
    "reset": (8 + 4, 8),
    "linearity": (8 + 1, 4 * 5 + 12),
    "dark_current": (8 + 4, 8),
    "jump": (4 + 2, 8),
    "ramp_fit": (4 + 1, 12),  # and its results, by integration
    "gain_scale": (0, 0),
}
#: A rate's planes: SCI, ERR, DQ, VAR_POISSON, VAR_RNOISE.
SLOPES = 5 * 4


def step_bytes(name: str, shape: tuple[int, int, int, int]) -> int:
    """Of one step on ramps of ``shape`` (nint, ngroup, ny, nx), each step by itself."""
    nint, ngroup, ny, nx = shape
    by_group, by_pixel = STEPS[name]
    results = SLOPES * (nint + 1) if name == "ramp_fit" else 0
    return math.prod(shape) * by_group + ny * nx * (by_pixel + results)


def exposure_bytes(shape: tuple[int, int, int, int]) -> int:
    """Of an exposure whose steps share what they have in the cache: raw counts in, products out, prepared references in."""
    nint, ngroup, ny, nx = shape
    references = 4 * (ngroup + 12)  # a dark or bias a group, polynomials, gain, noise, thresholds, flags
    return math.prod(shape) * 2 + ny * nx * (references + SLOPES * (nint + 1))


def table(row: dict, copy_gb_s: float) -> str:  # type: ignore[type-arg]
    """Steps of a measured shape against what the bytes would take at the speed of a copy."""
    shape = tuple(row["shape_nint_ngroup_ny_nx"])
    lines = [f"{row['shape']}: {'step':<16}{'ms':>9}{'GB/s':>9}{'floor ms':>10}"]
    for name, seconds in row["steps"].items():
        if name in STEPS and seconds > 0:
            moved = step_bytes(name, shape) / 1e9
            lines.append(f"{name:>24}{1e3 * seconds:>9.1f}{moved / seconds:>9.1f}{1e3 * moved / copy_gb_s:>10.1f}")
    whole = exposure_bytes(shape) / 1e9
    seconds = row["exposure_seconds"]
    lines.append(f"{'whole':>24}{1e3 * seconds:>9.1f}{whole / seconds:>9.1f}{1e3 * whole / copy_gb_s:>10.1f}")
    return "\n".join(lines)
