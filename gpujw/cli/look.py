"""Commands that show: this machine, and what a file holds."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

import gpujw


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(info)
    app.command()(preview)


def info() -> None:
    """This machine as gpujw sees it: devices, versions, caches."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for name, value in [("gpujw", gpujw.__version__), *_machine(), *_devices(), *_libraries(), *_folders()]:
        table.add_row(f"[bold]{name}", value)
    Console().print(table)


def _machine() -> list[tuple[str, str]]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        ("python", platform.python_version()),
        ("machine", f"{platform.platform()}, {cores} cores, {memory:.1f} GiB"),
    ]


def _devices() -> list[tuple[str, str]]:
    from gpujw import backend

    count = backend.device_count()
    if not count:
        return [
            ("devices", "none: calibration runs on the CPU (a GPU needs its driver and pip install 'gpujw[cuda12]')")
        ]
    runtime = backend.cuda().xp.cuda.runtime
    rows = []
    for i in range(count):
        properties = runtime.getDeviceProperties(i)
        ecc = "on" if properties["ECCEnabled"] else "off"
        rows.append(
            (
                f"device {i}",
                f"{properties['name'].decode()}, {properties['totalGlobalMem'] / 2**30:.1f} GiB, "
                f"sm_{properties['major']}{properties['minor']}, ECC {ecc}",
            )
        )
    return [*rows, ("driver", str(runtime.driverGetVersion()))]


def _libraries() -> list[tuple[str, str]]:
    names = ("numpy", "numba", "astropy", "asdf", "stdatamodels", "crds", "cupy-cuda12x", "cupy-cuda13x")
    found = []
    for name in names:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            if not name.startswith("cupy"):
                found.append((name, "missing"))
    return found


def _folders() -> list[tuple[str, str]]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpujw"
    crds = os.environ.get("CRDS_PATH")
    return [
        ("compiled code", f"{cache}{'' if cache.exists() else ' (made in the first run)'}"),
        ("CRDS_PATH", crds or f"not set: {Path.home() / 'crds_cache'} is taken"),
        ("CRDS_SERVER_URL", os.environ.get("CRDS_SERVER_URL") or "not set: the cache alone is used, no network"),
    ]


def preview(
    file: Annotated[Path, typer.Argument(help="An exposure or a product.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The PNG [default: FILE with .png].", show_default=False)
    ] = None,
) -> None:
    """A picture of FILE: counts or rates, and the flags beside them."""
    from gpujw.preview import preview as draw

    typer.echo(draw(file, output or file.with_suffix(".png")))
