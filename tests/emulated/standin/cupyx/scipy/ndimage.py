"""Stand-in for ``cupyx.scipy.ndimage``: SciPy's functions where CuPy has them."""

from __future__ import annotations

import scipy.ndimage as _scipy
from cupy._functions import mirror as _mirror

__getattr__ = _mirror("cupyx.scipy.ndimage", _scipy, globals())
