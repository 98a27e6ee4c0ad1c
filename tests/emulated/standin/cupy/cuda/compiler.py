"""Errors of the compiler."""

from __future__ import annotations


class CompileException(Exception):  # noqa: N818  CuPy's spelling
    """What NVRTC, here g++, has to say of a source."""
