"""Errors of the CUDA driver."""

from __future__ import annotations

from cupy.cuda.runtime import CUDARuntimeError


class CUDADriverError(RuntimeError):
    """What a launch or a look-up of a kernel raises."""

    def __init__(self, message):
        super().__init__(message)


__all__ = ["CUDADriverError", "CUDARuntimeError"]
