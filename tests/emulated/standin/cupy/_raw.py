"""Kernels from source: CuPy's RawModule and RawKernel, run by ``tests/emulated/cuda``.

Stricter than CuPy, which checks no argument: every array must have the C type of its parameter and be contiguous, every
scalar must be of a NumPy type, of the parameter's size and kind.
"""

from __future__ import annotations

import ctypes
import os

import numpy as np

from cupy import _compile
from cupy._array import ndarray
from cupy.cuda.driver import CUDADriverError
from cupy.cuda.stream import get_current_stream

ORDERS = {"forward": 0, "reverse": 1, "shuffled": 2}
MAX_GRID = (2**31 - 1, 65535, 65535)
MAX_BLOCK = (1024, 1024, 64)


class EmulationError(RuntimeError):
    """What would hang or be undefined on a GPU: a divergent barrier, a mask that names absent lanes."""


class Launch(ctypes.Structure):
    """``emu::Launch`` of launch.h."""

    _fields_ = (
        *(("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("dynamic_size", ctypes.c_size_t)),
        *(("arguments", ctypes.c_void_p), ("order", ctypes.c_int), ("seed", ctypes.c_uint)),
        *(("nthread", ctypes.c_int), ("error", ctypes.c_char_p), ("error_size", ctypes.c_int)),
    )


class RawModule:
    """Kernels of one source; compiled when the first of them is asked for, as in CuPy."""

    def __init__(self, code=None, *, path=None, options=(), backend="nvrtc", **other):
        if path is not None or code is None or backend != "nvrtc" or any(other.values()):
            raise NotImplementedError("the stand-in's RawModule takes code= and options=, for NVRTC")
        if not all(isinstance(option, str) for option in options):
            raise TypeError("options must be a tuple of strings")
        self.code, self.options = code, tuple(options)
        self._library = None

    def compile(self, log_stream=None):
        if self._library is None:
            self._library = _compile.build(self.code, self.options)

    def get_function(self, name):
        self.compile()
        if name not in self._library.names:
            raise CUDADriverError("CUDA_ERROR_NOT_FOUND: named symbol not found")
        return RawKernel._of(self._library, name)


class RawKernel:
    """A kernel; ``order`` (for all of them) is the order in which a block's threads run."""

    order = os.environ.get("GPUJW_EMULATE_ORDER", "forward")
    seed = 7

    def __init__(self, code, name, options=(), **other):
        module = RawModule(code, options=options, **other)
        self.__dict__ = module.get_function(name).__dict__

    @classmethod
    def _of(cls, library, name):
        kernel = object.__new__(cls)
        kernel.name = name
        kernel.max_threads_per_block = library.bounds[name]
        kernel.max_dynamic_shared_size_bytes = 48 << 10
        kernel._run, kernel._signature = library.kernel(name)
        return kernel

    def __call__(self, grid, block, args, *, shared_mem=0, stream=None):
        if not isinstance(grid, tuple) or not isinstance(block, tuple):
            raise TypeError(f"{self.name}: grid and block must be tuples")
        self._check_shape(grid, block, shared_mem)
        if len(args) != len(self._signature):
            raise TypeError(f"{self.name}: {len(args)} arguments, needs {len(self._signature)}: {self._signature}")
        hosts = [self._host(i, arg, word) for i, (arg, word) in enumerate(zip(args, self._signature, strict=True))]
        (get_current_stream() if stream is None else stream).arrive()
        with Isolated(hosts, self._signature) as passed:
            self._launch(triple(grid), triple(block), shared_mem, passed)

    def _check_shape(self, grid, block, shared_mem):
        sizes = zip((*triple(grid), *triple(block)), (*MAX_GRID, *MAX_BLOCK), strict=True)
        if not all(0 < n <= most for n, most in sizes) or np.prod(block) > self.max_threads_per_block:
            raise CUDADriverError(
                f"CUDA_ERROR_INVALID_VALUE: invalid argument ({self.name}: grid {grid}, block {block})"
            )
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise CUDADriverError(
                f"CUDA_ERROR_INVALID_VALUE: invalid argument ({self.name}: {shared_mem} bytes shared)"
            )

    def _host(self, position, arg, word):
        """The NumPy array whose first byte is passed, or whose bytes are for a scalar; None for a null pointer."""
        where = f"{self.name}, argument {position}"
        if word[0] == "P":
            return self._pointed(where, arg, word)
        if not isinstance(arg, np.generic | np.ndarray) or np.size(arg) != 1:
            raise TypeError(f"{where}: {type(arg).__name__} given for {word}; CuPy would guess its C type")
        value = np.array(arg)
        same = value.itemsize == int(word[1:]) if word[0] == "V" else value.dtype.str[1:] == word
        if not same:
            raise TypeError(f"{where}: {value.dtype} given for {word}; CuPy would pass the wrong bytes")
        return value

    @staticmethod
    def _pointed(where, arg, word):
        if arg is None:
            return None
        if not isinstance(arg, ndarray):
            raise TypeError(f"{where}: a device array is needed for {word}, got {type(arg).__name__}")
        want = word.lstrip("Pc")
        if want[0] not in "Vv" and arg.dtype.str[1:] != want:
            raise TypeError(f"{where}: an array of {arg.dtype} given for {word}")
        if not arg.flags.c_contiguous:
            raise TypeError(f"{where}: the array is not C-contiguous")
        return arg._host

    def _launch(self, grid, block, shared_mem, hosts):
        pointers = [ctypes.c_void_p(None if host is None else host.ctypes.data) for host in hosts]
        slots = (ctypes.c_void_p * len(hosts))()
        for i, (host, word) in enumerate(zip(hosts, self._signature, strict=True)):
            slots[i] = ctypes.addressof(pointers[i]) if word[0] == "P" else host.ctypes.data
        error = ctypes.create_string_buffer(512)
        launch = Launch(
            grid, block, shared_mem, ctypes.addressof(slots), ORDERS[self.order], self.seed, threads(),
            ctypes.cast(error, ctypes.c_char_p), len(error),
        )  # fmt: skip
        if self._run(ctypes.byref(launch)):
            raise EmulationError(f"{self.name}: {error.value.decode()}")


class Isolated:
    """In checked modes, views are passed as copies of their own, so that a step over their edge is one over the heap's.

    A view whose memory another argument shares is passed as it is.
    """

    def __init__(self, hosts, signature):
        self.hosts = list(hosts)
        self.writable = [word[0] == "P" and word[1] != "c" for word in signature]
        self.copies = {}

    def __enter__(self):
        if _compile.MODE != "fast":
            self.copies = {i: host.copy() for i, host in enumerate(self.hosts) if self.stands_apart(i, host)}
        return [self.copies.get(i, host) for i, host in enumerate(self.hosts)]

    def __exit__(self, *_):
        for i, copy in self.copies.items():
            if self.writable[i]:
                self.hosts[i][...] = copy

    def stands_apart(self, i, host):
        if host is None or host.base is None:
            return False
        others = (other for j, other in enumerate(self.hosts) if j != i and other is not None)
        return not any(np.may_share_memory(host, other) for other in others)


def triple(sizes):
    sizes = tuple(int(n) for n in sizes)
    return sizes + (1,) * (3 - len(sizes))


def threads():
    """OS threads for the blocks; one under a sanitizer, which follows fibers but not OpenMP."""
    return len(os.sched_getaffinity(0)) if _compile.MODE == "fast" else 1
