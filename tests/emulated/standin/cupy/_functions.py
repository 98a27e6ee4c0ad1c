"""NumPy's and SciPy's functions under CuPy's names, for the calls that CuPy would take."""

from __future__ import annotations

import numpy as np

from cupy._array import apply, ndarray, returned
from cupy._surface import SURFACE, taking
from cupy._traffic import traffic

# Their results' sizes depend on values, or they look at values: the host waits for the device.
READING = {"argwhere", "bincount", "compress", "extract", "flatnonzero", "histogram", "nonzero", "unique", "label"}
# NumPy answers these with a host scalar, CuPy with a 0-d array.
ZERO_D = {"allclose", "array_equal", "array_equiv", "count_nonzero"}
# An array parameter; a list in its place is refused, but by the functions that make arrays or ask for shapes.
ARRAYS = {"a", "x", "m", "v", "ar", "arr", "ary", "array", "input", "condition"}
LENIENT = {"asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "array", "shape", "ndim", "size"}


class ufunc:  # noqa: N801  CuPy's spelling
    """An elementwise function; of NumPy's keywords CuPy's takes only ``out``, ``dtype`` and ``casting``."""

    __module__ = "cupy"

    def __init__(self, name, host, counts):
        self.name = self.__name__ = name
        self.nin, self.nout, self._scatters = counts
        self.nargs = self.nin + self.nout
        self._host = host

    def __repr__(self):
        return f"<ufunc 'cupy_{self.name}'>"

    def __call__(self, *args, **kwargs):
        wrong = {key: value for key, value in kwargs.items() if key not in ("out", "dtype", "casting")}
        if wrong:
            raise TypeError(f"Wrong arguments {wrong}")
        if len(args) not in (self.nin, self.nargs):
            raise TypeError(
                f"Wrong number of arguments for 'cupy_{self.name}'. It must be either {self.nin} or {self.nargs} "
                f"(with outputs), but given {len(args)}."
            )
        for arg in args:
            if not isinstance(arg, ndarray | np.generic | int | float | complex):
                raise TypeError(f"Unsupported type {type(arg)}")
        return apply(self._host, *args, **kwargs)

    def outer(self, a, b, **kwargs):
        return apply(self._host.outer, a, b, **kwargs)

    def at(self, a, indices, b=None):
        if not self._scatters:
            raise NotImplementedError(f"`cupy_{self.name}.at` is not supported yet")
        return apply(self._host.at, a, indices, *(() if b is None else (b,)))

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        self._only("reduce", "add", "multiply")
        return apply(self._host.reduce, array, axis, dtype, out, keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        self._only("accumulate", "add", "multiply")
        return apply(self._host.accumulate, array, axis, dtype, out)

    def reduceat(self, array, indices, axis=0, dtype=None, out=None):
        self._only("reduceat", "add")
        return apply(self._host.reduceat, array, indices, axis, dtype, out)

    def _only(self, method, *names):
        if self.name not in names:
            raise NotImplementedError(f"`cupy_{self.name}.{method}` is not supported yet")


def function(module, name, entry, host):
    """The function ``module.name``: CuPy's parameters, NumPy's values."""
    taken = taking(f"{module}.{name}", entry)
    first = entry[1:-1].split(",")[0].split("=")[0].strip("* ")

    def call(*args, **kwargs):
        taken(*args, **kwargs)
        given = args[0] if args else kwargs.get(first)
        if first in ARRAYS and name not in LENIENT and isinstance(given, list | tuple | int | float):
            raise TypeError(f"{module}.{name}: {first} must be a cupy.ndarray, not {type(given).__name__}")
        if name in READING or (name == "where" and len(args) + len(kwargs) == 1):
            traffic.read()
        result = apply(host, *args, **kwargs)
        return returned(np.asarray(result), []) if name in ZERO_D and not isinstance(result, ndarray) else result

    call.__name__ = call.__qualname__ = name
    call.__module__ = module
    return call


def mirror(module, host, names):
    """A module's ``__getattr__``: what ``host`` does under the names that CuPy's ``module`` has."""
    surface = SURFACE[module]

    def __getattr__(name):  # noqa: N807  becomes the module's own
        entry = surface.get(name)
        if entry is None:
            raise AttributeError(f"module {module!r} of CuPy {SURFACE['version']} has no attribute {name!r}")
        if entry == "other" or not hasattr(host, name):
            raise NotImplementedError(f"CuPy has {module}.{name}, its stand-in not yet: tests/emulated/standin")
        thing = getattr(host, name)
        if isinstance(entry, list):
            thing = ufunc(name, thing, entry)
        elif entry != "numpy":
            thing = function(module, name, entry, thing)
        names[name] = thing
        return thing

    return __getattr__
