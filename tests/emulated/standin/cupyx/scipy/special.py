"""Stand-in for ``cupyx.scipy.special``: SciPy's functions where CuPy has them."""

from __future__ import annotations

import scipy.special as _scipy
from cupy._functions import mirror as _mirror

__getattr__ = _mirror("cupyx.scipy.special", _scipy, globals())
