"""Stand-in for ``cupy.cuda``: devices, memory, streams; only what a program needs that owns its memory and order."""

# ruff: noqa: F401  imported to be found here
from __future__ import annotations

from cupy.cuda import compiler, device, driver, memory, nvtx, pinned_memory, runtime, stream
from cupy.cuda.device import Device, get_device_id
from cupy.cuda.memory import MemoryPool, OutOfMemoryError
from cupy.cuda.pinned_memory import PinnedMemoryPointer, PinnedMemoryPool, alloc_pinned_memory
from cupy.cuda.stream import Event, Stream, get_current_stream, get_elapsed_time


def is_available():
    return True


def __getattr__(name):
    raise AttributeError(f"the stand-in for cupy.cuda has no {name!r}: emulate it in tests/emulated/standin/cupy/cuda")
