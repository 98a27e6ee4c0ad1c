"""Raw JWST exposures to science products, on a GPU or without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpujw.api import detector1

__version__ = "0.1.0"
__all__ = ["__version__", "detector1"]


def __getattr__(name: str) -> Any:
    # The command line must be there in a blink: numba, astropy and crds are imported when something is calibrated.
    if name == "detector1":
        from gpujw.api import detector1

        return detector1
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
