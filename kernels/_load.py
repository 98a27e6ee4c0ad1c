"""Compile a ``.cu`` beside this file, once a device and set of macros, and launch what it holds."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import Any

import cupy as cp
import numpy as np

HERE = Path(__file__).parent
# CuPy's disk cache keys on the source and the options, not on our headers.
HEADERS = sha1(b"".join(path.read_bytes() for path in sorted(HERE.glob("*.cuh")))).hexdigest()
# --fmad=false rounds products as NumPy does. CuPy adds -ftz=true: denormals, below 1.2e-38, are the one difference left.
OPTIONS = ("-std=c++17", "--fmad=false", f"-I{HERE}", f"-DHEADERS={HEADERS}")
THREADS = 256


@cp.memoize(for_each_device=True)
def load(stem: str, *macros: str) -> cp.RawModule:
    """The module of ``stem``.cu with each of ``macros`` (``"NGROUP=10"``) defined."""
    path = HERE / f"{stem}.cu"
    code = f'#line 1 "{path.name}"\n{path.read_text()}'
    return cp.RawModule(code=code, options=(*OPTIONS, *(f"-D{macro}" for macro in macros)))


def blocks(n: int, threads: int = THREADS) -> tuple[int]:
    """Grid that covers ``n`` elements."""
    return ((n + threads - 1) // threads,)


def launch(stem: str, name: str, n: int, *args: Any, macros: tuple[str, ...] = ()) -> None:
    """Run kernel ``name`` of ``stem``.cu with one thread for each of ``n`` elements; ``n == 0`` is nothing to do."""
    if n:
        load(stem, *macros).get_function(name)(blocks(n), (THREADS,), checked(name, args))


def checked(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """``args``, each a C-contiguous device array or a typed NumPy scalar: CuPy would pass others in silence."""
    for position, arg in enumerate(args):
        if isinstance(arg, cp.ndarray):
            if not arg.flags.c_contiguous:
                raise TypeError(f"{name}, argument {position}: the array is not C-contiguous")
        elif not isinstance(arg, np.generic | np.ndarray):
            raise TypeError(
                f"{name}, argument {position}: {type(arg).__name__} has no C type; wrap it, np.int64({arg!r})"
            )
    return args
