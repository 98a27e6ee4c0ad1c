"""Detector1 as whole commands.

gpujw's time for an exposure is (time of one command on four files - time on one file) / 3, everything included: reading,
reference choice, computing, writing, checksums. The first command of all, with empty caches, is measured apart.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astropy.io import fits

from bench import floor
from gpujw.choose import SERVERLESS
from gpujw.simulate import simulate

FILES = 4


@dataclass(frozen=True)
class Shape:
    """A kind of exposure and the parameters, by step, that it is calibrated with."""

    mode: str
    ngroups: int
    nints: int
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    cold: bool = False  # measure a first run, with empty caches, too


SHAPES = {
    "nircam": Shape("nircam", 10, 1, cold=True),
    "nircam+snowballs": Shape("nircam", 10, 1, {"jump": {"expand_large_events": True}}),
    "niriss": Shape("niriss", 8, 1),
    "miri": Shape("miri", 20, 2),
    "miri+showers": Shape("miri", 20, 2, {"jump": {"find_showers": True}}, cold=True),
    "bots": Shape("nirspec-bots", 5, 500),
    "irs2": Shape("nirspec-irs2", 10, 2),
}


def measure(name: str, folder: Path, device: str, rounds: int, *, peer: bool) -> dict[str, Any]:
    """Simulate, then time gpujw and the peer in turn."""
    shape = SHAPES[name]
    home = folder / shape.mode
    if home.exists():
        files = sorted(home.glob("*_uncal.fits"))
    else:
        files = simulate(shape.mode, home, ngroups=shape.ngroups, nints=shape.nints)
        files += [Path(shutil.copy(files[0], _numbered(files[0], i))) for i in range(2, FILES + 1)]
    env = {**os.environ, "CRDS_PATH": str(home / "crds"), "CRDS_SERVER_URL": SERVERLESS, "CRDS_OBSERVATORY": "jwst"}
    cold = {}
    if shape.cold:
        cold = _gpujw(files[:1], shape, home, device, {**env, "XDG_CACHE_HOME": str(folder / f"cache-{name}")})
    _gpujw(files[:1], shape, home, device, env)  # compiles what it needs, before the clock runs
    ours, theirs = [], []
    for _ in range(rounds):
        one = _gpujw(files[:1], shape, home, device, env)
        four = _gpujw(files, shape, home, device, env)
        ours.append({"one": one, "four": four, "exposure": (four["seconds"] - one["seconds"]) / (FILES - 1)})
        if peer:
            theirs.append(_peer(files[0], shape, home, env))
    ramps, steps = _ramps(files[0]), _steps(home)
    row: dict[str, Any] = {
        "shape": name,
        "shape_nint_ngroup_ny_nx": ramps,
        "first_run_seconds": cold.get("seconds"),
        "exposure_seconds": statistics.median(r["exposure"] for r in ours),
        "one_file_seconds": statistics.median(r["one"]["seconds"] for r in ours),
        "peak_gib": max(r["four"]["peak_gib"] for r in ours),
        "steps": steps,
        "steps_gb_s": {
            step: round(floor.step_bytes(step, ramps) / 1e9 / seconds, 2)
            for step, seconds in steps.items()
            if step in floor.STEPS and seconds > 0
        },
        "rounds": ours,
    }
    if peer:
        row["peer"] = theirs
        row["peer_seconds"] = statistics.median(r["seconds"] for r in theirs)
        row["peer_gib"] = max(r["peak_gib"] for r in theirs)
        row["ratio"] = row["peer_seconds"] / row["exposure_seconds"]
    print(f"{name}: " + ", ".join(f"{k} {row[k]:.2f}" for k in row if isinstance(row[k], float)), flush=True)
    return row


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(path.name.replace("_00001_", f"_{number:05d}_"))


def _gpujw(files: list[Path], shape: Shape, home: Path, device: str, env: dict[str, str]) -> dict[str, float]:
    words = [f"{step}.{name}={value}" for step, values in shape.parameters.items() for name, value in values.items()]
    options = [option for word in words for option in ("-p", word)]
    command = [sys.executable, "-m", "gpujw", "detector1", "--device", device, "-o", str(home / "ours"), *options]
    return _timed([*command, *map(str, files)], env)


def _peer(uncal: Path, shape: Shape, home: Path, env: dict[str, str]) -> dict[str, float]:
    (home / "theirs").mkdir(exist_ok=True)
    script = str(Path(__file__).with_name("peer.py"))
    command = [sys.executable, script, str(uncal), str(home / "theirs"), json.dumps(shape.parameters)]
    text = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(text.strip().splitlines()[-1]))


def _timed(command: list[str], env: dict[str, str]) -> dict[str, float]:
    """Wall seconds and peak memory of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {status}: {process.stderr.read().decode()[-2000:]}")  # type: ignore[union-attr]
    return {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_gib": usage.ru_maxrss / 2**20}


def _ramps(uncal: Path) -> tuple[int, int, int, int]:
    """Integrations, groups, rows, columns."""
    header = fits.getheader(uncal, "SCI")
    nx, ny, ngroup, nint = (int(header[f"NAXIS{axis}"]) for axis in (1, 2, 3, 4))
    return nint, ngroup, ny, nx


def _steps(home: Path) -> dict[str, float]:
    """Seconds by step of the last exposure of a batch, as its manifest tells."""
    last = sorted((home / "ours").glob("*_manifest.json"))[-1]
    return dict(json.loads(last.read_text())["seconds"])


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    head = f"{'shape':<18}{'peer s':>8}{'peer GiB':>9}{'gpujw s':>9}{'GiB':>6}{'ratio':>7}{'first run s':>12}"
    lines = [head]
    for row in rows:
        theirs = f"{row['peer_seconds']:>8.1f}{row['peer_gib']:>9.2f}" if "peer" in row else f"{'':>17}"
        first = f"{row['first_run_seconds']:>12.1f}" if row["first_run_seconds"] else ""
        ratio = f"{row['ratio']:>7.1f}" if "ratio" in row else f"{'':>7}"
        ours = f"{row['exposure_seconds']:>9.2f}{row['peak_gib']:>6.2f}{ratio}{first}"
        lines.append(f"{row['shape']:<18}{theirs}{ours}")
    return "\n".join(lines)
