"""What CuPy has and takes, as ``tests/emulated/surface.py`` wrote it down; and callables that refuse all else."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

SURFACE = json.loads(Path(__file__).with_name("surface.json").read_text())


@cache
def taking(name, parameters):
    """A function that takes ``parameters``, ``"(a, axis=None)"``, does nothing, and raises TypeError on other calls."""
    function = eval(f"lambda {parameters[1:-1]}: None")
    function.__name__ = function.__qualname__ = name
    return function
