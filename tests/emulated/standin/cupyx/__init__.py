"""Stand-in for ``cupyx``."""

from __future__ import annotations


def __getattr__(name):
    raise AttributeError(f"the stand-in for cupyx has no {name!r}: emulate it in tests/emulated/standin/cupyx")
