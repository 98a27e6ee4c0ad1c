"""The shelves mirror one another: ``kernels``, ``cpu_fallback`` and ``cpu_fallback/reference`` hold the same functions.

Read from the sources, with no GPU and nothing imported: stems, names, parameters with their kinds and defaults, and
docstrings are equal; a ``.cu`` has a launcher, a launcher a ``.cu`` whose kernels it names, and a pair has its tests.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHELVES = {
    "kernels": ROOT / "kernels",
    "twins": ROOT / "cpu_fallback",
    "references": ROOT / "cpu_fallback" / "reference",
}


def modules(folder):
    return {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}


STEMS = sorted(set.union(*map(modules, SHELVES.values())))


def surface(text):
    """Public functions as {name: (parameters, docstring)}; annotations may differ, an array's type does."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            for part in ast.walk(node.args):
                if isinstance(part, ast.arg):
                    part.annotation = None
            found[node.name] = ast.unparse(node.args), ast.get_docstring(node)
    return found


@pytest.mark.parametrize("shelf", SHELVES)
def test_shelves_hold_the_same_stems(shelf):
    assert sorted(modules(SHELVES[shelf])) == STEMS


@pytest.mark.parametrize("stem", STEMS)
def test_twins_have_the_same_surface(stem):
    paths = {shelf: folder / f"{stem}.py" for shelf, folder in SHELVES.items()}
    surfaces = {shelf: surface(path.read_text()) if path.exists() else {} for shelf, path in paths.items()}
    assert surfaces["kernels"], f"kernels/{stem}.py has no public function"
    assert surfaces["twins"] == surfaces["kernels"]
    # A reference may hold more: what its readers, and other references, share.
    shared = {name: found for name, found in surfaces["references"].items() if name in surfaces["kernels"]}
    assert shared == surfaces["kernels"]
    for name, (_, docstring) in surfaces["kernels"].items():
        assert docstring, f"{stem}.{name} has no docstring"


@pytest.mark.parametrize("path", sorted(SHELVES["kernels"].glob("*.cu")), ids=lambda path: path.stem)
def test_sources_are_launched(path):
    launcher = path.with_suffix(".py").read_text()
    text = {node.value for node in ast.walk(ast.parse(launcher)) if isinstance(node, ast.Constant)}
    kernels = set(re.findall(r"^GJ_KERNEL\s+(?:__launch_bounds__\(.*?\)\s*)?(\w+)\(", path.read_text(), re.MULTILINE))
    assert kernels, f"{path.name} defines no kernel with GJ_KERNEL"
    assert kernels <= text, f"{path.stem}.py never names {sorted(kernels - text)} of {path.name}"


@pytest.mark.parametrize("stem", STEMS)
def test_every_pair_is_tested(stem):
    assert (ROOT / "tests" / "kernels" / f"test_{stem}.py").exists()


def test_differences_are_seen():
    one = surface('def f(data, *, bit=4):\n    """Same."""')
    assert one == surface('def f(data: Array, *, bit: int = 4) -> None:\n    """Same."""\n    return data')
    for other in ('def f(data, bit=4):\n    """Same."""', 'def f(data, *, bit=2):\n    """Same."""',
                  'def f(data, *, bit=4):\n    """Other."""', 'def f(frame, *, bit=4):\n    """Same."""',
                  'def g(data, *, bit=4):\n    """Same."""'):  # fmt: skip
        assert one != surface(other)
