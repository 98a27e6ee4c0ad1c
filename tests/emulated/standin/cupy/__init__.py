"""Stand-in for CuPy on a machine without a GPU: the same launchers, kernels and steps run on the CPU.

Arrays are NumPy's, wrapped so that what CuPy refuses is refused; ``RawModule`` compiles CUDA C++ with g++. ``traffic``,
this module's own, counts what crosses between host and device. Where this folder's parent leads ``sys.path`` (or
``PYTHONPATH``), ``import cupy`` finds it before a real one.
"""

# ruff: noqa: F401  imported to be found here
from __future__ import annotations

import numpy as _numpy

from cupy import cuda, fft, linalg, random
from cupy._array import ndarray
from cupy._creation import (
    array,
    asanyarray,
    asarray,
    ascontiguousarray,
    asfortranarray,
    asnumpy,
    clear_memo,
    empty,
    empty_like,
    get_array_module,
    memoize,
)
from cupy._functions import mirror as _mirror
from cupy._functions import ufunc
from cupy._raw import RawKernel, RawModule
from cupy._surface import SURFACE as _SURFACE
from cupy._traffic import traffic
from cupy.cuda.memory import get_default_memory_pool
from cupy.cuda.pinned_memory import PinnedMemoryPool as _PinnedMemoryPool

__version__ = _SURFACE["version"]
__getattr__ = _mirror("cupy", _numpy, globals())
_pinned = _PinnedMemoryPool()


def get_default_pinned_memory_pool():
    return _pinned


def is_available():
    return True
