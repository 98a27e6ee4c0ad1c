"""Raw JWST exposures to science products, on a GPU or without one."""

from __future__ import annotations

__version__ = "0.1.0"
