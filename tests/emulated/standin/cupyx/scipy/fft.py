"""Stand-in for ``cupyx.scipy.fft``: SciPy's functions where CuPy has them."""

from __future__ import annotations

import scipy.fft as _scipy
from cupy._functions import mirror as _mirror

__getattr__ = _mirror("cupyx.scipy.fft", _scipy, globals())
