"""Stand-in for ``cupy.fft``."""

from __future__ import annotations

import numpy as _numpy

from cupy._functions import mirror as _mirror

__getattr__ = _mirror("cupy.fft", _numpy.fft, globals())
