"""What is installed is what is here, under the names that it should have; and starting the program costs little."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = SETTINGS["tool"]["setuptools"]
FOLDERS = {"gpujw": ROOT / "gpujw", "gpujw.kernels": ROOT / "kernels", "gpujw.cpu_fallback": ROOT / "cpu_fallback"}
# What takes long to import, and what not every command needs.
HEAVY = ("numba", "astropy", "asdf", "gwcs", "crds", "cupy", "stdatamodels", "scipy", "matplotlib", "jwst", "stcal")


def packages():
    """Every folder with an ``__init__.py``, by the name it is imported under."""
    for name, folder in FOLDERS.items():
        for init in folder.rglob("__init__.py"):
            yield ".".join([name, *init.parent.relative_to(folder).parts])


def imported(statement):
    """The modules that a fresh Python has after ``statement``."""
    command = [sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent).stdout.split())


def test_packages_are_the_folders():
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages())
    assert SETUPTOOLS["package-dir"] == {name: str(folder.relative_to(ROOT)) for name, folder in FOLDERS.items()}


@pytest.mark.parametrize("package", SETUPTOOLS["packages"])
def test_data_files_are_packaged(package):
    root = max((name for name in FOLDERS if package == name or package.startswith(f"{name}.")), key=len)
    folder = FOLDERS[root].joinpath(*package.removeprefix(root).strip(".").split("."))
    data = {path for path in folder.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")}
    packed = {path for pattern in SETUPTOOLS["package-data"].get(package, ()) for path in folder.glob(pattern)}
    assert data <= packed, f"package-data of {package} leaves out {sorted(path.name for path in data - packed)}"


def test_shelves_are_loaded_under_one_name():
    modules = imported("import gpujw, gpujw.backend, gpujw.cpu_fallback, gpujw.kernels")
    assert {"gpujw.kernels", "gpujw.cpu_fallback"} <= modules
    assert not {"kernels", "cpu_fallback"} & modules


def test_command_line_starts_light():
    modules = imported("import gpujw.cli; gpujw.cli.main")
    assert not [name for name in HEAVY if name in modules]


def test_one_version():
    assert SETTINGS["project"]["version"] == imported_version()


def imported_version():
    command = [sys.executable, "-c", "import gpujw; print(gpujw.__version__)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
