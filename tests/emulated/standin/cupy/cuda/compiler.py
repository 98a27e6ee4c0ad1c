"""Errors of the compiler."""

from __future__ import annotations


class CompileException(Exception):
    """What NVRTC, here g++, has to say of a source."""
