"""Write standin/cupy/surface.json: the names that the installed CuPy has, and the parameters that they take.

``python tests/emulated/surface.py`` after an upgrade of CuPy (``--print`` leaves the file alone); needs no GPU. The
stand-in refuses what is not listed.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_name("standin") / "cupy" / "surface.json"
MODULES = ("cupy", "cupy.fft", "cupy.linalg", "cupy.random")
SCIPY = ("fft", "ndimage", "special")  # the others need cuBLAS to be imported


def parameters(function):
    """``"a, axis=None, *, dtype=None"``: names and kinds as CuPy has them, every default replaced by None."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return documented(function)
    return render(signature.parameters.values())


def render(found):
    empty = inspect.Parameter.empty
    plain = [p.replace(annotation=empty, default=p.default if p.default is empty else None) for p in found]
    return str(inspect.Signature(plain))[1:-1]


def documented(function):
    """The same from the first line of a compiled function's docstring; anything at all where it has none."""
    first = (function.__doc__ or "").split("\n")[0]
    match = re.match(r"[\w.]+\((?:self(?:, )?)?(.*?)\)(?: ->.*)?$", first)
    if not match:
        return "*args, **kwargs"
    text = re.sub(r"(?:\b(?:int|str|bool|tuple|dtype|_ndarray_base|Py_ssize_t)\s+)(?=\w)", "", match[1])
    return re.sub(r"=[^,]+", "=None", text)


def describe(module, name):
    """One entry: ``"numpy"`` (NumPy's own object), a ufunc's ``[nin, nout, scatter]``, parameters, or ``"other"``."""
    thing = getattr(module, name)
    if name in np.__all__ and getattr(np, name) is thing:
        return "numpy"
    if type(thing).__name__ == "ufunc":
        return [thing.nin, thing.nout, thing._scatter_op is not None]
    if isinstance(thing, type) or inspect.ismodule(thing) or not callable(thing):
        return "other"
    return f"({parameters(thing)})"


def public(thing):
    return [name for name in sorted(dir(thing)) if not name.startswith("_")]


def surface():
    found = {}
    for name in (*MODULES, *(f"cupyx.scipy.{part}" for part in SCIPY), "cupyx"):
        module = importlib.import_module(name)
        found[name] = {entry: describe(module, entry) for entry in public(module)}
    array = importlib.import_module("cupy").ndarray
    found["cupy.ndarray"] = {
        name: f"({documented(getattr(array, name))})" if callable(getattr(array, name)) else "other"
        for name in public(array)
    }
    return {"version": importlib.import_module("cupy").__version__, **found}


if __name__ == "__main__":
    text = json.dumps(surface(), indent=0, sort_keys=True) + "\n"
    if sys.argv[1:] == ["--print"]:
        print(text, end="")
    else:
        PATH.write_text(text)
